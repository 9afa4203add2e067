package tokensource_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func mustKey[K any](t *testing.T) func(K, error) K {
	return func(key K, err error) K {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
}

func writeKey(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyed(e *endpoint, path string) *tokensource.ClientCredentials {
	source := newSource(e)
	source.ClientSecret = countersign.Secret{}
	source.PrivateKeyFile, source.Issuer, source.KeyID = path, "https://auth.example.com", "k1"
	return source
}

func TestPrivateKeySignsAnAssertion(t *testing.T) {
	t.Parallel()
	ec := mustKey[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	small := mustKey[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := mustKey[[]byte](t)
	jwk := mustKey[[]byte](t)(jose.JSONWebKey{Key: ec, KeyID: "of the jwk", Algorithm: "ES256"}.MarshalJSON())
	tests := map[string]struct {
		file      []byte
		public    any
		algorithm jose.SignatureAlgorithm
		keyID     string
	}{
		"PKCS 8, EC":  {pemOf("PRIVATE KEY", der(x509.MarshalPKCS8PrivateKey(ec))), ec.Public(), jose.ES256, "k1"},
		"PKCS 8, RSA": {pemOf("PRIVATE KEY", der(x509.MarshalPKCS8PrivateKey(small))), small.Public(), jose.RS256, "k1"},
		"PKCS 8, Ed":  {pemOf("PRIVATE KEY", der(x509.MarshalPKCS8PrivateKey(ed))), ed.Public(), jose.EdDSA, "k1"},
		"SEC 1":       {pemOf("EC PRIVATE KEY", der(x509.MarshalECPrivateKey(ec))), ec.Public(), jose.ES256, "k1"},
		"openssl": {append(pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}),
			pemOf("EC PRIVATE KEY", der(x509.MarshalECPrivateKey(ec)))...), ec.Public(), jose.ES256, "k1"},
		"PKCS 1": {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), small.Public(), jose.RS256, "k1"},
		"JWK":    {jwk, ec.Public(), jose.ES256, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			var form url.Values
			e.set(func(r *http.Request) (int, http.Header, string) {
				_ = r.ParseForm()
				form = r.PostForm
				if _, _, basic := r.BasicAuth(); basic {
					t.Error("two kinds of client authentication")
				}
				return 200, nil, tokenBody("t", 60)
			})
			source := keyed(e, writeKey(t, test.file))
			defer source.Close()
			if test.keyID == "" {
				source.KeyID, test.keyID = "", "of the jwk"
			}
			at := time.Unix(1_800_000_000, 0)
			source.Now = func() time.Time { return at }
			mustToken(t, source, "parse-service")
			if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Has("client_secret") {
				t.Errorf("form %v", form)
			}
			signed, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{test.algorithm})
			if err != nil || signed.Signatures[0].Header.KeyID != test.keyID {
				t.Fatalf("%v, header %+v", err, signed)
			}
			payload, err := signed.Verify(test.public)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Iss, Sub, Jti string
				Aud           any
				Iat, Exp      int64
			}
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Iss != "document-service" || claims.Sub != claims.Iss || claims.Aud != "https://auth.example.com" ||
				claims.Iat != at.Unix() || claims.Exp != at.Unix()+60 || len(claims.Jti) < 20 {
				t.Errorf("claims %s", payload)
			}
		})
	}
}

// TestRuleB2AssertionsServeOnce: each request has one of its own.
func TestRuleB2AssertionsServeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := mustKey[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		seen := make(map[string]bool)
		e := &endpoint{}
		e.set(func(r *http.Request) (int, http.Header, string) {
			seen[r.PostFormValue("client_assertion")] = true
			return 200, nil, tokenBody("t", 60)
		})
		source := keyed(e, writeKey(t, pemOf("EC PRIVATE KEY", mustKey[[]byte](t)(x509.MarshalECPrivateKey(key)))))
		defer source.Close()
		for i := range 5 {
			mustToken(t, source, fmt.Sprint(i))
			mustToken(t, source, fmt.Sprint(i))
		}
		if len(seen) != 5 {
			t.Errorf("%d assertions for 5 requests", len(seen))
		}
	})
}

func TestPrivateKeysThatCanNotBeUsed(t *testing.T) {
	t.Parallel()
	p384 := mustKey[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	ec := mustKey[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := mustKey[[]byte](t)
	files := map[string][]byte{
		"empty":          {},
		"no key":         []byte("secret-canary"),
		"P-384":          pemOf("PRIVATE KEY", der(x509.MarshalPKCS8PrivateKey(p384))),
		"public PEM":     pemOf("PUBLIC KEY", der(x509.MarshalPKIXPublicKey(ec.Public()))),
		"certificate":    pemOf("CERTIFICATE", []byte("secret-canary")),
		"broken":         pemOf("PRIVATE KEY", []byte("secret-canary")),
		"parameters":     pemOf("EC PARAMETERS", []byte{6, 8}),
		"public JWK":     der(jose.JSONWebKey{Key: ec.Public(), KeyID: "k"}.MarshalJSON()),
		"symmetric JWK":  []byte(`{"kty":"oct","k":"c2VjcmV0LWNhbmFyeQ"}`),
		"JWK, other alg": der(jose.JSONWebKey{Key: ec, KeyID: "k", Algorithm: "ES512"}.MarshalJSON()),
		"too large":      []byte(strings.Repeat("x", 40<<10)),
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			source := keyed(e, writeKey(t, text))
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			if code := countersign.CodeOf(err); code != countersign.Invalid && code != countersign.Unavailable {
				t.Errorf("code %s (%v)", code, err)
			}
			if e.calls.Load() != 0 || strings.Contains(fmt.Sprint(err), "canary") || strings.Contains(fmt.Sprint(err), "c2VjcmV0") {
				t.Errorf("%d requests, %v", e.calls.Load(), err)
			}
		})
	}
	source := keyed(&endpoint{}, filepath.Join(t.TempDir(), "none"))
	defer source.Close()
	_, err := source.Token(t.Context(), "a")
	wantCode(t, err, countersign.Unavailable)
}

func TestPrivateKeyConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tokensource.ClientCredentials){
		"no issuer":          func(c *tokensource.ClientCredentials) { c.Issuer = "" },
		"a secret, too":      func(c *tokensource.ClientCredentials) { c.ClientSecret = countersign.NewSecret("s") },
		"a secret file, too": func(c *tokensource.ClientCredentials) { c.ClientSecretFile = "s" },
		"issuer, no key":     func(c *tokensource.ClientCredentials) { c.PrivateKeyFile, c.ClientSecretFile = "", "s" },
	} {
		source := keyed(&endpoint{}, "key")
		change(source)
		_, err := source.Token(t.Context(), "a")
		if countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		_ = source.Close()
	}
}
