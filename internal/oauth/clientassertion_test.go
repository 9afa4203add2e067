package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

const assertionKind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyClient is a service of the story that proves itself by a key.
type keyClient struct {
	name string
	kid  string
	key  *ecdsa.PrivateKey
}

// keyed gives a service a key pair.
func (f *rig) keyed(tb testing.TB, name string) keyClient {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	c := keyClient{name, "k-" + name, key}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: c.kid, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		tb.Fatal(err)
	}
	err = f.Store.Update(tb.Context(), func(ctx context.Context, tx store.Tx) error {
		s, err := tx.Service(ctx, name)
		if err != nil {
			return err
		}
		s.JWKS, s.Revision = set, s.Revision+1
		return tx.UpdateService(ctx, s)
	})
	if err != nil {
		tb.Fatal(err)
	}
	f.Registry.Forget(name)
	return c
}

// claims are those of a good assertion.
func (c keyClient) claims(now time.Time, jti string) map[string]any {
	return map[string]any{"iss": c.name, "sub": c.name, "aud": issuer, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "jti": jti}
}

func sign(tb testing.TB, algorithm jose.SignatureAlgorithm, key crypto.PrivateKey, kid string, claims map[string]any) string {
	tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func (c keyClient) sign(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	return sign(tb, jose.ES256, c.key, c.kid, claims)
}

func assert(assertion string, more ...string) url.Values {
	return grant(append([]string{"audience", "parse-service", "client_assertion_type", assertionKind, "client_assertion", assertion}, more...)...)
}

func TestRuleB2AssertionProvesAClient(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	f.story(t)
	c := f.keyed(t, "document-service")
	for name, more := range map[string][]string{"alone": nil, "with client_id": {"client_id", "document-service"}} {
		a := f.do(t, call{form: assert(c.sign(t, c.claims(f.Clock.Now(), name)), more...)})
		if a.status != http.StatusOK || payload(t, a.word("access_token"))["sub"] != "document-service" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

func TestRuleB2AssertionsThatProveNothing(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.ExposeReasons = true })
	secrets := f.story(t)
	c, other := f.keyed(t, "document-service"), f.keyed(t, "backend-actor")
	now := f.Clock.Now()
	with := func(name string, value any) string {
		claims := c.claims(now, "with-"+name)
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return c.sign(t, claims)
	}
	good := c.claims(now, "good")
	hmacKey := []byte(strings.Repeat("k", 32))
	tests := map[string]struct {
		form   url.Values
		status int
	}{
		"another's key":             {assert(sign(t, jose.ES256, other.key, c.kid, good)), 401},
		"another's key and kid":     {assert(sign(t, jose.ES256, other.key, other.kid, good)), 401},
		"no kid, another's key":     {assert(sign(t, jose.ES256, other.key, "", good)), 401},
		"HMAC":                      {assert(sign(t, jose.HS256, hmacKey, c.kid, good)), 401},
		"unknown client":            {assert(c.sign(t, map[string]any{"iss": "nobody", "sub": "nobody", "aud": issuer, "exp": now.Add(time.Minute).Unix(), "jti": "x"})), 401},
		"client without keys":       {assert(c.sign(t, map[string]any{"iss": "parse-service", "sub": "parse-service", "aud": issuer, "exp": now.Add(time.Minute).Unix(), "jti": "x"})), 401},
		"vulnerability 16 list":     {assert(with("aud", []string{issuer})), 401},
		"vulnerability 16 endpoint": {assert(with("aud", issuer+"/oauth2/token")), 401},
		"two audiences":             {assert(with("aud", []string{issuer, "x"})), 401},
		"no audience":               {assert(with("aud", nil)), 401},
		"no expiry":                 {assert(with("exp", nil)), 401},
		"expired":                   {assert(with("exp", now.Add(-2*time.Minute).Unix())), 401},
		"ten minutes":               {assert(with("exp", now.Add(10*time.Minute).Unix())), 401},
		"made long ago":             {assert(with("iat", now.Add(-5*time.Minute).Unix())), 401},
		"from the future":           {assert(with("iat", now.Add(5*time.Minute).Unix())), 401},
		"not yet":                   {assert(with("nbf", now.Add(5*time.Minute).Unix())), 401},
		"no jti":                    {assert(with("jti", nil)), 401},
		"empty jti":                 {assert(with("jti", "")), 401},
		"huge jti":                  {assert(with("jti", strings.Repeat("j", 300))), 401},
		"bound to a key":            {assert(with("cnf", map[string]string{"jkt": "x"})), 401},
		"another subject":           {assert(with("sub", "backend-actor")), 401},
		"another client_id":         {assert(c.sign(t, good), "client_id", "backend-actor"), 401},
		"garbage":                   {assert("a.b.c"), 401},
		"no type":                   {grant("client_assertion", c.sign(t, good)), 400},
		"SAML":                      {grant("client_assertion", "x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 400},
		"a type alone":              {grant("client_assertion_type", assertionKind), 400},
		"beside a secret":           {assert(c.sign(t, good), "client_id", "document-service", "client_secret", secrets["document-service"]), 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := f.do(t, call{form: tt.form, from: "198.51.100." + string(rune('1'+len(name)%9))})
			if a.status != tt.status {
				t.Fatalf("got %d %s, want %d", a.status, a.text, tt.status)
			}
			if tt.status == http.StatusUnauthorized && (a.word("error") != "invalid_client" || a.word("reason") != "") {
				t.Errorf("got %s", a.text)
			}
		})
	}
}

// Of many at once exactly one gets a token, and none after a restart.
func TestRuleB2AssertionIsUsedOnce(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	f.story(t)
	c := f.keyed(t, "document-service")
	assertion := c.sign(t, c.claims(f.Clock.Now(), "once"))
	var got atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if f.do(t, call{form: assert(assertion)}).status == http.StatusOK {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d tokens for one assertion", got.Load())
	}
	again, err := fixture.OpenStore(t, f.Path).UseOnce(t.Context(), "fresh", f.Clock.Now().Add(time.Hour), f.Clock.Now())
	if err != nil || !again {
		t.Fatal(again, err)
	}
	// The same jti of another client is another one.
	other := f.keyed(t, "backend-actor")
	if a := f.do(t, call{form: assert(other.sign(t, other.claims(f.Clock.Now(), "once")))}); a.status != http.StatusOK {
		t.Errorf("another client's: %d %s", a.status, a.text)
	}
}

// brokenOnce can't tell whether a value was used.
type brokenOnce struct{}

func (brokenOnce) UseOnce(context.Context, string, time.Time, time.Time) (bool, error) {
	return true, countersign.Unavailable
}

// TestRuleB2: without the store nothing that is for one use is accepted; secrets go on.
func TestRuleB2StoreDown(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.SingleUse = brokenOnce{} })
	secrets := f.story(t)
	c := f.keyed(t, "document-service")
	if a := f.do(t, call{form: assert(c.sign(t, c.claims(f.Clock.Now(), "x")))}); a.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", a.status, a.text)
	}
	f.token(t, "document-service", secrets["document-service"], "parse-service")
}

func TestAssertionOfADisabledClientAndOfAnOldKey(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	f.story(t)
	old := f.keyed(t, "document-service")
	fresh := f.keyed(t, "document-service")
	if a := f.do(t, call{form: assert(old.sign(t, old.claims(f.Clock.Now(), "1")))}); a.status != http.StatusUnauthorized {
		t.Errorf("the old key: %d", a.status)
	}
	if a := f.do(t, call{form: assert(fresh.sign(t, fresh.claims(f.Clock.Now(), "2")))}); a.status != http.StatusOK {
		t.Errorf("the new key: %d %s", a.status, a.text)
	}
	if _, err := f.admin.SetServiceDisabled(t.Context(), root, "document-service", -1, true); err != nil {
		t.Fatal(err)
	}
	if a := f.do(t, call{form: assert(fresh.sign(t, fresh.claims(f.Clock.Now(), "3")))}); a.status != http.StatusUnauthorized {
		t.Errorf("disabled: %d", a.status)
	}
}

func TestIdentityRate(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.IdentityRate = 1 })
	secrets := f.story(t)
	ask := func(id, secret string) int {
		return f.do(t, call{id: id, secret: secret, form: grant("audience", "parse-service")}).status
	}
	for range 2 {
		if got := ask("document-service", secrets["document-service"]); got != http.StatusOK {
			t.Fatalf("within the burst: %d", got)
		}
	}
	if got := ask("document-service", secrets["document-service"]); got != http.StatusTooManyRequests {
		t.Errorf("beyond it: %d", got)
	}
	// An unverified claim counts against nobody.
	for range 5 {
		_ = ask("backend-actor", "wrong")
	}
	if got := ask("backend-actor", secrets["backend-actor"]); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
}
