package authtest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/verify"
)

// UserIssuer is a foreign OIDC issuer on loopback: it stands for the identity
// provider that signs people in and knows nothing of Countersign. It serves
// discovery and its keys, and signs RS256 ID tokens. Safe for concurrent use.
type UserIssuer struct {
	// URL is the issuer URL; Audience the client id in every token.
	URL, Audience string
	// Clock says when tokens are issued; nil = real time.
	Clock *Clock

	signer jose.Signer
	server *httptest.Server
}

const userKeyID = "user-issuer-1"

// NewUserIssuer starts an issuer whose tokens have the given audience. It ends with
// the test.
func NewUserIssuer(tb TB, audience string) *UserIssuer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatalf("authtest: make the user issuer's key: %v", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: userKeyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		tb.Fatalf("authtest: make the user issuer's signer: %v", err)
	}
	i := &UserIssuer{Audience: audience, signer: signer}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: key.Public(), KeyID: userKeyID, Algorithm: "RS256", Use: "sig"}}})
	})
	i.server = httptest.NewServer(mux)
	i.URL = i.server.URL
	tb.Cleanup(i.server.Close)
	return i
}

// Token signs a user in: what a browser holds after a login. It lives an hour.
// Further claims are added as they are and may replace the usual ones, so that a
// test can make a bad token.
func (i *UserIssuer) Token(tb TB, subject string, claims map[string]any) string {
	tb.Helper()
	now := i.Clock.now()
	all := map[string]any{
		"iss": i.URL, "sub": subject, "aud": i.Audience,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(all, claims)
	token, err := jwt.Signed(i.signer).Claims(all).Serialize()
	if err != nil {
		tb.Fatalf("authtest: sign the user's token: %v", err)
	}
	return token
}

// Trust returns the entry for a receiver's verifier.
func (i *UserIssuer) Trust() verify.Issuer {
	return verify.Issuer{URL: i.URL, Subject: verify.User, Audiences: []string{i.Audience}}
}

// now lets a nil Clock show the real time.
func (c *Clock) now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.Now()
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
