package scripts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/rogpeppe/go-internal/testscript"
)

// peopleURL is the issuer of the people in the scripts. Its keys are in its document, so
// that nobody has to fetch them.
const peopleURL = "https://people.example.com"

// issuer FILE KEYFILE writes an Issuer document of people, and their issuer's key.
func issuer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: issuer FILE KEYFILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), der, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`kind: Issuer
name: people
url: `+peopleURL+`
subject: user
profile: oidc
audiences: [admin-console]
algorithms: [ES256]
jwks: `+string(jwks)+`
claims: {roles: groups, tenant: tenant}
may_assert: {tenants: [acme, beta], roles: {operators: super-admin, admins: tenant-admin}}
`), 0o600))
}

// signin KEYFILE VARIABLE SUBJECT [CLAIM=VALUE...] signs somebody in: the token is in the
// variable. A value with commas is a list; groups is always one.
func signin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: signin KEYFILE VARIABLE SUBJECT [CLAIM=VALUE...]")
	}
	key, err := x509.ParseECPrivateKey([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	ts.Check(err)
	now := time.Now()
	claims := map[string]any{"iss": peopleURL, "sub": args[2], "aud": "admin-console", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for _, claim := range args[3:] {
		name, value, _ := strings.Cut(claim, "=")
		if claims[name] = value; name == "groups" {
			claims[name] = strings.Split(value, ",")
		}
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	ts.Check(err)
	ts.Setenv(args[1], text)
}
