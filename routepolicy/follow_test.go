package routepolicy_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

// policyServer is a Countersign as far as a follower sees of it.
type policyServer struct {
	*httptest.Server
	mu      sync.Mutex
	private ed25519.PrivateKey
	kid     string
	header  map[string]any // instead of the good one
	payload map[string]any // over the good one
	raw     string         // instead of all
	status  int
	asked   chan struct{}
}

const followed = `{"kind":"RoutePolicy","name":"p","service":"parse-service","enforce":true,"rules":[{"name":"documents","from":{"services":["document-service"]},"to":{"methods":["POST"],"paths":["/v1/parse/**"]}}]}`

func newPolicyServer(t *testing.T) *policyServer {
	t.Helper()
	s := &policyServer{kid: "k1", asked: make(chan struct{}, 1000)}
	_, s.private, _ = ed25519.GenerateKey(nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "jwks_uri": s.URL + "/jwks", "policies_jwks_uri": s.URL + "/policy-jwks"})
	})
	mux.HandleFunc("GET /policy-jwks", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		public := s.private.Public().(ed25519.PublicKey)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": s.kid, "x": base64.RawURLEncoding.EncodeToString(public)}}})
	})
	mux.HandleFunc("GET /api/iam/v1/system/route-policies/parse-service", func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.asked <- struct{}{} }()
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer own-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if s.status != 0 {
			w.WriteHeader(s.status)
			return
		}
		_, _ = w.Write([]byte(s.signed(s.private)))
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *policyServer) signed(by ed25519.PrivateKey) string {
	if s.raw != "" {
		return s.raw
	}
	header := map[string]any{"alg": "EdDSA", "typ": "route-policies+jwt", "kid": s.kid}
	if s.header != nil {
		header = s.header
	}
	payload := map[string]any{"iss": s.URL, "aud": "parse-service", "iat": time.Now().Unix(), "policies": []json.RawMessage{[]byte(followed)}}
	for name, value := range s.payload {
		payload[name] = value
	}
	encode := func(v any) string { text, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(text) }
	input := encode(header) + "." + encode(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(by, []byte(input)))
}

func (s *policyServer) change(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// follow starts a follower whose refusals come out of the channel.
func (s *policyServer) follow(t *testing.T, change ...func(*routepolicy.FollowerConfig)) (*routepolicy.Follower, <-chan error) {
	t.Helper()
	refused := make(chan error, 1000)
	cfg := routepolicy.FollowerConfig{
		URL: s.URL, Service: "parse-service", Every: time.Millisecond,
		Source: routepolicy.TokenFunc(func(_ context.Context, audience string) (countersign.Secret, error) {
			if audience != "iam-service" {
				return countersign.Secret{}, errors.New("another audience")
			}
			return countersign.NewSecret("own-token"), nil
		}),
		OnError: func(err error) { refused <- err },
	}
	for _, fn := range change {
		fn(&cfg)
	}
	f, err := routepolicy.Follow(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, refused
}

func post(f *routepolicy.Follower) countersign.RouteVerdict {
	caller := &countersign.Principal{Service: countersign.Service{Name: "document-service"}}
	return f.DecideRoute(context.Background(), http.MethodPost, "/v1/parse/7", caller, time.Now())
}

func TestFollowerDecidesByTheServersPolicies(t *testing.T) {
	t.Parallel()
	s := newPolicyServer(t)
	f, _ := s.follow(t)
	<-f.Ready()
	if v := post(f); !v.Allowed || v.Policy != "p" || v.Rule != "documents" {
		t.Errorf("got %+v", v)
	}
	// A change arrives; no policies at all deny everybody.
	s.change(func() { s.payload = map[string]any{"policies": []any{}} })
	for post(f).Allowed {
		<-s.asked
	}
	if v := post(f); v.Reason != countersign.ReasonRouteNotAllowed {
		t.Errorf("without policies: %+v", v)
	}
	// An outage leaves what is in force.
	s.change(func() { s.payload = nil })
	for !post(f).Allowed {
		<-s.asked
	}
	s.change(func() { s.status = http.StatusInternalServerError })
	for range 3 {
		<-s.asked
	}
	if v := post(f); !v.Allowed {
		t.Errorf("in an outage: %+v", v)
	}
}

func TestFollowerDeniesBeforeTheFirstPolicy(t *testing.T) {
	t.Parallel()
	s := newPolicyServer(t)
	s.status = http.StatusServiceUnavailable
	f, refused := s.follow(t)
	<-refused
	if v := post(f); v.Allowed || v.WouldDeny || v.Reason != countersign.ReasonPolicyUnavailable {
		t.Errorf("got %+v", v)
	}
}

// What is not signed by the server's own policy key, for this service, now, is refused, and
// what was in force stays.
func TestFollowerRefuses(t *testing.T) {
	t.Parallel()
	_, stranger, _ := ed25519.GenerateKey(nil)
	payload := func(name string, value any) func(*policyServer) {
		return func(s *policyServer) { s.payload = map[string]any{"policies": []any{}, name: value} }
	}
	header := func(h map[string]any) func(*policyServer) {
		return func(s *policyServer) { s.payload, s.header = map[string]any{"policies": []any{}}, h }
	}
	tests := map[string]func(*policyServer){
		"another key":       func(s *policyServer) { s.payload = map[string]any{"policies": []any{}}; s.raw = s.signed(stranger) },
		"another issuer":    payload("iss", "https://evil.example"),
		"another service":   payload("aud", "other-service"),
		"from the future":   payload("iat", time.Now().Add(time.Hour).Unix()),
		"too old":           payload("iat", time.Now().Add(-time.Hour).Unix()),
		"no time":           payload("iat", 0),
		"unknown member":    payload("exp", 1),
		"a broken policy":   payload("policies", []any{map[string]any{"kind": "RoutePolicy", "name": "p"}}),
		"an unknown field":  payload("policies", []any{json.RawMessage(strings.Replace(followed, `"name":"p"`, `"name":"p","only_on":"monday"`, 1))}),
		"another's policy":  payload("policies", []any{json.RawMessage(strings.Replace(followed, "parse-service", "other-service", 1))}),
		"another type":      header(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}),
		"no algorithm":      header(map[string]any{"alg": "none", "typ": "route-policies+jwt", "kid": "k1"}),
		"another algorithm": header(map[string]any{"alg": "HS256", "typ": "route-policies+jwt", "kid": "k1"}),
		"an unknown key":    header(map[string]any{"alg": "EdDSA", "typ": "route-policies+jwt", "kid": "k2"}),
		"no key":            header(map[string]any{"alg": "EdDSA", "typ": "route-policies+jwt"}),
		"a key of its own":  header(map[string]any{"alg": "EdDSA", "typ": "route-policies+jwt", "kid": "k1", "jwk": map[string]any{}}),
		"garbage":           func(s *policyServer) { s.raw = "garbage" },
		"cut":               func(s *policyServer) { text := s.signed(s.private); s.raw = text[:len(text)-4] },
		"without signature": func(s *policyServer) { text := s.signed(s.private); s.raw = text[:strings.LastIndex(text, ".")+1] },
		"too large":         func(s *policyServer) { s.raw = strings.Repeat("a", 5<<20) },
		"a redirect":        func(s *policyServer) { s.status = http.StatusFound },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPolicyServer(t)
			f, refused := s.follow(t)
			<-f.Ready()
			s.change(func() { spoil(s) })
			for range 2 {
				<-refused
			}
			if v := post(f); !v.Allowed {
				t.Errorf("what was in force is gone: %+v", v)
			}
		})
	}
}

// Somebody who kept an older answer can't bring it into force again.
func TestFollowerIsNotRolledBack(t *testing.T) {
	t.Parallel()
	s := newPolicyServer(t)
	var old string
	s.change(func() {
		s.payload = map[string]any{"iat": time.Now().Add(-time.Minute).Unix()}
		old = s.signed(s.private)
	})
	f, refused := s.follow(t)
	<-f.Ready()
	s.change(func() { s.payload = map[string]any{"policies": []any{}} })
	for post(f).Allowed {
		<-s.asked
	}
	s.change(func() { s.raw = old })
	<-refused
	if v := post(f); v.Allowed {
		t.Errorf("rolled back: %+v", v)
	}
}

func TestFollowerKeepsPoliciesOverARestart(t *testing.T) {
	t.Parallel()
	s := newPolicyServer(t)
	cache := filepath.Join(t.TempDir(), "policies.json")
	with := func(c *routepolicy.FollowerConfig) { c.CacheFile = cache }
	f, _ := s.follow(t, with)
	<-f.Ready()
	_ = f.Close()
	info, err := os.Stat(cache)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	s.change(func() { s.status = http.StatusServiceUnavailable })
	again, refused := s.follow(t, with)
	<-refused
	if v := post(again); !v.Allowed {
		t.Errorf("after a restart in an outage: %+v", v)
	}
	_ = again.Close()

	good, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"changed": func() error {
			return os.WriteFile(cache, []byte(strings.Replace(string(good), `"policies":"e`, `"policies":"f`, 1)), 0o600)
		},
		"cut":                func() error { return os.WriteFile(cache, good[:len(good)/2], 0o600) },
		"writable by others": func() error { return errors.Join(os.WriteFile(cache, good, 0o600), os.Chmod(cache, 0o666)) },
		"a link":             func() error { _ = os.Remove(cache); return os.Symlink("/etc/hostname", cache) },
	} {
		_ = os.Chmod(cache, 0o600)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		spoiled, refused := s.follow(t, with)
		<-refused
		if v := post(spoiled); v.Allowed || v.Reason != countersign.ReasonPolicyUnavailable {
			t.Errorf("%s: %+v", name, v)
		}
		_ = spoiled.Close()
		_ = os.Remove(cache)
	}
}

func TestFollowRefusesABadConfig(t *testing.T) {
	t.Parallel()
	source := routepolicy.TokenFunc(func(context.Context, string) (countersign.Secret, error) { return countersign.Secret{}, nil })
	for name, cfg := range map[string]routepolicy.FollowerConfig{
		"nothing":    {},
		"no service": {URL: "https://auth.example.com", Source: source},
		"no source":  {URL: "https://auth.example.com", Service: "a"},
		"plain http": {URL: "http://auth.example.com", Service: "a", Source: source},
		"no URL":     {Service: "a", Source: source},
		"negative":   {URL: "https://auth.example.com", Service: "a", Source: source, Every: -1},
	} {
		if f, err := routepolicy.Follow(cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
			if f != nil {
				_ = f.Close()
			}
		}
	}
}
