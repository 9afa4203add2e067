package routepolicy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/condition"
	"github.com/countersign/countersign/pattern"
)

// rule is a compiled rule.
type rule struct {
	policy, name string
	order        int // among all rules of the policy

	// serviceNames are the services when all are literal; nil = they are not, or there
	// are none. The index has asked for them already.
	serviceNames []string
	services     []pattern.Pattern
	anyService   bool // without_service

	users     []userPattern
	userRoles []string
	scopes    []string
	roles     []string

	when *condition.Program
}

// userPattern is ISSUER|SUBJECT. The issuer is literal: a user is always the pair of both
// (RULES A1).
type userPattern struct {
	anybody bool // **
	issuer  string
	subject pattern.Pattern
}

// call is what a rule is asked about.
type call struct {
	ctx          context.Context //nolint:containedctx // it lives as long as the decision
	method, path string
	principal    *countersign.Principal
	time         time.Time
	input        condition.Input // nil until a condition is asked
}

// allows reports whether the rule lets the call pass; method and path match already.
func (r *rule) allows(c *call, path *pathPattern) bool {
	p := c.principal
	return r.allowsService(&p.Service) && r.allowsUser(&p.User) &&
		(r.scopes == nil || slices.ContainsFunc(p.Scopes, func(s string) bool { return slices.Contains(r.scopes, s) })) &&
		(r.roles == nil || p.Session.Role != "" && slices.Contains(r.roles, p.Session.Role)) &&
		(r.when == nil || r.holds(c, path))
}

// allowsService: a pattern without / is for registered services. The name of one whose
// issuer is not trusted for bare names is ISSUER/NAME (RULES A2).
func (r *rule) allowsService(s *countersign.Service) bool {
	switch {
	case r.anyService:
		return true
	case s.IsZero():
		return false
	case r.serviceNames != nil:
		return slices.Contains(r.serviceNames, s.Name)
	}
	foreign := strings.Contains(s.Name, "/")
	for i := range r.services {
		p := &r.services[i]
		if p.Match(s.Name) && (!foreign || strings.Contains(p.Head(), "/")) {
			return true
		}
	}
	return false
}

func (r *rule) allowsUser(u *countersign.User) bool {
	if r.users == nil && r.userRoles == nil {
		return true
	}
	if u.IsZero() || r.userRoles != nil && !slices.ContainsFunc(u.Roles, func(role string) bool { return slices.Contains(r.userRoles, role) }) {
		return false
	}
	if r.users == nil {
		return true
	}
	for i := range r.users {
		p := &r.users[i]
		if p.anybody || p.issuer == u.Issuer && p.subject.Match(u.Subject) {
			return true
		}
	}
	return false
}

// holds reports whether the condition is true; an error is no (RULES D4).
func (r *rule) holds(c *call, path *pathPattern) bool {
	if c.input == nil {
		c.input = inputOf(c)
	}
	c.input[varPathParams] = path.capture(c.path)
	ok, err := r.when.Match(c.ctx, c.input)
	return ok && err == nil
}
