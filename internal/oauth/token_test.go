package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/oauth"
)

func TestTokenForAService(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	a := f.do(t, call{id: "document-service", secret: secrets["document-service"], form: grant("audience", "parse-service", "scope", "s2s:internal")})
	if a.status != http.StatusOK || a.word("token_type") != "Bearer" || a.body["expires_in"] != float64(900) || a.word("scope") != "s2s:internal" {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	claims := payload(t, a.word("access_token"))
	for name, want := range map[string]string{"iss": issuer, "sub": "document-service", "client_id": "document-service", "service_id": "document-service", "scope": "s2s:internal", "jti": a.header.Get("X-Request-Id")} {
		if claims[name] != want {
			t.Errorf("claim %s: %v, want %s", name, claims[name], want)
		}
	}
	e := f.event(t, a)
	if e.Decision != audit.Issued || e.Action != "token" || e.Service != "document-service" || e.ServiceUID == "" || e.Target != "parse-service" ||
		e.Scope != "s2s:internal" || e.TokenID != e.ID || e.Proof != "client_secret_basic" || e.Reason != "ok" || e.ClientAddr == "" {
		t.Errorf("event %+v", e)
	}
}

func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTokenRequests(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.ExposeReasons = true })
	secrets := f.story(t)
	f.service(t, admin.ServiceSpec{Name: "off", Audiences: []string{"parse-service"}})
	document, backend, parse := secrets["document-service"], secrets["backend-actor"], secrets["parse-service"]
	tests := []struct {
		name       string
		call       call
		status     int
		word       string // error
		reason     string // of the audit event
		audience   string
		scope      string
		unverified bool // the reason is not for the caller
	}{
		{name: "single audience by default", call: call{id: "document-service", secret: document, form: grant()}, status: 200, audience: "parse-service"},
		{name: "an omitted scope is none", call: call{id: "document-service", secret: document, form: grant("scope", "")}, status: 200, audience: "parse-service"},
		{name: "two scopes, one doubled", call: call{id: "document-service", secret: document, form: grant("scope", "docs:read s2s:internal docs:read")}, status: 200, audience: "parse-service", scope: "docs:read s2s:internal"},
		{name: "secret in the body", call: call{form: grant("client_id", "document-service", "client_secret", document)}, status: 200, audience: "parse-service"},
		{name: "resource", call: call{id: "backend-actor", secret: backend, form: grant("resource", "urn:example:files")}, status: 200, audience: "urn:example:files"},
		{name: "resource and audience agree", call: call{id: "backend-actor", secret: backend, form: grant("resource", "parse-service", "audience", "parse-service")}, status: 200, audience: "parse-service"},
		{name: "unknown parameters are ignored", call: call{id: "document-service", secret: document, form: grant("colour", "red")}, status: 200, audience: "parse-service"},

		{name: "resource and audience differ", call: call{id: "backend-actor", secret: backend, form: grant("resource", "parse-service", "audience", "document-service")}, status: 400, word: "invalid_target", reason: "parameter_invalid"},
		{name: "two resources", call: call{id: "backend-actor", secret: backend, form: grant("resource", "parse-service", "resource", "document-service")}, status: 400, word: "invalid_target", reason: "parameter_invalid"},
		{name: "audience not granted", call: call{id: "document-service", secret: document, form: grant("audience", "iam-service")}, status: 400, word: "invalid_target", reason: "audience_not_granted"},
		{name: "audience malformed", call: call{id: "document-service", secret: document, form: grant("audience", "Parse Service")}, status: 400, word: "invalid_target", reason: "parameter_invalid"},
		{name: "no single audience", call: call{id: "backend-actor", secret: backend, form: grant()}, status: 400, word: "invalid_target", reason: "audience_missing"},
		{name: "scope not granted", call: call{id: "document-service", secret: document, form: grant("scope", "docs:write")}, status: 400, word: "invalid_scope", reason: "scope_not_granted"},
		{name: "one scope of two not granted", call: call{id: "document-service", secret: document, form: grant("scope", "docs:read docs:write")}, status: 400, word: "invalid_scope", reason: "scope_not_granted"},
		{name: "scope by prefix", call: call{id: "document-service", secret: document, form: grant("scope", "docs")}, status: 400, word: "invalid_scope", reason: "scope_not_granted"},
		{name: "scope malformed", call: call{id: "document-service", secret: document, form: grant("scope", `docs:read "`)}, status: 400, word: "invalid_scope", reason: "parameter_invalid"},
		{name: "a service without audiences", call: call{id: "parse-service", secret: parse, form: grant("audience", "document-service")}, status: 400, word: "unauthorized_client", reason: "grant_not_allowed"},

		{name: "no credentials", call: call{form: grant()}, status: 401, word: "invalid_client", reason: "token_missing", unverified: true},
		{name: "only an id", call: call{form: grant("client_id", "document-service")}, status: 401, word: "invalid_client", reason: "token_missing", unverified: true},
		{name: "wrong secret", call: call{id: "document-service", secret: backend, form: grant()}, status: 401, word: "invalid_client", reason: "secret_wrong", unverified: true},
		{name: "empty secret", call: call{id: "document-service", form: grant()}, status: 401, word: "invalid_client", reason: "secret_wrong", unverified: true},
		{name: "unknown client", call: call{id: "nobody", secret: document, form: grant()}, status: 401, word: "invalid_client", reason: "client_unknown", unverified: true},
		{name: "impossible client", call: call{id: "../../etc", secret: document, form: grant()}, status: 401, word: "invalid_client", reason: "client_unknown", unverified: true},
		{name: "bearer", call: call{header: http.Header{"Authorization": {"Bearer x"}}, form: grant()}, status: 401, word: "invalid_client", reason: "header_malformed", unverified: true},

		{name: "malformed basic", call: call{header: http.Header{"Authorization": {"Basic %%%"}}, form: grant()}, status: 400, word: "invalid_request", reason: "header_malformed"},
		{name: "two headers", call: call{header: http.Header{"Authorization": {"Basic YTpz", "Basic YTpz"}}, form: grant()}, status: 400, word: "invalid_request", reason: "header_duplicated"},
		{name: "both authentications", call: call{id: "document-service", secret: document, form: grant("client_secret", document)}, status: 400, word: "invalid_request", reason: "client_auth_doubled"},
		{name: "assertion", call: call{form: grant("client_assertion", "x", "client_assertion_type", "y")}, status: 400, word: "invalid_request", reason: "parameter_invalid"},
		{name: "duplicate", call: call{id: "document-service", secret: document, raw: "grant_type=client_credentials&grant_type=client_credentials"}, status: 400, word: "invalid_request", reason: "parameter_duplicated"},
		{name: "no grant", call: call{id: "document-service", secret: document, form: form("scope", "x")}, status: 400, word: "invalid_request", reason: "parameter_missing"},
		{name: "unknown grant", call: call{id: "document-service", secret: document, form: form("grant_type", "password")}, status: 400, word: "unsupported_grant_type", reason: "grant_unsupported"},
		{name: "JSON", call: call{id: "document-service", secret: document, raw: "{}", header: http.Header{"Content-Type": {"application/json"}}}, status: 400, word: "invalid_request", reason: "media_type"},
		{name: "too large", call: call{id: "document-service", secret: document, form: grant("x", strings.Repeat("x", 16<<10))}, status: 413, word: "invalid_request", reason: "body_too_large"},
		{name: "in the URL", call: call{id: "document-service", secret: document, path: "/oauth2/token?scope=x", form: grant()}, status: 400, word: "invalid_request", reason: "parameter_invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.call.from = "198.51.100." + string(rune('1'+len(tt.name)%9)) // no limiter in the way
			a := f.do(t, tt.call)
			if a.status != tt.status || a.word("error") != tt.word {
				t.Fatalf("got %d %s, want %d %s", a.status, a.text, tt.status, tt.word)
			}
			if tt.status == http.StatusOK {
				claims := payload(t, a.word("access_token"))
				scope, _ := claims["scope"].(string)
				if claims["aud"] != tt.audience || scope != tt.scope || a.word("scope") != tt.scope {
					t.Errorf("aud %v scope %v", claims["aud"], claims["scope"])
				}
				return
			}
			checkRefusal(t, a)
			want := tt.reason
			if tt.unverified {
				want = ""
			}
			if got := a.word("reason"); got != want {
				t.Errorf("reason %q was sent, want %q", got, want)
			}
			for _, e := range f.Events(t, audit.Query{Action: "token", Decision: audit.Refused}) {
				if e.Reason == tt.reason {
					return
				}
			}
			t.Errorf("no audit event with reason %s", tt.reason)
		})
	}
}

// checkRefusal holds every refusal to RFC 6749 §5.2.
func checkRefusal(t *testing.T, a answer) {
	t.Helper()
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", a.header)
	}
	if (a.header.Get("WWW-Authenticate") != "") != (a.status == http.StatusUnauthorized) {
		t.Errorf("status %d with WWW-Authenticate %q", a.status, a.header.Get("WWW-Authenticate"))
	}
	if a.word("error_description") == "" || a.word("request_id") != a.header.Get("X-Request-Id") {
		t.Errorf("body %s", a.text)
	}
}

func TestEventOfARefusalAfterAuthentication(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	e := f.event(t, f.do(t, call{id: "document-service", secret: secret, form: grant("scope", "docs:write", "audience", "parse-service")}))
	if e.Decision != audit.Refused || e.Service != "document-service" || e.ServiceUID == "" || e.Scope != "docs:write" || e.Target != "parse-service" {
		t.Errorf("event %+v", e)
	}
}

// A token that the audit log doesn't know must not leave.
func TestNoTokenWithoutItsAuditEvent(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	if err := f.Audit.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(a.text, "access_token") {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	checkRefusal(t, a)
}

// DESIGN §10: the token path reads memory, and writes its audit event only.
func TestTokenPathMakesNoDatabaseRead(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	f.token(t, "document-service", secret, "parse-service") // now the service is known
	before := f.Store.Reads()
	for range 50 {
		f.token(t, "document-service", secret, "parse-service")
	}
	if got := f.Store.Reads() - before; got != 0 {
		t.Errorf("%d reads for 50 tokens", got)
	}
	if got := len(f.Events(t, audit.Query{Decision: audit.Issued})); got != 51 {
		t.Errorf("%d events for 51 tokens", got)
	}
}

func TestTokensConcurrently(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	const workers, each = 16, 20
	ids := make(chan string, workers*each)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range each {
				a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
				if a.status != http.StatusOK {
					t.Errorf("got %d %s", a.status, a.text)
				}
				ids <- a.header.Get("X-Request-Id")
				if i%5 == 0 {
					f.do(t, call{id: "document-service", secret: "wrong", form: grant(), from: "198.51.100.9"})
				}
			}
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	if len(seen) != workers*each {
		t.Errorf("%d ids for %d tokens", len(seen), workers*each)
	}
	if got := len(f.Events(t, audit.Query{Decision: audit.Issued})); got != workers*each {
		t.Errorf("%d events for %d tokens", got, workers*each)
	}
}

func TestWrongMethod(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	for path, allow := range map[string]string{
		"/oauth2/token": "POST", "/oauth2/introspect": "POST", "/oauth2/revoke": "POST",
		"/.well-known/jwks.json": "GET, HEAD", "/.well-known/openid-configuration": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			if strings.Contains(allow, method) {
				continue
			}
			a := f.do(t, call{method: method, path: path})
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allow || a.word("error") != "invalid_request" {
				t.Errorf("%s %s: %d, Allow %q, %s", method, path, a.status, a.header.Get("Allow"), a.text)
			}
		}
	}
}
