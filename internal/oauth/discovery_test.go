package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/oauth"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		a := f.do(t, call{method: http.MethodGet, path: path})
		if a.status != http.StatusOK || a.word("issuer") != issuer || a.word("jwks_uri") != issuer+"/.well-known/jwks.json" ||
			a.word("token_endpoint") != issuer+"/oauth2/token" || a.word("introspection_endpoint") != issuer+introspect || a.word("revocation_endpoint") != issuer+revoke {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
		for name, value := range a.body {
			if list, ok := value.([]any); ok && len(list) == 0 {
				t.Errorf("%s is empty: RFC 8414 §3.2 wants it left out", name)
			}
		}
		for _, name := range []string{"response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported", "grant_types_supported", "token_endpoint_auth_methods_supported"} {
			if _, ok := a.body[name]; !ok {
				t.Errorf("%s is missing", name)
			}
		}
	}
}

func TestJWKSCaching(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	const path = "/.well-known/jwks.json"
	a := f.do(t, call{method: http.MethodGet, path: path})
	etag := a.header.Get("ETag")
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=300" || !strings.HasPrefix(etag, `"`) {
		t.Fatalf("got %d %v", a.status, a.header)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.text), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("keys: %v %s", err, a.text)
	}
	for _, key := range set.Keys {
		if _, private := key["d"]; private {
			t.Fatal("a private key is published")
		}
	}
	a = f.do(t, call{method: http.MethodGet, path: path, header: http.Header{"If-None-Match": {etag}}})
	if a.status != http.StatusNotModified || a.text != "" || a.header.Get("ETag") != etag {
		t.Errorf("with the ETag: %d %s", a.status, a.text)
	}
	if a := f.do(t, call{method: http.MethodGet, path: path, header: http.Header{"If-None-Match": {`"other"`}}}); a.status != http.StatusOK {
		t.Errorf("with another ETag: %d", a.status)
	}
	server := httptest.NewServer(f.handler)
	t.Cleanup(server.Close)
	response, err := server.Client().Head(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	head := readAnswer(t, response)
	_ = response.Body.Close()
	if head.status != http.StatusOK || head.text != "" || head.header.Get("ETag") != etag || response.ContentLength <= 0 {
		t.Errorf("HEAD: %d %q %v", head.status, head.text, head.header)
	}
}

// An issuer with a path is served below it, and its RFC 8414 metadata in front of it.
func TestIssuerWithAPath(t *testing.T) {
	t.Parallel()
	const deep = "https://auth.example.com/deep/"
	f := newRig(t, func(cfg *oauth.Config) { cfg.Issuer = deep })
	for _, path := range []string{
		"/.well-known/openid-configuration", "/deep/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/deep",
	} {
		a := f.do(t, call{method: http.MethodGet, path: path})
		if a.word("issuer") != deep || a.word("token_endpoint") != "https://auth.example.com/deep/oauth2/token" {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	secret := f.story(t)["document-service"]
	if a := f.do(t, call{path: "/deep/oauth2/token", id: "document-service", secret: secret, form: grant()}); a.status != http.StatusOK {
		t.Errorf("token: %d %s", a.status, a.text)
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	t.Parallel()
	if _, err := oauth.New(oauth.Config{Issuer: issuer}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("without its parts: %v", err)
	}
	for _, bad := range []string{"", "auth.example.com", "/deep", "https://a.example.com?x=1", "https://a.example.com#x", "https://user@a.example.com", "https://a.example.com/a//b", "https://a.example.com/{x}", "https://a.example.com/%20"} {
		newRig(t, func(cfg *oauth.Config) {
			broken := *cfg
			broken.Issuer = bad
			if _, err := oauth.New(broken); !errors.Is(err, countersign.Invalid) {
				t.Errorf("issuer %q: %v", bad, err)
			}
		})
	}
}
