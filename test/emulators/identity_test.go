//go:build clients

package emulators

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/test/foreign"
	"github.com/countersign/countersign/tokensource"
)

const roleARN = "arn:aws:iam::000000000000:role/document-writer"

// account signs in as an .envrc says, at the emulator.
func (r *rig) account(t *testing.T, path, use string) *tokensource.Cognito {
	t.Helper()
	v := envrc(t, path)
	source := &tokensource.Cognito{
		Endpoint: r.url, ClientID: v["COUNTERSIGN_COGNITO_CLIENT_ID"],
		ClientSecret: countersign.NewSecret(v["COUNTERSIGN_COGNITO_CLIENT_SECRET"]),
		Username:     v["COUNTERSIGN_COGNITO_USERNAME"], Password: countersign.NewSecret(v["COUNTERSIGN_COGNITO_PASSWORD"]),
		TokenUse: use,
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// trustPool makes a server whose role trusts document-service of the pool.
func (r *rig) trustPool(t *testing.T, issuer, use, service, client string) *authtest.Server {
	t.Helper()
	srv := authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=auth.example.com")
	srv.Apply(t, `
kind: Issuer
name: cognito-services
url: `+issuer+`
subject: service
profile: cognito
audiences: [`+client+`]
algorithms: [RS256]
allow_private_addresses: true
jwks_uri: `+r.url+`/`+r.pool+`/.well-known/jwks.json
claims: {service: `+service+`}
token_use: `+use+`
---
kind: Role
name: document-writer
trust:
  - oidc: {issuer: cognito-services, required_audiences: [`+client+`], subject_conditions: ["*"], condition: '`+condition(use)+`'}
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	return srv
}

// condition: access tokens of Cognito carry no attributes of an account.
func condition(use string) string {
	if use == "access" {
		return `claims.username == "service-document-service"`
	}
	return `claims["custom:service_id"] == "document-service"`
}

// assume trades tokens of a source for a session, and returns who that is.
func assume(t *testing.T, srv *authtest.Server, source tokensource.Source) (string, error) {
	t.Helper()
	provider := awscreds.NewWebIdentity(awscreds.WebIdentityConfig{STS: srv.URL + "/sts", RoleARN: roleARN, Source: source, RoleSessionName: "emulated"})
	t.Cleanup(func() { _ = provider.Close() })
	return whoIs(t, srv.URL+"/sts", provider)
}

func whoIs(t *testing.T, endpoint string, provider aws.CredentialsProvider) (string, error) {
	t.Helper()
	client := sts.New(sts.Options{Region: region, BaseEndpoint: &endpoint, Credentials: provider, Retryer: aws.NopRetryer{}})
	out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return *out.Arn, nil
}

// cognitoWays are the two tokens of an account, and where each says the service.
var cognitoWays = map[string]string{
	"id":     `"custom:service_id"`,
	"access": `{from: username, strip_prefix: "service-"}`,
}

// TestCognitoOfMotoIsAnIssuer: a seeded account signs in, and its token is a web identity
// for the Go SDK and the AWS CLI.
func TestCognitoOfMotoIsAnIssuer(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, moto, moto, true)
	r.pretendToBeAWS(t, "https://cognito-idp."+region+".amazonaws.com/"+r.pool)
}

// TestCognitoLocalIsAnIssuer: the issuer is on loopback; what its discovery document says
// is not what its tokens say, so the keys are pinned.
func TestCognitoLocalIsAnIssuer(t *testing.T) {
	t.Parallel()
	r := newRig(t, foreign.CognitoLocal(t), foreign.Moto(t), true)
	issuer := r.url + "/" + r.pool
	folder := r.pretendToBeAWS(t, issuer)
	// Without the pinned keys discovery is believed to the letter, and refused.
	srv := authtest.New(t)
	client := envrc(t, filepath.Join(folder, ".envrc"))["COUNTERSIGN_COGNITO_CLIENT_ID"]
	srv.Apply(t, `
kind: Issuer
name: cognito-services
url: `+issuer+`
subject: service
profile: cognito
audiences: [`+client+`]
algorithms: [RS256]
claims: {service: "custom:service_id"}
token_use: id
---
kind: Role
name: document-writer
trust: [{oidc: {issuer: cognito-services, required_audiences: [`+client+`], condition: '`+condition("id")+`', subject_conditions: ["*"]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	if arn, err := assume(t, srv, r.account(t, filepath.Join(folder, ".envrc"), tokensource.UseID)); err == nil {
		t.Errorf("a discovery document of another issuer was believed: %s", arn)
	}
}

// pretendToBeAWS seeds two services and has each of them try to be document-service.
func (r *rig) pretendToBeAWS(t *testing.T, issuer string) (folder string) {
	t.Helper()
	folder, other := t.TempDir(), t.TempDir()
	seeded, _ := r.mustSeed(t, folder, "document-service")
	r.mustSeed(t, other, "parse-service")
	for use, service := range cognitoWays {
		srv := r.trustPool(t, issuer, use, service, seeded.ClientID)
		ours := r.account(t, filepath.Join(folder, ".envrc"), use)
		if arn, err := assume(t, srv, ours); err != nil || arn != "arn:aws:sts::000000000000:assumed-role/document-writer/emulated" {
			t.Errorf("%s token: %s %v", use, arn, err)
		}
		if arn, err := assume(t, srv, r.account(t, filepath.Join(other, ".envrc"), use)); !errors.Is(err, countersign.Denied) {
			t.Errorf("%s token of another service: %s %v", use, arn, err)
		}
		wrongUse := map[string]string{"id": "access", "access": "id"}[use]
		if arn, err := assume(t, srv, r.account(t, filepath.Join(folder, ".envrc"), wrongUse)); !errors.Is(err, countersign.BadToken) {
			t.Errorf("%s token where %s is wanted: %s %v", wrongUse, use, arn, err)
		}
		// A second sign-in goes by the refresh token, and the token is another one.
		first, err := ours.Token(t.Context(), "sts")
		if err != nil {
			t.Fatal(err)
		}
		ours.Invalidate("sts", first)
		if _, err := ours.Token(t.Context(), "sts"); err != nil {
			t.Errorf("%s token refreshed: %v", use, err)
		}
		if use == "id" {
			r.assumeByCLI(t, srv, ours)
		}
	}
	return folder
}

// assumeByCLI is the line of the acceptance: AWS's CLI with a token of the emulator.
func (r *rig) assumeByCLI(t *testing.T, srv *authtest.Server, source tokensource.Source) {
	t.Helper()
	token, err := source.Token(t.Context(), "sts")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "token.jwt")
	if err := os.WriteFile(path, []byte(token.Value.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := foreign.Output(t, foreign.Countersign(t, foreign.Environ(), "exec", "--server", srv.URL, "--role", "document-writer",
		"--web-identity-token-file", path, "--", "aws", "sts", "get-caller-identity"))
	if !strings.Contains(out, ":assumed-role/document-writer/") {
		t.Errorf("aws sts get-caller-identity: %s", out)
	}
}

// TestOIDCProviderIsAnIssuer: an issuer with discovery, RS256 and ES256.
func TestOIDCProviderIsAnIssuer(t *testing.T) {
	t.Parallel()
	command := foreign.Command(t, foreign.Environ("NPM="+foreign.NPM(t), "CLIENT_SECRET=job-secret"), "node", filepath.Join("testdata", "oidc_provider.mjs"))
	issuer := foreign.Start(t, command, regexp.MustCompile(`http://127\.0\.0\.1:\d+`))
	srv := authtest.New(t)
	apply := func(algorithms, audience, subject string) {
		srv.Apply(t, `
kind: Issuer
name: oidc-provider
url: `+issuer+`
subject: workload
profile: oidc
audiences: ["`+audience+`"]
algorithms: [`+algorithms+`]
---
kind: Role
name: document-writer
trust: [{oidc: {issuer: oidc-provider, required_audiences: ["`+audience+`"], subject_conditions: ["`+subject+`"], condition: 'claims.department == "docs"'}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	}
	source := func(resource string) tokensource.Source {
		return &tokensource.File{Path: jobToken(t, issuer, resource)}
	}
	const rsa, ec = "https://auth.example.com/rs256", "https://auth.example.com/es256"
	for _, test := range []struct {
		name, algorithms, audience, subject, resource string
		ok                                            bool
	}{
		{"RS256", "RS256", rsa, "ci-job", rsa, true},
		{"ES256", "ES256", ec, "ci-job", ec, true},
		{"an algorithm that is not allowed", "RS256", ec, "ci-job", ec, false},
		{"another audience", "RS256", "https://auth.example.com/other", "ci-job", rsa, false},
		{"another subject", "RS256", rsa, "ci-other", rsa, false},
	} {
		apply(test.algorithms, test.audience, test.subject)
		arn, err := assume(t, srv, source(test.resource))
		if test.ok != (err == nil) {
			t.Errorf("%s: %s %v", test.name, arn, err)
		}
		if !test.ok && !errors.Is(err, countersign.Denied) && !errors.Is(err, countersign.BadToken) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// jobToken asks the provider for a token, into a file.
func jobToken(t *testing.T, issuer, resource string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"read"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("ci-job", "job-secret")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.Token == "" {
		t.Fatalf("%v %s", err, body)
	}
	path := filepath.Join(t.TempDir(), "token.jwt")
	if err := os.WriteFile(path, []byte(reply.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// static are credentials of moto.
func static(id, secret, token string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(id, secret, token)
}
