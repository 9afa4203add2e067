package middleware

import (
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// AllowedServices lets a request pass when the calling service is one of names,
// whether it comes alone or with a user. A user's token alone never satisfies it. Names
// are compared byte by byte; a service of an issuer that isn't trusted for bare names
// is called ISSUER/NAME. An empty list denies everybody.
func AllowedServices(names ...string) Middleware {
	names = slices.Clone(names)
	return rule("AllowedServices", names, func(p *countersign.Principal) error {
		if p.Service.IsZero() {
			return errServiceRequired
		}
		if !slices.Contains(names, p.Service.Name) {
			return errServiceNotAllowed
		}
		return nil
	})
}

// RequireScopes lets a request pass when the calling service's token has all scopes,
// each compared byte by byte. Only the service's token is judged: a user's token is
// refused even if it holds the scopes. An empty list denies everybody.
func RequireScopes(scopes ...string) Middleware {
	scopes = slices.Clone(scopes)
	return rule("RequireScopes", scopes, func(p *countersign.Principal) error {
		if p.Service.IsZero() {
			return errScopeOfNoService
		}
		if len(scopes) == 0 {
			return errScopeMissing
		}
		for _, scope := range scopes {
			if !p.Service.HasScope(scope) {
				return errScopeMissing
			}
		}
		return nil
	})
}

// MachineOnly lets a request pass when a service calls without a user.
func MachineOnly() Middleware {
	return rule("MachineOnly", nil, func(p *countersign.Principal) error {
		if !p.User.IsZero() {
			return errUserNotAllowed
		}
		if p.Service.IsZero() {
			return errServiceRequired
		}
		return nil
	})
}

// RequireUser lets a request pass when it comes with a user's token, with or without a
// service. With roles, the user must have one of them. A service's token alone is
// refused.
func RequireUser(roles ...string) Middleware {
	roles = slices.Clone(roles)
	return rule("RequireUser", roles, func(p *countersign.Principal) error {
		if p.User.IsZero() {
			return errUserRequired
		}
		if len(roles) > 0 && !slices.ContainsFunc(roles, p.User.HasRole) {
			return errRoleMissing
		}
		return nil
	})
}

// rule makes a middleware of a question about a caller who is somebody.
func rule(name string, arguments []string, judge func(*countersign.Principal) error) Middleware {
	title := name
	if len(arguments) > 0 {
		title += "(" + strings.Join(arguments, ",") + ")"
	}
	return func(next http.Handler) http.Handler {
		return &ruler{title: title, scope: scopeOf(name, arguments), judge: judge, next: next}
	}
}

func scopeOf(name string, arguments []string) string {
	if name != "RequireScopes" {
		return ""
	}
	return strings.Join(arguments, " ")
}

type ruler struct {
	title string
	scope string
	judge func(*countersign.Principal) error
	next  http.Handler
}

// ServeHTTP implements http.Handler.
func (m *ruler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c, s := callFrom(ctx), unset
	if c != nil {
		s = c.settings
	}
	caller := countersign.FromContext(ctx)
	// Nobody in the context: Authenticate is missing, or stands below this one.
	err := error(errTokenMissing)
	if !caller.IsZero() {
		err = m.judge(caller)
	}
	if err != nil {
		s.deny(w, r, denial{err: err, rule: m.title, caller: caller, scope: m.scope})
		return
	}
	if c != nil {
		c.rule.Store(&m.title)
	}
	m.next.ServeHTTP(w, r)
}

var (
	errServiceRequired = countersign.NewError(countersign.Denied, countersign.ReasonServiceRequired,
		"a service's token is required")
	errServiceNotAllowed = countersign.NewError(countersign.Denied, countersign.ReasonServiceNotAllowed,
		"this service may not call")
	errScopeOfNoService = countersign.NewError(countersign.BadScope, countersign.ReasonServiceRequired,
		"a service's token with the scope is required")
	errScopeMissing = countersign.NewError(countersign.BadScope, countersign.ReasonScopeMissing,
		"the service's token lacks a scope")
	errUserNotAllowed = countersign.NewError(countersign.Denied, countersign.ReasonUserNotAllowed,
		"this is for services that come without a user")
	errUserRequired = countersign.NewError(countersign.Denied, countersign.ReasonUserRequired,
		"a user's token is required")
	errRoleMissing = countersign.NewError(countersign.Denied, countersign.ReasonRoleMissing,
		"the user lacks a role")
)
