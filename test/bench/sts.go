package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// distinct tokens go round: more than the 1000 that are remembered of one issuer, of
	// which the one that was not used for longest goes first, so that none is ever found.
	distinct = 4000
	// minio is the rate of MinIO's AssumeRoleWithWebIdentity that was measured on a machine
	// of this kind; it is quoted, not run.
	minio = 444.0
)

// stsDocuments are one issuer and the role that it may assume.
const stsDocuments = `kind: Issuer
name: workloads
url: %s
subject: workload
profile: oidc
audiences: [sts-clients]
algorithms: [%s]
---
kind: Role
name: writer
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object, put_object, list_bucket]}]
---
kind: Role
name: templated
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"], condition: 'claims.ref == "refs/heads/main"'}}]
permissions: [{bucket: documents, prefixes: ["{claims.team}/{claims.environment}/"], actions: [get_object]}]
`

// webIdentity prints the rows of AssumeRoleWithWebIdentity.
func webIdentity(o options, folder string) error {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		if err := webIdentityBy(o, filepath.Join(folder, string(algorithm)), algorithm); err != nil {
			return fmt.Errorf("%s: %w", algorithm, err)
		}
	}
	return nil
}

func webIdentityBy(o options, folder string, algorithm jose.SignatureAlgorithm) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	issuer, err := newForeignIssuer(algorithm)
	if err != nil {
		return err
	}
	defer issuer.server.Close()
	key, tokens := filepath.Join(folder, "key.pem"), filepath.Join(folder, "tokens")
	if err := issuer.write(key, tokens); err != nil {
		return err
	}
	floor, err := start(nil, o.floor, "-file", filepath.Join(folder, "floor.log"), "-verify", key)
	if err != nil {
		return err
	}
	defer floor.end()
	cs, _, err := startCountersign(o.binary, filepath.Join(folder, "data"))
	if err != nil {
		return err
	}
	defer cs.end()
	if err := cs.apply(o.binary, fmt.Sprintf(stsDocuments, issuer.server.URL, algorithm)); err != nil {
		return err
	}
	fmt.Printf("\nAssumeRoleWithWebIdentity, %s, distinct tokens of a foreign issuer, audit durable before the reply\n", algorithm)
	if algorithm == jose.ES256 {
		if err := sessionSizes(cs, issuer); err != nil {
			return err
		}
	}
	lua := fmt.Sprintf(stsLua, tokens, assumeForm("writer", nil))
	subjects := []subject{
		{name: "countersign", url: cs.url + "/sts", lua: lua, process: &cs.process},
		{name: "floor", url: floor.url + "/sts", lua: lua, process: floor},
	}
	for _, connections := range []int{16, 64} {
		if err := compare(o, folder, subjects, connections, map[string]string{"floor 16": "≥ 0.80", "floor 64": "≥ 0.80"}); err != nil {
			return err
		}
	}
	for _, s := range subjects { // the floor's shows what this machine can do now
		rate, err := load(folder, s, 64, o.seconds)
		if err != nil {
			return err
		}
		goal := "≥ 15"
		if s.name != "countersign" {
			goal = ""
		}
		row(fmt.Sprintf("%s ÷ MinIO's %.0f/s (quoted)", s.name, minio), fmt.Sprintf("%.1f", rate/minio), goal)
	}
	return allocation(o, folder, cs, subjects[0], "session")
}

// stsLua sends the tokens one after the other.
const stsLua = `
local tokens, n = {}, 0
for line in io.lines(%q) do tokens[#tokens + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
request = function()
  n = n %% #tokens + 1
  return wrk.format(nil, nil, nil, %q .. tokens[n])
end
`

// assumeForm is the body up to the token, which is last.
func assumeForm(role string, more url.Values) string {
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {"arn:aws:iam::000000000000:role/" + role}, "RoleSessionName": {"job-7"},
	}
	for name, values := range more {
		form[name] = values
	}
	return form.Encode() + "&WebIdentityToken="
}

// foreignIssuer is an issuer that Countersign knows by its document only.
type foreignIssuer struct {
	server *httptest.Server
	key    crypto.Signer
	signer jose.Signer
}

func newForeignIssuer(algorithm jose.SignatureAlgorithm) (*foreignIssuer, error) {
	i := new(foreignIssuer)
	var err error
	if algorithm == jose.RS256 {
		i.key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	const kid = "workloads-1"
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: i.key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: kid, Algorithm: string(algorithm), Use: "sig"}}}
	mux := http.NewServeMux()
	reply := func(path string, body func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body())
		})
	}
	reply("/.well-known/openid-configuration", func() any {
		return map[string]any{"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys"}
	})
	reply("/keys", func() any { return set })
	i.server = httptest.NewServer(mux)
	return i, nil
}

// token is one as a build job has it.
func (i *foreignIssuer) token(n int) (string, error) {
	now := time.Now()
	return jwt.Signed(i.signer).Claims(map[string]any{
		"iss": i.server.URL, "sub": "build:main", "aud": "sts-clients", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"jti": "job-" + strconv.Itoa(n), "repository": "acme/documents", "team": "documents", "ref": "refs/heads/main", "environment": "production",
	}).Serialize()
}

// write writes the public key and the tokens, one a line.
func (i *foreignIssuer) write(key, tokens string) error {
	der, err := x509.MarshalPKIXPublicKey(i.key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	var lines bytes.Buffer
	for n := range distinct {
		token, err := i.token(n)
		if err != nil {
			return err
		}
		lines.WriteString(token + "\n")
	}
	return os.WriteFile(tokens, lines.Bytes(), 0o600)
}

// sessionSizes prints how long session tokens are.
func sessionSizes(cs *countersign, issuer *foreignIssuer) error {
	const policy = `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::documents/documents/production/*"},` +
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::documents","Condition":{"StringLike":{"s3:prefix":"documents/production/*"}}},` +
		`{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/documents/production/private/*"}]}`
	for _, c := range []struct {
		what, role string
		more       url.Values
	}{
		{"session token, typical", "writer", nil},
		{"session token, with claims and a policy of three", "templated", url.Values{"Policy": {policy}}},
	} {
		token, err := issuer.token(-1)
		if err != nil {
			return err
		}
		size, err := cs.sessionSize(assumeForm(c.role, c.more) + token)
		if err != nil {
			return err
		}
		row(c.what, fmt.Sprintf("%d bytes", size), "≤ 2048")
	}
	return nil
}

func (c *countersign) sessionSize(body string) (int, error) {
	response, err := http.Post(c.url+"/sts", "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Token string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(text, &answer); err != nil || answer.Token == "" {
		return 0, fmt.Errorf("no session: %s: %s", response.Status, text)
	}
	return len(answer.Token), nil
}
