package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign"
)

// RouteDecider decides by a route policy. Those of package routepolicy are ones.
type RouteDecider interface {
	// DecideRoute says whether caller, who is somebody, may make a call. Path is escaped,
	// as it was sent.
	DecideRoute(ctx context.Context, method, path string, caller *countersign.Principal, at time.Time) countersign.RouteVerdict
}

// The rule names of a route policy's decisions, where no rule of it has one.
const (
	routePolicyRule = "RoutePolicy"
	notEnforcedRule = "RoutePolicy(not enforced)"
)

// RoutePolicy lets a request pass when a rule of the policy does; which one is reported. A
// policy that is not enforced lets all pass and reports those that it would deny under the
// rule "RoutePolicy(not enforced)". A policy that was never received denies with 503. A
// nil decider denies everybody.
func RoutePolicy(decider RouteDecider) Middleware {
	return func(next http.Handler) http.Handler { return &routeRuler{decider: decider, next: next} }
}

type routeRuler struct {
	decider RouteDecider
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (m *routeRuler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c, s := callFrom(ctx), unset
	if c != nil {
		s = c.settings
	}
	caller := countersign.FromContext(ctx)
	refuse := func(err error) { s.deny(w, r, denial{err: err, rule: routePolicyRule, caller: caller}) }
	switch {
	case caller.IsZero():
		refuse(errTokenMissing)
		return
	case m.decider == nil:
		refuse(errPolicyUnavailable)
		return
	}
	verdict := m.decider.DecideRoute(ctx, r.Method, r.URL.EscapedPath(), caller, s.now())
	if !verdict.Allowed {
		refuse(routeError(verdict.Reason))
		return
	}
	if c != nil {
		name := notEnforcedRule
		if !verdict.WouldDeny {
			name = verdict.Policy + "/" + verdict.Rule
		}
		c.rule.Store(&name)
	}
	m.next.ServeHTTP(w, r)
}

func routeError(reason countersign.Reason) error {
	switch reason {
	case countersign.ReasonPolicyUnavailable:
		return errPolicyUnavailable
	case countersign.ReasonRouteNotCanonical:
		return errRouteNotCanonical
	}
	return errRouteNotAllowed
}

var (
	errRouteNotAllowed = countersign.NewError(countersign.Denied, countersign.ReasonRouteNotAllowed,
		"no rule of the route policy lets this call pass")
	errRouteNotCanonical = countersign.NewError(countersign.Denied, countersign.ReasonRouteNotCanonical,
		"the path is not in its canonical form")
	errPolicyUnavailable = countersign.NewError(countersign.Unavailable, countersign.ReasonPolicyUnavailable,
		"the route policy is not known yet")
)
