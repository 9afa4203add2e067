package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/verify"
)

var now = time.Unix(1_800_000_000, 0)

func clock() time.Time { return now }

const (
	issuerURL = "https://auth.example.com"
	usersURL  = "https://idp.example.com/pool"
	audience  = "parse-service"
)

var signingKey = func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}()

type claims map[string]any

func (c claims) with(name string, value any) claims {
	c = maps.Clone(c)
	c[name] = value
	return c
}

func serviceClaims(name, scope string) claims {
	return claims{
		"iss": issuerURL, "sub": name, "client_id": name, "service_id": name, "service_uid": "uid-" + name,
		"aud": audience, "scope": scope, "tenant": "acme", "jti": "jti-" + name, "iat": now.Unix(), "exp": now.Unix() + 900,
	}
}

// userClaims: the user's own token holds the scope that only services may use.
func userClaims() claims {
	return claims{
		"iss": usersURL, "sub": "alice", "aud": audience, "scope": "s2s:internal", "roles": []string{"admins"},
		"iat": now.Unix(), "exp": now.Unix() + 900,
	}
}

// exchangedClaims are a user's, by our own issuer, with a service as the actor.
func exchangedClaims() claims {
	return claims{
		"iss": issuerURL, "sub": "alice", "sub_iss": usersURL, "client_id": "document-service", "aud": audience,
		"act": claims{"sub": "document-service"}, "scope": "s2s:internal", "roles": []string{"admin"}, "jti": "jti-x", "iat": now.Unix(), "exp": now.Unix() + 900,
	}
}

// mint signs a token as ES256.
func mint(t testing.TB, c claims) string {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, signingKey, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// newVerifier is the receiver's: our own issuer, and one foreign issuer of users that
// may even assert scopes. maxCached -1 = every token is verified anew.
func newVerifier(t testing.TB, maxCached int) *verify.Verifier {
	t.Helper()
	keys, err := verify.StaticKeys(map[string]any{"k1": &signingKey.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{
		Audience: audience,
		Issuers: []verify.Issuer{
			{URL: issuerURL, Keys: keys},
			{URL: usersURL, Subject: verify.User, Keys: keys, Roles: map[string]string{"admins": "admin"}, Scopes: []string{"s2s:internal"}},
		},
		MaxCached: maxCached,
		Now:       clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// recorder keeps what it is told.
type recorder struct {
	mu        sync.Mutex
	decisions []countersign.Decision
}

func (r *recorder) Record(_ context.Context, d countersign.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decisions = append(r.decisions, d)
}

func (r *recorder) all() []countersign.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]countersign.Decision(nil), r.decisions...)
}

// only returns the one decision that there must be.
func (r *recorder) only(t *testing.T) countersign.Decision {
	t.Helper()
	all := r.all()
	if len(all) != 1 {
		t.Fatalf("%d decisions: %+v", len(all), all)
	}
	return all[0]
}

// answer is a denied caller's view.
type answer struct {
	status    int
	header    http.Header
	Error     string `json:"error"`
	RequestID string `json:"request_id"`
	Reason    string `json:"reason"`
}

// serve sends a request with the given tokens ("" = no header) through h.
func serve(t testing.TB, h http.Handler, authorization, service string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/parse/7?token=in-the-path", nil)
	if authorization != "" {
		r.Header.Set("Authorization", "Bearer "+authorization)
	}
	if service != "" {
		r.Header.Set("Service-Authorization", "Bearer "+service)
	}
	return serveRequest(t, h, r)
}

func serveRequest(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header()}
	if w.Code != http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("body %q: %v", w.Body, err)
		}
	}
	return a
}

// seen is a handler that keeps who called.
type seen struct {
	calls     int
	principal countersign.Principal
	userToken string
}

func (s *seen) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.calls++
	s.principal = *countersign.FromContext(r.Context())
	s.userToken = countersign.UserToken(r.Context()).Reveal()
}

// failing is a verifier that answers every token with one error.
type failing struct{ err error }

func (f failing) Verify(context.Context, string) (*verify.Token, error) { return nil, f.err }
func (failing) Audience() string                                        { return audience }

// knowing is a verifier that takes every token for one principal.
type knowing struct{ principal countersign.Principal }

func (k knowing) Verify(context.Context, string) (*verify.Token, error) {
	return &verify.Token{Principal: k.principal}, nil
}
func (knowing) Audience() string { return audience }

var _ middleware.TokenVerifier = (*verify.Verifier)(nil)
