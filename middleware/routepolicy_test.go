package middleware_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
)

// decider answers with a verdict and remembers what it was asked.
type decider struct {
	verdict countersign.RouteVerdict
	method  string
	path    string
	caller  string
	asked   int
}

func (d *decider) DecideRoute(_ context.Context, method, path string, caller *countersign.Principal, at time.Time) countersign.RouteVerdict {
	d.method, d.path, d.caller, d.asked = method, path, caller.Service.Name, d.asked+1
	if !at.Equal(now) {
		d.method = "at another time"
	}
	return d.verdict
}

func TestRoutePolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verdict countersign.RouteVerdict
		status  int
		word    string
		reason  countersign.Reason
		rule    string
	}{
		"allowed":       {countersign.RouteVerdict{Allowed: true, Policy: "p", Rule: "r", Reason: countersign.ReasonOK}, 200, "", countersign.ReasonOK, "p/r"},
		"not enforced":  {countersign.RouteVerdict{Allowed: true, WouldDeny: true, Reason: countersign.ReasonRouteNotAllowed}, 200, "", countersign.ReasonOK, "RoutePolicy(not enforced)"},
		"denied":        {countersign.RouteVerdict{Reason: countersign.ReasonRouteNotAllowed}, 403, "route_not_allowed", countersign.ReasonRouteNotAllowed, "RoutePolicy"},
		"not canonical": {countersign.RouteVerdict{Reason: countersign.ReasonRouteNotCanonical}, 403, "route_not_allowed", countersign.ReasonRouteNotCanonical, "RoutePolicy"},
		"no policy":     {countersign.RouteVerdict{Reason: countersign.ReasonPolicyUnavailable}, 503, "temporarily_unavailable", countersign.ReasonPolicyUnavailable, "RoutePolicy"},
		"zero verdict":  {countersign.RouteVerdict{}, 403, "route_not_allowed", countersign.ReasonRouteNotAllowed, "RoutePolicy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, recorded := &decider{verdict: test.verdict}, new(recorder)
			h := middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
				middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(recorded), middleware.WithExposeReasons(), middleware.WithClock(clock)),
				middleware.RoutePolicy(d))
			r := httptest.NewRequest(http.MethodPost, "/v1/parse/a%20b?x=1", nil)
			r.Header.Set("Authorization", "Bearer "+mint(t, serviceClaims("document-service", "")))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var body struct {
				Error  string
				Reason countersign.Reason
			}
			_ = json.Unmarshal(w.Body.Bytes(), &body)
			if w.Code != test.status || body.Error != test.word || w.Header().Get("WWW-Authenticate") != "" || test.status != 200 && body.Reason != test.reason {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if d.asked != 1 || d.method != http.MethodPost || d.path != "/v1/parse/a%20b" || d.caller != "document-service" {
				t.Errorf("asked %+v", d)
			}
			made := recorded.all()
			if len(made) != 1 || made[0].Rule != test.rule || made[0].Reason != test.reason || made[0].Allowed != (test.status == 200) {
				t.Errorf("recorded %+v", made)
			}
		})
	}
}

// Nobody gets past it, and nobody is asked about: without Authenticate, and without a policy.
func TestRoutePolicyDeniesByDefault(t *testing.T) {
	t.Parallel()
	d := &decider{verdict: countersign.RouteVerdict{Allowed: true}}
	open := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for name, test := range map[string]struct {
		handler http.Handler
		token   bool
		status  int
	}{
		"without Authenticate": {middleware.Chain(open, middleware.RoutePolicy(d)), true, 401},
		"above Authenticate":   {middleware.Chain(open, middleware.RoutePolicy(d), middleware.Authenticate(newVerifier(t, 0))), true, 401},
		"without a token":      {middleware.Chain(open, middleware.Authenticate(newVerifier(t, 0)), middleware.RoutePolicy(d)), false, 401},
		"nil policy":           {middleware.Chain(open, middleware.Authenticate(newVerifier(t, 0), middleware.WithClock(clock)), middleware.RoutePolicy(nil)), true, 503},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if test.token {
			r.Header.Set("Authorization", "Bearer "+mint(t, serviceClaims("document-service", "")))
		}
		w := httptest.NewRecorder()
		test.handler.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if d.asked != 0 {
		t.Errorf("the policy was asked %d times", d.asked)
	}
}
