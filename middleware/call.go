package middleware

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
)

// callKey finds the call in a context; there is one value of it.
type callKey struct{}

// call is the context of an authenticated request: the caller, and what the
// middlewares below Authenticate need to know and to say. It is the one allocation
// that Authenticate makes beside the copy of the request.
type call struct {
	countersign.Caller
	settings *settings
	// The next two are atomic: http.TimeoutHandler and its like go on in another
	// goroutine after Authenticate has returned.
	rule   atomic.Pointer[string] // the last middleware that let the call pass; nil = Authenticate
	denied atomic.Bool
}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Caller.Value(key)
}

// pairCall is a call of a service for a user; the principal of both is a part of it.
type pairCall struct {
	call
	principal countersign.Principal
}

// callFrom returns the call of a context, nil when there is none.
func callFrom(ctx context.Context) *call {
	if c, ok := ctx.(*call); ok {
		return c
	}
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// recordAllowed reports a call that was let in and that nothing below denied.
func (c *call) recordAllowed(r *http.Request, at time.Time) {
	if c.denied.Load() {
		return
	}
	rule := authenticateRule
	if passed := c.rule.Load(); passed != nil {
		rule = *passed
	}
	c.settings.recorder.Record(r.Context(), countersign.Decision{
		Time: at, Allowed: true, Reason: countersign.ReasonOK, Caller: countersign.FromContext(c),
		Target: c.settings.target, Method: method(r.Method), Route: route(r.Pattern), Rule: rule,
	})
}

// denial is a decision against a call.
type denial struct {
	err    error
	rule   string
	caller *countersign.Principal // as far as verified; nil = nobody
	scope  string                 // the scopes that would have been enough; "" = not a matter of scopes
}

// deny reports the denial and answers the request.
func (s *settings) deny(w http.ResponseWriter, r *http.Request, d denial) {
	// Also an outer Authenticate must not count the call as allowed.
	if c := callFrom(r.Context()); c != nil {
		c.denied.Store(true)
	}
	now := s.now()
	id := countersign.NewRequestID(now)
	if s.recorder != nil {
		if d.caller.IsZero() {
			d.caller = nil
		}
		s.recorder.Record(r.Context(), countersign.Decision{
			Time: now, ID: id, Reason: countersign.ReasonOf(d.err), Caller: d.caller,
			Target: s.target, Method: method(r.Method), Route: route(r.Pattern), Rule: d.rule,
		})
	}
	s.writeError(w, d, id)
}

// route takes the method off a pattern of http.ServeMux: it is reported by itself.
func route(pattern string) string {
	if _, path, found := strings.Cut(pattern, " "); found {
		return strings.TrimLeft(path, " \t")
	}
	return pattern
}

// method keeps what is recorded bounded: a method is any word that the caller likes.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return name
	default:
		return "OTHER"
	}
}
