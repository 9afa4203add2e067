package routepolicy

import (
	"context"
	"time"

	"github.com/countersign/countersign"
)

// Policy is the union of the route policies of one service, compiled. It never changes and
// is safe for concurrent use. The zero value and nil deny every call as a policy that was
// never received.
type Policy struct {
	service string
	index   index
	rules   int
	// report: there are documents and none of them is enforced.
	report bool
	known  bool
}

// Request is a call that is decided.
type Request struct {
	// Method is compared byte by byte.
	Method string
	// Path is the escaped path as it was sent, without the query.
	Path string
	// Principal is who calls; nobody is denied.
	Principal *countersign.Principal
	// Time is what conditions see as request.time; zero = a condition that asks for it
	// does not match.
	Time time.Time
}

// Service returns the receiving service; "" when there are no documents.
func (p *Policy) Service() string {
	if p == nil {
		return ""
	}
	return p.service
}

// Rules returns how many rules there are.
func (p *Policy) Rules() int {
	if p == nil {
		return 0
	}
	return p.rules
}

// Decide says whether the call may be made. A path that does not start with /, has empty,
// "." or ".." segments, %2f %5c %2e ; \ or control characters (also encoded), is not UTF-8,
// or could be decoded once more, is denied with route_not_canonical (RULES G5).
//
// It allocates nothing but for conditions, of rules that match in all else, and for a path
// with escapes. ctx bounds the conditions.
func (p *Policy) Decide(ctx context.Context, r Request) countersign.RouteVerdict {
	switch {
	case p == nil || !p.known:
		return countersign.RouteVerdict{Reason: countersign.ReasonPolicyUnavailable}
	case r.Principal.IsZero():
		// Who nobody knows is let in by no policy, enforced or not.
		return countersign.RouteVerdict{Reason: countersign.ReasonTokenMissing}
	}
	path, ok := canonical(r.Path)
	if !ok {
		return p.denied(countersign.ReasonRouteNotCanonical)
	}
	c := call{ctx: ctx, method: r.Method, path: path, principal: r.Principal, time: r.Time}
	if found := p.index.find(&c); found != nil {
		return countersign.RouteVerdict{Allowed: true, Policy: found.policy, Rule: found.name, Reason: countersign.ReasonOK}
	}
	return p.denied(countersign.ReasonRouteNotAllowed)
}

func (p *Policy) denied(reason countersign.Reason) countersign.RouteVerdict {
	return countersign.RouteVerdict{Allowed: p.report, WouldDeny: p.report, Reason: reason}
}

// DecideRoute is [Policy.Decide] in the form that package middleware asks for.
func (p *Policy) DecideRoute(ctx context.Context, method, path string, caller *countersign.Principal, at time.Time) countersign.RouteVerdict {
	return p.Decide(ctx, Request{Method: method, Path: path, Principal: caller, Time: at})
}
