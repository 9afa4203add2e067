package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
)

// What is the same in every decision of these tests.
var ignored = cmpopts.IgnoreFields(countersign.Decision{}, "ID", "Caller")

func request(t *testing.T, method, path, token string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// One decision a request, wherever the middlewares stand.
func TestRecordsOneDecision(t *testing.T) {
	t.Parallel()
	log := &recorder{}
	authenticate := middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log), middleware.WithClock(clock))
	allowed := middleware.AllowedServices("document-service")
	good, bad := mint(t, serviceClaims("document-service", "")), mint(t, serviceClaims("backend-actor", ""))

	inside := http.NewServeMux() // Authenticate for each route
	inside.Handle("POST /v1/parse/{id}", middleware.Chain(&seen{}, authenticate, middleware.MachineOnly(), allowed))
	below := http.NewServeMux() // Authenticate around the mux
	below.Handle("POST /v1/parse/{id}", middleware.Chain(&seen{}, allowed))
	below.Handle("POST /v1/open", &seen{})
	around := middleware.Chain(below, authenticate)
	timeout := middleware.Chain(http.TimeoutHandler(middleware.Chain(&seen{}, allowed), time.Minute, ""), authenticate)
	nested := middleware.Chain(&seen{}, authenticate, authenticate, allowed)

	const rule = "AllowedServices(document-service)"
	tests := []struct {
		name    string
		handler http.Handler
		path    string
		token   string
		want    []countersign.Decision
	}{
		{"per route, allowed", inside, "/v1/parse/7", good, []countersign.Decision{{Allowed: true, Reason: "ok", Route: "/v1/parse/{id}", Rule: rule}}},
		{"per route, denied", inside, "/v1/parse/7", bad, []countersign.Decision{{Reason: "service_not_allowed", Route: "/v1/parse/{id}", Rule: rule}}},
		{"per route, no token", inside, "/v1/parse/7", "", []countersign.Decision{{Reason: "token_missing", Route: "/v1/parse/{id}", Rule: "Authenticate"}}},
		{"no route", inside, "/v1/other", good, nil},
		{"around, allowed", around, "/v1/parse/7", good, []countersign.Decision{{Allowed: true, Reason: "ok", Route: "/v1/parse/{id}", Rule: rule}}},
		{"around, denied", around, "/v1/parse/7", bad, []countersign.Decision{{Reason: "service_not_allowed", Route: "/v1/parse/{id}", Rule: rule}}},
		{"around, nobody asks", around, "/v1/open", bad, []countersign.Decision{{Allowed: true, Reason: "ok", Route: "/v1/open", Rule: "Authenticate"}}},
		{"around, no token", around, "/v1/parse/7", "", []countersign.Decision{{Reason: "token_missing", Rule: "Authenticate"}}},
		{"another goroutine, allowed", timeout, "/", good, []countersign.Decision{{Allowed: true, Reason: "ok", Rule: rule}}},
		{"another goroutine, denied", timeout, "/", bad, []countersign.Decision{{Reason: "service_not_allowed", Rule: rule}}},
		{"nested, no token", nested, "/", "", []countersign.Decision{{Reason: "token_missing", Rule: "Authenticate"}}},
	}
	for _, test := range tests {
		log.decisions = nil
		test.handler.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodPost, test.path, test.token))
		for i := range test.want {
			test.want[i].Time, test.want[i].Target, test.want[i].Method = now, audience, http.MethodPost
		}
		if diff := cmp.Diff(test.want, log.all(), ignored, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A denial below an inner Authenticate is not an allowed call for the outer one.
func TestRecordsNestedDenial(t *testing.T) {
	t.Parallel()
	outer, inner := &recorder{}, &recorder{}
	v := newVerifier(t, 0)
	h := middleware.Chain(&seen{}, middleware.Authenticate(v, middleware.WithRecorder(outer)),
		middleware.Authenticate(failing{countersign.NewError(countersign.BadToken, "", "")}, middleware.WithRecorder(inner)))
	h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/", mint(t, serviceClaims("document-service", ""))))
	if got := outer.all(); len(got) != 0 {
		t.Errorf("outer: %+v", got)
	}
	if inner.only(t).Allowed {
		t.Error("inner: allowed")
	}
}

func TestRecordsHandlerThatPanics(t *testing.T) {
	t.Parallel()
	log := &recorder{}
	h := middleware.Chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log)))
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/", mint(t, serviceClaims("document-service", ""))))
	}()
	if !log.only(t).Allowed {
		t.Error("a call that was let in is recorded as denied")
	}
}

// What is recorded holds nothing that grows with what callers send.
func TestRecordsBoundedWords(t *testing.T) {
	t.Parallel()
	log := &recorder{}
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log)))
	for _, token := range []string{"", mint(t, serviceClaims("document-service", ""))} {
		log.decisions = nil
		h.ServeHTTP(httptest.NewRecorder(), request(t, "BREW", "/secret/path", token))
		if d := log.only(t); d.Method != "OTHER" || d.Route != "" {
			t.Errorf("%+v", d)
		}
	}
}

// The decision is dated when it fell, not when the handler was done.
func TestRecordsTimeOfDecision(t *testing.T) {
	t.Parallel()
	at := now
	log := &recorder{}
	h := middleware.Chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { at = at.Add(time.Hour) }),
		middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log), middleware.WithClock(func() time.Time { return at }), middleware.WithClock(nil)))
	h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/", mint(t, serviceClaims("document-service", ""))))
	if d := log.only(t); !d.Time.Equal(now) {
		t.Errorf("dated %v", d.Time)
	}
}

type discard struct{}

func (discard) Record(context.Context, countersign.Decision) {}
