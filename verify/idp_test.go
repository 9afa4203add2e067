package verify_test

import (
	"crypto"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

func publicKeys(keys ...crypto.PublicKey) []crypto.PublicKey { return keys }

func jwk(kid string, key any) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: key, Use: "sig"}
}

// idp is an issuer on a loopback whose answers a test chooses.
type idp struct {
	*httptest.Server
	mux        *http.ServeMux
	mu         sync.Mutex
	discovery  http.HandlerFunc // nil = a right document
	jwks       http.HandlerFunc
	discovered int
	fetched    int
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	p := &idp{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.discovered++
		handler := p.discovery
		p.mu.Unlock()
		if handler == nil {
			handler = p.document(object{"issuer": p.URL, "jwks_uri": p.URL + "/jwks"})
		}
		handler(w, r)
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.fetched++
		handler := p.jwks
		p.mu.Unlock()
		handler(w, r)
	})
	p.mux = mux
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// handle adds an endpoint.
func (p *idp) handle(pattern string, handler http.HandlerFunc) { p.mux.HandleFunc(pattern, handler) }

func (p *idp) document(document any) http.HandlerFunc {
	body := must(json.Marshal(document))
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

// answer sets how the JWKS endpoint answers from now on.
func (p *idp) answer(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jwks = handler
}

func (p *idp) discover(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discovery = handler
}

func (p *idp) publish(keys ...jose.JSONWebKey) {
	p.answer(p.document(jose.JSONWebKeySet{Keys: keys}))
}

func (p *idp) status(code int) {
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func (p *idp) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: now} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (p *idp) discoveries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.discovered
}
