package oauth_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/web"
)

const introspect, revoke = "/oauth2/introspect", "/oauth2/revoke"

// inactive is the whole answer about a token that is not good for who asks.
func checkInactive(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusOK || strings.TrimSpace(a.text) != `{"active":false}` || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s %v", a.status, a.text, a.header)
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	token := f.token(t, "backend-actor", secrets["backend-actor"], "document-service")
	for _, who := range []string{"backend-actor", "document-service"} {
		a := f.do(t, call{path: introspect, id: who, secret: secrets[who], form: form("token", token, "token_type_hint", "refresh_token")})
		if a.body["active"] != true || a.word("client_id") != "backend-actor" || a.word("sub") != "backend-actor" || a.word("aud") != "document-service" ||
			a.word("iss") != issuer || a.word("tenant") != "acme" || a.word("token_type") != "Bearer" || a.word("jti") == "" {
			t.Errorf("%s: %d %s", who, a.status, a.text)
		}
		exp, _ := a.body["exp"].(float64)
		iat, _ := a.body["iat"].(float64)
		if exp-iat != 900 {
			t.Errorf("exp %v, iat %v", exp, iat)
		}
		if e := f.event(t, a); e.Action != "introspect" || e.Decision != audit.Allowed || e.Service != who || e.TokenID != a.word("jti") {
			t.Errorf("event %+v", e)
		}
	}
}

// vulnerabilities 27: a client that the token does not concern learns nothing.
func TestRuleB5AndVulnerability27IntrospectionByOthersIsInactive(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	token := f.token(t, "backend-actor", secrets["backend-actor"], "document-service")
	a := f.do(t, call{path: introspect, id: "parse-service", secret: secrets["parse-service"], form: form("token", token)})
	checkInactive(t, a)
	if e := f.event(t, a); e.Decision != audit.Denied || e.Reason != "aud_mismatch" {
		t.Errorf("event %+v", e)
	}
}

// A service of the same name that was registered later is another one (RULES A5).
func TestRuleA5RecreatedServiceIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	token := f.token(t, "document-service", f.story(t)["document-service"], "parse-service")
	if err := f.admin.DeleteService(t.Context(), root, "document-service", admin.AnyRevision); err != nil {
		t.Fatal(err)
	}
	again := f.service(t, admin.ServiceSpec{Name: "document-service", Audiences: []string{"parse-service"}})
	checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: again, form: form("token", token)}))
}

func TestIntrospectionOfBadTokensIsInactive(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	good := f.token(t, "document-service", secret, "parse-service")
	parts := strings.Split(good, ".")
	bad := map[string]string{
		"text":             "abc",
		"empty parts":      "..",
		"truncated":        good[:len(good)-1],
		"longer":           good + "A",
		"no signature":     parts[0] + "." + parts[1] + ".",
		"other signature":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"alg none":         "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"a secret":         secret,
		"huge":             strings.Repeat("a", 12<<10),
		"foreign":          "eyJhbGciOiJFUzI1NiIsImtpZCI6IngiLCJ0eXAiOiJhdCtqd3QifQ.eyJpc3MiOiJodHRwczovL290aGVyLmV4YW1wbGUifQ.AAAA",
		"control in token": "a\x01b",
	}
	for name, token := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", token)}))
			a := f.do(t, call{path: revoke, id: "document-service", secret: secret, form: form("token", token)})
			if a.status != http.StatusOK || a.text != "" {
				t.Errorf("revoke: %d %s", a.status, a.text)
			}
		})
	}
}

func TestIntrospectionOfAnExpiredTokenIsInactive(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	token := f.token(t, "document-service", secret, "parse-service")
	f.Clock.Advance(15*time.Minute + 61*time.Second)
	checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", token)}))
}

func TestIntrospectionAndRevocationRequests(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	token := f.token(t, "document-service", secret, "parse-service")
	for _, path := range []string{introspect, revoke} {
		tests := []struct {
			name   string
			call   call
			status int
			word   string
		}{
			{"no credentials", call{form: form("token", token)}, 401, "invalid_client"},
			{"wrong secret", call{id: "document-service", secret: "x", form: form("token", token)}, 401, "invalid_client"},
			{"the token as credentials", call{header: http.Header{"Authorization": {"Bearer " + token}}, form: form("token", token)}, 401, "invalid_client"},
			{"no token", call{id: "document-service", secret: secret, form: form("token_type_hint", "access_token")}, 400, "invalid_request"},
			{"two tokens", call{id: "document-service", secret: secret, form: form("token", token, "token", token)}, 400, "invalid_request"},
			{"both authentications", call{id: "document-service", secret: secret, form: form("token", token, "client_secret", secret)}, 400, "invalid_request"},
			{"in the URL", call{path: path + "?token=x", id: "document-service", secret: secret, form: form("token", token)}, 400, "invalid_request"},
			{"too large", call{id: "document-service", secret: secret, form: form("token", strings.Repeat("x", 16<<10))}, 413, "invalid_request"},
		}
		for _, tt := range tests {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				if tt.call.path == "" {
					tt.call.path = path
				}
				a := f.do(t, tt.call)
				if a.status != tt.status || a.word("error") != tt.word {
					t.Fatalf("got %d %s", a.status, a.text)
				}
				checkRefusal(t, a)
			})
		}
	}
}

// vulnerabilities 22: after the 200 nobody takes the token any more.
func TestRevocation(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	secret := secrets["backend-actor"]
	token := f.token(t, "backend-actor", secret, "document-service")
	other := f.token(t, "backend-actor", secret, "document-service")
	a := f.do(t, call{path: revoke, id: "backend-actor", secret: secret, form: form("token", token, "token_type_hint", "access_token")})
	if a.status != http.StatusOK || a.text != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if e := f.event(t, a); e.Action != "revoke" || e.Decision != audit.Changed || e.Actor != "service:backend-actor" || e.TokenID == "" {
		t.Errorf("event %+v", e)
	}
	checkInactive(t, f.do(t, call{path: introspect, id: "backend-actor", secret: secret, form: form("token", token)}))
	checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: secrets["document-service"], form: form("token", token)}))
	if a := f.do(t, call{path: introspect, id: "backend-actor", secret: secret, form: form("token", other)}); a.body["active"] != true {
		t.Errorf("another token ended too: %s", a.text)
	}
	if a := f.do(t, call{path: revoke, id: "backend-actor", secret: secret, form: form("token", token)}); a.status != http.StatusOK {
		t.Errorf("again: %d %s", a.status, a.text)
	}
}

// vulnerabilities 24 and RULES B5: nobody ends another client's token, not even the
// receiver that it is for.
func TestRuleB5RevocationByOthersIsRefused(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	token := f.token(t, "backend-actor", secrets["backend-actor"], "document-service")
	for _, who := range []string{"document-service", "parse-service"} {
		a := f.do(t, call{path: revoke, id: who, secret: secrets[who], form: form("token", token)})
		if a.status != http.StatusBadRequest || a.word("error") != "unauthorized_client" {
			t.Errorf("%s: %d %s", who, a.status, a.text)
		}
		if e := f.event(t, a); e.Action != "revoke" || e.Decision != audit.Refused || e.Service != who {
			t.Errorf("event %+v", e)
		}
	}
	if a := f.do(t, call{path: introspect, id: "backend-actor", secret: secrets["backend-actor"], form: form("token", token)}); a.body["active"] != true {
		t.Errorf("the token ended: %s", a.text)
	}
}

// vulnerabilities 22: what can't be stored is not acknowledged.
func TestVulnerability22StoreFailureIsNot200(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	secret := secrets["document-service"]
	token := f.token(t, "document-service", secret, "parse-service")
	f.do(t, call{path: introspect, id: "parse-service", secret: secrets["parse-service"], form: form("token", token)})
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	a := f.do(t, call{path: revoke, id: "document-service", secret: secret, form: form("token", token)})
	if a.status != http.StatusServiceUnavailable || a.word("error") != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("revoke: %d %s", a.status, a.text)
	}
	if _, ok := a.body["active"]; ok {
		t.Errorf("revoke: %s", a.text)
	}
	// Whether the token is revoked can't be told without its service's record.
	f.Registry.Forget("document-service")
	a = f.do(t, call{path: introspect, id: "parse-service", secret: secrets["parse-service"], form: form("token", token)})
	if a.status != http.StatusServiceUnavailable || a.word("error") != "temporarily_unavailable" {
		t.Errorf("introspect: %d %s", a.status, a.text)
	}
	// Nor who the client is.
	a = f.do(t, call{id: "document-service", secret: secret, form: grant()})
	if a.status != http.StatusServiceUnavailable || a.word("error") != "temporarily_unavailable" {
		t.Errorf("token: %d %s", a.status, a.text)
	}
}

// RULES G1: the Unix socket's peer is the local administrator, without credentials.
func TestRuleG1LocalAdministratorOnTheSocket(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secrets := f.story(t)
	token := f.token(t, "backend-actor", secrets["backend-actor"], "document-service")
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f.handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Config.ConnContext = web.ConnContext
	server.Start()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	post := func(path string, form url.Values) answer {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return readAnswer(t, response)
	}
	a := post(introspect, form("token", token))
	if a.body["active"] != true {
		t.Fatalf("introspect: %d %s", a.status, a.text)
	}
	if e := f.event(t, a); !strings.HasPrefix(e.Actor, "local:") || e.Proof != "unix_socket" || e.Service != "" {
		t.Errorf("event %+v", e)
	}
	if a := post("/oauth2/token", grant("audience", "parse-service")); a.status != http.StatusUnauthorized {
		t.Errorf("an administrator minted as a service: %d %s", a.status, a.text)
	}
	if a := post(introspect, form("token", token, "client_id", "backend-actor")); a.status != http.StatusUnauthorized {
		t.Errorf("half of a client's credentials: %d %s", a.status, a.text)
	}
	if a := post(revoke, form("token", token, "client_assertion", "x")); a.status != http.StatusBadRequest {
		t.Errorf("an assertion: %d %s", a.status, a.text)
	}
	if a := post(introspect, form("token", token, "client_id", "parse-service", "client_secret", secrets["parse-service"])); a.body["active"] != false {
		t.Errorf("as a client, on the socket: %d %s", a.status, a.text)
	}
	if a := post(revoke, form("token", token)); a.status != http.StatusOK {
		t.Errorf("revoke: %d %s", a.status, a.text)
	}
	checkInactive(t, post(introspect, form("token", token)))
}
