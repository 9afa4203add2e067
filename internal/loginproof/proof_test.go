package loginproof_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/loginproof"
)

const audience = "https://auth.example.com"

var at = time.Unix(1_800_000_000, 0)

func newRequest(method, target, authorization string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Authorization", authorization)
	return r
}

func key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) }

func verify(r *http.Request, now time.Time) (loginproof.Claims, error) {
	p, err := loginproof.Parse(r.Header)
	if err != nil {
		return loginproof.Claims{}, err
	}
	public, _ := key().Public().(ed25519.PublicKey)
	return p.Verify(public, audience, r, now)
}

func TestProof(t *testing.T) {
	t.Parallel()
	target := "/api/iam/v1/admin/services/a%2Fb?after=x&limit=1"
	asked := httptest.NewRequest(http.MethodPost, target, nil)
	text := loginproof.Sign(key(), "l1", audience, asked, []byte("body"), at)
	if !loginproof.Present(http.Header{"Authorization": {text}}) || loginproof.Present(http.Header{"Authorization": {"Bearer x"}}) {
		t.Error("present is wrong")
	}
	claims, err := verify(newRequest(http.MethodPost, target, text), at.Add(time.Minute))
	if err != nil || claims.BodyHash != loginproof.HashBody([]byte("body")) {
		t.Fatal(claims, err)
	}
	body := strings.Split(text, ".")
	head := func(text string) string {
		return loginproof.Scheme + " " + base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + body[1] + "." + body[2]
	}
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	for name, c := range map[string]struct {
		r    *http.Request
		at   time.Time
		code countersign.Code
	}{
		"another method":      {newRequest(http.MethodPut, target, text), at, countersign.BadToken},
		"another path":        {newRequest(http.MethodPost, "/api/iam/v1/admin/services/a/b?after=x&limit=1", text), at, countersign.BadToken},
		"another query":       {newRequest(http.MethodPost, target+"0", text), at, countersign.BadToken},
		"no query":            {newRequest(http.MethodPost, "/api/iam/v1/admin/services/a%2Fb", text), at, countersign.BadToken},
		"too old":             {newRequest(http.MethodPost, target, text), at.Add(61 * time.Second), countersign.Skewed},
		"from the future":     {newRequest(http.MethodPost, target, text), at.Add(-61 * time.Second), countersign.Skewed},
		"another key":         {newRequest(http.MethodPost, target, loginproof.Sign(other, "l1", audience, asked, nil, at)), at, countersign.BadToken},
		"for another":         {newRequest(http.MethodPost, target, loginproof.Sign(key(), "l1", "https://evil.example", asked, nil, at)), at, countersign.BadToken},
		"alg none":            {newRequest(http.MethodPost, target, head(`{"alg":"none","typ":"countersign-login+jwt","kid":"l1"}`)), at, countersign.BadToken},
		"another typ":         {newRequest(http.MethodPost, target, head(`{"alg":"EdDSA","typ":"at+jwt","kid":"l1"}`)), at, countersign.BadToken},
		"its own key":         {newRequest(http.MethodPost, target, head(`{"alg":"EdDSA","typ":"countersign-login+jwt","kid":"l1","jwk":{}}`)), at, countersign.BadToken},
		"no signature":        {newRequest(http.MethodPost, target, body[0]+"."+body[1]+"."), at, countersign.BadToken},
		"two parts":           {newRequest(http.MethodPost, target, body[0]+"."+body[1]), at, countersign.BadToken},
		"nothing":             {newRequest(http.MethodPost, target, loginproof.Scheme), at, countersign.BadToken},
		"much":                {newRequest(http.MethodPost, target, loginproof.Scheme+" "+strings.Repeat("a.", 1<<14)), at, countersign.BadToken},
		"a changed last byte": {newRequest(http.MethodPost, target, text[:len(text)-2]+"xx"), at, countersign.BadToken},
	} {
		if _, err := verify(c.r, c.at); !errors.Is(err, c.code) {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	twice := newRequest(http.MethodPost, target, text)
	twice.Header.Add("Authorization", "Bearer x")
	if _, err := verify(twice, at); !errors.Is(err, countersign.BadHeader) {
		t.Errorf("beside another header: %v", err)
	}
	twice = newRequest(http.MethodPost, target, text)
	twice.Header.Add("Service-Authorization", "Bearer x")
	if _, err := verify(twice, at); !errors.Is(err, countersign.BadHeader) {
		t.Errorf("beside a service's token: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(loginproof.Sign(key(), "l1", audience, httptest.NewRequest(http.MethodGet, "/", nil), nil, at))
	f.Add(loginproof.Scheme + " e30.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header["Authorization"] = []string{text}
		if _, err := verify(r, at); err == nil {
			t.Error("a proof of another request is good")
		}
	})
}

// RULES G1: a proof is for the tenant, the revision and the kind of body that it was made for.
func TestRuleG1AProofBindsTheHeadersThatCount(t *testing.T) {
	t.Parallel()
	asked := httptest.NewRequest(http.MethodPut, "/x", nil)
	asked.Header = http.Header{"X-Active-Tenant-Id": {"acme"}, "If-Match": {`"1"`}, "Content-Type": {"application/json"}}
	text := loginproof.Sign(key(), "l1", audience, asked, nil, at)
	with := func(change func(http.Header)) error {
		r := newRequest(http.MethodPut, "/x", text)
		for name, values := range asked.Header {
			r.Header[name] = values
		}
		change(r.Header)
		_, err := verify(r, at)
		return err
	}
	if err := with(func(h http.Header) { h.Set("User-Agent", "a proxy's") }); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(http.Header){
		"another tenant":        func(h http.Header) { h.Set("X-Active-Tenant-ID", "beta") },
		"no tenant":             func(h http.Header) { h.Del("X-Active-Tenant-ID") },
		"an empty tenant":       func(h http.Header) { h["X-Active-Tenant-Id"] = []string{""} },
		"two tenants":           func(h http.Header) { h["X-Active-Tenant-Id"] = []string{"acme", "beta"} },
		"another revision":      func(h http.Header) { h.Set("If-Match", "*") },
		"no revision":           func(h http.Header) { h.Del("If-Match") },
		"only if there is none": func(h http.Header) { h.Set("If-None-Match", "*") },
		"one for the other":     func(h http.Header) { h.Del("If-Match"); h.Set("If-None-Match", `"1"`) },
		"another type":          func(h http.Header) { h.Set("Content-Type", "application/merge-patch+json") },
	} {
		if err := with(change); !errors.Is(err, countersign.BadToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
