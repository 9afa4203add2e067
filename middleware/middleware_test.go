package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/verify"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	token := mint(t, serviceClaims("document-service", ""))
	user := mint(t, userClaims())
	authorization := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	both := func(first, second string) http.Header {
		return http.Header{"Authorization": {first}, "Service-Authorization": {second}}
	}
	tests := []struct {
		name   string
		header http.Header
		status int
		reason countersign.Reason
	}{
		{"bearer", authorization("Bearer " + token), 200, ""},
		{"lower case", authorization("bearer " + token), 200, ""},
		{"upper case", authorization("BEARER " + token), 200, ""},
		{"both", both("Bearer "+user, "bEaReR "+token), 200, ""},
		{"our header in another spelling is not ours", http.Header{"Authorization": {"Bearer " + token}, "Service_Authorization": {"x"}}, 200, ""},

		{"twice", authorization("Bearer "+token, "Bearer "+token), 400, countersign.ReasonHeaderDuplicated},
		{"twice, one empty", authorization("Bearer "+token, ""), 400, countersign.ReasonHeaderDuplicated},
		{"twice, another scheme", authorization("Basic eDp5", "Bearer "+token), 400, countersign.ReasonHeaderDuplicated},
		{"second twice", http.Header{"Authorization": {"Bearer " + user}, "Service-Authorization": {"Bearer " + token, "Bearer " + token}}, 400, countersign.ReasonHeaderDuplicated},
		{"second twice, first missing", http.Header{"Service-Authorization": {"Bearer " + token, "Bearer " + token}}, 400, countersign.ReasonHeaderDuplicated},
		{"joined", authorization("Bearer " + token + ", Bearer " + token), 400, countersign.ReasonHeaderMalformed},
		{"joined without space", authorization("Bearer " + token + ",Bearer"), 400, countersign.ReasonHeaderMalformed},
		{"two spaces", authorization("Bearer  " + token), 400, countersign.ReasonHeaderMalformed},
		{"tab", authorization("Bearer\t" + token), 400, countersign.ReasonHeaderMalformed},
		{"space in front", authorization(" Bearer " + token), 400, countersign.ReasonHeaderMalformed},
		{"space behind", authorization("Bearer " + token + " "), 400, countersign.ReasonHeaderMalformed},
		{"tab behind", authorization("Bearer " + token + "\t"), 400, countersign.ReasonHeaderMalformed},
		{"two words", authorization("Bearer " + token + " x"), 400, countersign.ReasonHeaderMalformed},
		{"no token", authorization("Bearer"), 400, countersign.ReasonHeaderMalformed},
		{"empty token", authorization("Bearer "), 400, countersign.ReasonHeaderMalformed},
		{"empty", authorization(""), 400, countersign.ReasonHeaderMalformed},
		{"no scheme", authorization(token), 400, countersign.ReasonHeaderMalformed},
		{"colon", authorization("Bearer: " + token), 401, countersign.ReasonTokenMissing},
		{"another scheme", authorization("Basic eDp5"), 401, countersign.ReasonTokenMissing},
		{"another scheme with commas", authorization(`Digest username="x", realm="y"`), 400, countersign.ReasonHeaderMalformed},
		{"another scheme beside a service", both("Basic eDp5", "Bearer "+token), 401, countersign.ReasonTokenMissing},
		{"second of another scheme", both("Bearer "+user, "Basic eDp5"), 400, countersign.ReasonHeaderMalformed},
		{"second empty", both("Bearer "+user, ""), 400, countersign.ReasonHeaderMalformed},
		{"second joined", both("Bearer "+user, "Bearer "+token+","+token), 400, countersign.ReasonHeaderMalformed},
		{"nothing", http.Header{}, 401, countersign.ReasonTokenMissing},
		{"second alone", http.Header{"Service-Authorization": {"Bearer " + token}}, 401, countersign.ReasonTokenMissing},
		{"token in a cookie", http.Header{"Cookie": {"access_token=" + token}}, 401, countersign.ReasonTokenMissing},
		{"token in the proxy's header", http.Header{"X-Forwarded-Authorization": {"Bearer " + token}}, 401, countersign.ReasonTokenMissing},
	}
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0), middleware.WithExposeReasons()))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token="+token, nil)
			r.Header = test.header
			got := serveRequest(t, h, r)
			if got.status != test.status || got.Reason != string(test.reason) {
				t.Errorf("%+v, want %d %s", got, test.status, test.reason)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, 0)
	service := mint(t, serviceClaims("backend-actor", ""))
	refusing := func(err error) middleware.Middleware { return middleware.Authenticate(failing{err}) }
	tests := []struct {
		name          string
		middlewares   []middleware.Middleware
		authorization string
		want          answer
		challenge     string
		retryAfter    string
	}{
		{"no token", []middleware.Middleware{middleware.Authenticate(v)}, "",
			answer{status: 401, Error: "unauthenticated"}, `Bearer realm="parse-service"`, ""},
		{"bad token", []middleware.Middleware{middleware.Authenticate(v)}, "x",
			answer{status: 401, Error: "invalid_token"}, `Bearer realm="parse-service", error="invalid_token"`, ""},
		{"malformed", []middleware.Middleware{middleware.Authenticate(v)}, "x y",
			answer{status: 400, Error: "invalid_request"}, `Bearer realm="parse-service", error="invalid_request"`, ""},
		{"service not allowed", []middleware.Middleware{middleware.Authenticate(v), middleware.AllowedServices("x")}, service,
			answer{status: 403, Error: "service_not_allowed"}, "", ""},
		{"scope missing", []middleware.Middleware{middleware.Authenticate(v), middleware.RequireScopes("b", `a"`)}, service,
			answer{status: 403, Error: "insufficient_scope"}, `Bearer realm="parse-service", error="insufficient_scope", scope="b a\""`, ""},
		{"user missing", []middleware.Middleware{middleware.Authenticate(v), middleware.RequireUser()}, service,
			answer{status: 403, Error: "insufficient_scope"}, `Bearer realm="parse-service", error="insufficient_scope"`, ""},
		{"no keys", []middleware.Middleware{refusing(countersign.NewError(countersign.Upstream, countersign.ReasonKeysUnavailable, ""))}, "x",
			answer{status: 503, Error: "temporarily_unavailable"}, "", "5"},
		{"no revocation state", []middleware.Middleware{refusing(&countersign.Error{Code: countersign.Unavailable, RetryAfter: 1500 * time.Millisecond})}, "x",
			answer{status: 503, Error: "temporarily_unavailable"}, "", "2"},
		{"throttled", []middleware.Middleware{refusing(&countersign.Error{Code: countersign.Throttled})}, "x",
			answer{status: 429, Error: "temporarily_unavailable"}, "", "5"},
		{"no code", []middleware.Middleware{refusing(errors.New("canary"))}, "x",
			answer{status: 500, Error: "server_error"}, "", ""},
		{"unknown code", []middleware.Middleware{refusing(countersign.NewError("new", "", "canary"))}, "x",
			answer{status: 500, Error: "server_error"}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, middleware.Chain(&seen{}, test.middlewares...), test.authorization, "")
			if got.RequestID == "" || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%+v", got)
			}
			if c := got.header.Get("WWW-Authenticate"); c != test.challenge {
				t.Errorf("challenge %q, want %q", c, test.challenge)
			}
			if a := got.header.Get("Retry-After"); a != test.retryAfter {
				t.Errorf("Retry-After %q, want %q", a, test.retryAfter)
			}
			got.RequestID, got.header = "", nil // Reason stays: RULES G9, none without the option
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// Every code is refused; none is let through or panics.
func TestEveryCodeIsRefused(t *testing.T) {
	t.Parallel()
	for _, code := range countersign.Codes() {
		handler := &seen{}
		h := middleware.Chain(handler, middleware.Authenticate(failing{countersign.NewError(code, "", "canary")}))
		got := serve(t, h, "x", "")
		if got.status < 400 || got.Error == "" || strings.Contains(got.Error, "canary") || handler.calls != 0 {
			t.Errorf("%s: %+v", code, got)
		}
		if internal := code == countersign.Internal || code == countersign.BadPolicy || code == countersign.Conflict || code == countersign.Precondition; internal != (got.status == 500) {
			t.Errorf("%s: status %d", code, got.status)
		}
	}
}

// TestRuleG9ReasonsAreHidden: the request id is the decision's, the reason stays inside.
func TestRuleG9ReasonsAreHidden(t *testing.T) {
	t.Parallel()
	log := &recorder{}
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log)))
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+mint(t, serviceClaims("document-service", "").with("aud", "other")))
	h.ServeHTTP(w, r)
	d := log.only(t)
	if want := `{"error":"invalid_token","request_id":"` + d.ID + `"}` + "\n"; w.Body.String() != want {
		t.Errorf("body %s, want %s", w.Body, want)
	}
	if d.Reason != countersign.ReasonAudMismatch {
		t.Errorf("reason %s", d.Reason)
	}
}

func TestMiddlewareWithoutAuthenticateDenies(t *testing.T) {
	t.Parallel()
	token := mint(t, serviceClaims("document-service", "s2s:internal"))
	for name, m := range map[string]middleware.Middleware{
		"AllowedServices": middleware.AllowedServices("document-service", ""), "RequireScopes": middleware.RequireScopes("s2s:internal"),
		"MachineOnly": middleware.MachineOnly(), "RequireUser": middleware.RequireUser(),
	} {
		handler := &seen{}
		if got := serve(t, middleware.Chain(handler, m), token, ""); got.status != http.StatusUnauthorized || handler.calls != 0 {
			t.Errorf("%s alone: %+v", name, got)
		}
		wrongOrder := middleware.Chain(handler, m, middleware.Authenticate(newVerifier(t, 0)))
		if got := serve(t, wrongOrder, token, ""); got.status != http.StatusUnauthorized || handler.calls != 0 {
			t.Errorf("%s above Authenticate: %+v", name, got)
		}
	}
}

func TestMiddlewareCopiesItsArguments(t *testing.T) {
	t.Parallel()
	names := []string{"document-service"}
	m := middleware.AllowedServices(names...)
	names[0] = "backend-actor"
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0)), m)
	if got := serve(t, h, mint(t, serviceClaims("backend-actor", "")), ""); got.status != http.StatusForbidden {
		t.Errorf("%+v", got)
	}
}

func TestMistakesOfTheProgramPanic(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"nil handler":        func() { middleware.Chain(nil) },
		"nil middleware":     func() { middleware.Chain(&seen{}, nil) },
		"nil verifier":       func() { middleware.Authenticate(nil) },
		"typed nil verifier": func() { middleware.Authenticate((*verify.Verifier)(nil)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// A user in the context from before does not get into a request of a service.
func TestUserTokenOfAnotherCallerIsNotForwarded(t *testing.T) {
	t.Parallel()
	handler := &seen{}
	h := middleware.Chain(handler, middleware.Authenticate(newVerifier(t, 0)))
	r := httptest.NewRequestWithContext(countersign.WithUserToken(t.Context(), "older"), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+mint(t, serviceClaims("document-service", "")))
	serveRequest(t, h, r)
	if handler.calls != 1 || handler.userToken != "" {
		t.Errorf("calls %d, user token %q", handler.calls, handler.userToken)
	}
}

func TestContextIsPassedOn(t *testing.T) {
	t.Parallel()
	type key struct{}
	var got any
	h := middleware.Chain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Context().Value(key{}) }),
		middleware.Authenticate(newVerifier(t, 0)), middleware.MachineOnly())
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "kept"), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+mint(t, serviceClaims("document-service", "")))
	serveRequest(t, h, r)
	if got != "kept" {
		t.Errorf("value %v", got)
	}
}
