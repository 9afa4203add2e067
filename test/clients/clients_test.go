//go:build clients

// Package clients lets programs that nobody here wrote use the real server: they get
// tokens from it and verify them by its published keys. `make test` installs them; one
// that is missing fails the run.
package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/authtest"
)

func setUp(t *testing.T) (*authtest.Server, *authtest.Identity) {
	t.Helper()
	srv := authtest.New(t)
	return srv, srv.CreateService(t, "document-service", authtest.Service{
		Scopes: []string{"s2s:internal"}, Audiences: []string{"parse-service", "billing-service"},
	})
}

func config(srv *authtest.Server, service *authtest.Identity, style oauth2.AuthStyle) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: service.Name, ClientSecret: service.Secret.Reveal(), TokenURL: srv.URL + "/oauth2/token",
		Scopes: []string{"s2s:internal"}, EndpointParams: url.Values{"audience": {"parse-service"}}, AuthStyle: style,
	}
}

// TestXOAuth2GetsTokens uses golang.org/x/oauth2 with both client authentications.
func TestXOAuth2GetsTokens(t *testing.T) {
	t.Parallel()
	srv, service := setUp(t)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
		token, err := config(srv, service, style).Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if token.TokenType != "Bearer" || !token.Expiry.After(time.Now()) {
			t.Errorf("style %d: %+v", style, token.Expiry)
		}
	}
	wrong := config(srv, service, oauth2.AuthStyleInHeader)
	wrong.ClientSecret = "wrong"
	var refused *oauth2.RetrieveError
	if _, err := wrong.Token(t.Context()); !asRetrieveError(err, &refused) || refused.ErrorCode != "invalid_client" {
		t.Errorf("a wrong secret: %v", err)
	}
}

func asRetrieveError(err error, target **oauth2.RetrieveError) bool {
	e, ok := err.(*oauth2.RetrieveError) //nolint:errorlint // x/oauth2 returns it bare
	*target = e
	return ok
}

// TestGoOIDCVerifiesByDiscovery lets coreos/go-oidc discover us and verify a token.
func TestGoOIDCVerifiesByDiscovery(t *testing.T) {
	t.Parallel()
	srv, service := setUp(t)
	provider, err := oidc.NewProvider(t.Context(), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	token := service.Token(t, "parse-service").Reveal()
	verified, err := provider.Verifier(&oidc.Config{ClientID: "parse-service", SupportedSigningAlgs: []string{"ES256"}}).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Subject != "document-service" || verified.Issuer != srv.URL || !slices.Equal(verified.Audience, []string{"parse-service"}) {
		t.Errorf("%+v", verified)
	}
	if _, err := provider.Verifier(&oidc.Config{ClientID: "billing-service", SupportedSigningAlgs: []string{"ES256"}}).Verify(t.Context(), token); err == nil {
		t.Error("go-oidc accepted a token for another receiver")
	}
}

// TestSecondJOSELibrariesVerifyFromOurJWKS uses go-jose and golang-jwt.
func TestSecondJOSELibrariesVerifyFromOurJWKS(t *testing.T) {
	t.Parallel()
	srv, service := setUp(t)
	token := service.Token(t, "parse-service").Reveal()
	response, err := http.Get(srv.URL + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims josejwt.Claims
	if err := parsed.Claims(set.Key(parsed.Headers[0].KeyID)[0].Key, &claims); err != nil {
		t.Fatal(err)
	}
	if err := claims.Validate(josejwt.Expected{Issuer: srv.URL, AnyAudience: josejwt.Audience{"parse-service"}, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	_, err = jwt.Parse(token, func(tok *jwt.Token) (any, error) {
		return set.Key(tok.Header["kid"].(string))[0].Key, nil
	}, jwt.WithIssuer(srv.URL), jwt.WithAudience("parse-service"), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithValidMethods([]string{"ES256"}))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAuthlibGetsAndVerifiesTokens runs a Python client on Debian's authlib.
func TestAuthlibGetsAndVerifiesTokens(t *testing.T) {
	t.Parallel()
	srv, service := setUp(t)
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		command := exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join("testdata", "authlib_client.py"))
		command.Env = append(os.Environ(), "AUTHLIB_INSECURE_TRANSPORT=1", "NO_PROXY=127.0.0.1",
			"ISSUER="+srv.URL, "CLIENT_ID="+service.Name, "CLIENT_SECRET="+service.Secret.Reveal(), "METHOD="+method)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", method, err, out)
		}
		if !strings.Contains(string(out), "authlib: ok document-service parse-service") {
			t.Errorf("%s: %s", method, out)
		}
	}
}

// TestCurlGetsIntrospectsAndRevokes types what the README says.
func TestCurlGetsIntrospectsAndRevokes(t *testing.T) {
	t.Parallel()
	srv, service := setUp(t)
	curl := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "curl", append([]string{"-s", "--noproxy", "*"}, args...)...)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("curl: %v %s", err, stderr.String())
		}
		return string(out)
	}
	user := service.Name + ":" + service.Secret.Reveal()
	var reply struct {
		Token string `json:"access_token"`
	}
	body := curl("-u", user, "-d", "grant_type=client_credentials", "-d", "audience=parse-service", srv.URL+"/oauth2/token")
	if err := json.Unmarshal([]byte(body), &reply); err != nil || reply.Token == "" {
		t.Fatalf("%v in %s", err, body)
	}
	introspect := func() string { return curl("-u", user, "-d", "token="+reply.Token, srv.URL+"/oauth2/introspect") }
	if got := introspect(); !strings.Contains(got, `"active":true`) {
		t.Errorf("introspect: %s", got)
	}
	if got := curl("-o", os.DevNull, "-w", "%{http_code}", "-u", user, "-d", "token="+reply.Token, srv.URL+"/oauth2/revoke"); got != "200" {
		t.Errorf("revoke: %s", got)
	}
	if got := introspect(); !strings.Contains(got, `"active":false`) {
		t.Errorf("introspect after revoke: %s", got)
	}
}
