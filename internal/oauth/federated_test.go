package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/authtest"
)

const (
	jwtAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	awsAssertion = "urn:countersign:client-assertion-type:aws-identity"
)

const federatedServices = `
kind: Issuer
name: cluster
url: %ISSUER%
subject: workload
profile: oidc
audiences: [countersign]
---
kind: Service
name: document-service
tenant: acme # may trust an issuer of the platform (RULES A6)
audiences: [parse-service, sts]
trust:
  - kubernetes: {issuer: cluster, service_account: docs/document-service}
  - aws: {trusted_aws_accounts: ["%ACCOUNT%"], subject_conditions: ["arn:aws:sts::%ACCOUNT%:assumed-role/document-lambda/*"]}
---
kind: Service
name: no-trust
audiences: [parse-service]
`

// federation is a server whose services are proven by others.
type federation struct {
	*authtest.Server
	issuer *authtest.UserIssuer
	amazon *authtest.AWSSTS
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{amazon: authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})}
	f.Server = authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=test", "COUNTERSIGN_STS_AWS_ENDPOINTS="+f.amazon.URL)
	f.issuer = authtest.NewUserIssuer(t, "countersign")
	f.issuer.Clock = f.Clock
	f.Apply(t, strings.NewReplacer("%ISSUER%", f.issuer.URL, "%ACCOUNT%", f.amazon.Account).Replace(federatedServices))
	return f
}

// ask sends a token request and returns its status and error word.
func (f *federation) ask(t *testing.T, form url.Values) (status int, word string) {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	form.Set("audience", "parse-service")
	response, err := http.PostForm(f.URL+"/oauth2/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Error string `json:"error"`
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if (answer.Token != "") != (response.StatusCode == http.StatusOK) {
		t.Errorf("%d with a token: %v", response.StatusCode, answer.Token != "")
	}
	return response.StatusCode, answer.Error
}

const account = "system:serviceaccount:docs:document-service"

func (f *federation) assertion(t *testing.T, client, subject string, claims map[string]any) url.Values {
	t.Helper()
	return url.Values{"client_id": {client}, "client_assertion_type": {jwtAssertion}, "client_assertion": {f.issuer.Token(t, subject, claims)}}
}

// TestRuleA2FederatedClients holds that a foreign token is a service of ours only by that
// service's own trust.
func TestRuleA2FederatedClients(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	if status, word := f.ask(t, f.assertion(t, "document-service", account, nil)); status != http.StatusOK {
		t.Fatalf("%d %s", status, word)
	}
	// It may be shown again: a projected token is renewed by its cluster, not by us.
	if status, word := f.ask(t, f.assertion(t, "document-service", account, nil)); status != http.StatusOK {
		t.Fatalf("%d %s", status, word)
	}
	for name, form := range map[string]url.Values{
		"another account":            f.assertion(t, "document-service", "system:serviceaccount:docs:other", nil),
		"a longer account":           f.assertion(t, "document-service", account+"s", nil),
		"a service without trust":    f.assertion(t, "no-trust", account, nil),
		"a service that is not":      f.assertion(t, "nobody", account, nil),
		"its own name as subject":    f.assertion(t, "document-service", "document-service", nil),
		"another audience":           f.assertion(t, "document-service", account, map[string]any{"aud": "others"}),
		"another issuer":             f.assertion(t, "document-service", account, map[string]any{"iss": "https://evil.example"}),
		"our issuer's name":          f.assertion(t, "document-service", account, map[string]any{"iss": f.URL}),
		"expired":                    f.assertion(t, "document-service", account, map[string]any{"exp": f.Clock.Now().Add(-2 * time.Minute).Unix()}),
		"without expiry":             f.assertion(t, "document-service", account, map[string]any{"exp": nil}),
		"no client id":               f.assertion(t, "", account, nil),
		"a client id that is an iss": f.assertion(t, f.issuer.URL, account, nil),
	} {
		if status, word := f.ask(t, form); status != http.StatusUnauthorized || word != "invalid_client" {
			t.Errorf("%s: %d %s", name, status, word)
		}
	}
	f.DisableService(t, "document-service")
	if status, word := f.ask(t, f.assertion(t, "document-service", account, nil)); status != http.StatusUnauthorized {
		t.Errorf("disabled: %d %s", status, word)
	}
}

// TestRuleA6 holds that an issuer of another tenant proves no client once it is not shared any
// more, and one that is found by its URL never does.
func TestRuleA6FederatedClientsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	other := authtest.NewUserIssuer(t, "globex")
	other.Clock = f.Clock
	const gitHub = "https://token.actions.githubusercontent.com"
	issuer := "kind: Issuer\nname: globex-idp\ntenant: globex\nurl: " + other.URL + "\nsubject: workload\nprofile: oidc\naudiences: [globex]\n"
	f.Apply(t, issuer+`shared_with: [acme]
---
kind: Issuer
name: globex-github
tenant: globex
url: `+gitHub+`
jwks_uri: `+other.URL+`/keys
allow_private_addresses: true
subject: workload
profile: oidc
audiences: [globex]
shared_with: [acme]
---
kind: Service
name: shared
tenant: acme
audiences: [parse-service]
trust:
  - oidc: {issuer: globex-idp, subject_conditions: ["build:*"]}
---
kind: Service
name: by-url
tenant: acme
audiences: [parse-service]
trust:
  - github: {repository: acme/docs, ref: refs/heads/main}
`)
	ask := func(client, subject string, claims map[string]any) int {
		status, _ := f.ask(t, url.Values{"client_id": {client}, "client_assertion_type": {jwtAssertion}, "client_assertion": {other.Token(t, subject, claims)}})
		return status
	}
	if status := ask("shared", "build:main", nil); status != http.StatusOK {
		t.Errorf("shared: %d", status)
	}
	f.Apply(t, issuer)
	if status := ask("shared", "build:main", nil); status != http.StatusUnauthorized {
		t.Errorf("not shared any more: %d", status)
	}
	claims := map[string]any{"iss": gitHub, "repository": "acme/docs", "ref": "refs/heads/main"}
	if status := ask("by-url", "repo:acme/docs:ref:refs/heads/main", claims); status != http.StatusUnauthorized {
		t.Errorf("forged by another tenant: %d", status)
	}
}

// awsForm is a client assertion by an AWS identity.
func (f *federation) awsForm(t *testing.T, client, serverID string, who authtest.AWSIdentity) url.Values {
	t.Helper()
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.amazon.URL+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Countersign-Server-Id", serverID)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	key := aws.Credentials{AccessKeyID: who.AccessKeyID, SecretAccessKey: who.SecretAccessKey.Reveal(), SessionToken: who.SessionToken.Reveal()}
	if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hexSum(body), "sts", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	headers := make(map[string]string)
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	text, err := json.Marshal(headers)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := json.Marshal(map[string][]byte{"iam_request_url": []byte(f.amazon.URL + "/"), "iam_request_body": []byte(body), "iam_request_headers": text})
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"client_id": {client}, "client_assertion_type": {awsAssertion}, "client_assertion": {base64.RawURLEncoding.EncodeToString(parts)}}
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestClientsByAWSIdentity(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	lambda := f.amazon.AssumeRole(t, f.amazon.AddRole(t, authtest.AWSRole{Name: "document-lambda"}), "one", time.Hour)
	good := f.awsForm(t, "document-service", "test", lambda)
	if status, word := f.ask(t, good); status != http.StatusOK {
		t.Fatalf("%d %s", status, word)
	}
	for name, form := range map[string]url.Values{
		"again":             good, // a proof is good once (vulnerability 5)
		"another user":      f.awsForm(t, "document-service", "test", f.amazon.AddUser(t, "alice")),
		"another server id": f.awsForm(t, "document-service", "other", lambda),
		"no trust":          f.awsForm(t, "no-trust", "test", f.amazon.AddUser(t, "bob")),
		"no base64":         {"client_id": {"document-service"}, "client_assertion_type": {awsAssertion}, "client_assertion": {"{}"}},
		"nothing inside":    {"client_id": {"document-service"}, "client_assertion_type": {awsAssertion}, "client_assertion": {"e30"}},
	} {
		if status, word := f.ask(t, form); status != http.StatusUnauthorized || word != "invalid_client" {
			t.Errorf("%s: %d %s", name, status, word)
		}
	}
	form := f.awsForm(t, "document-service", "test", f.amazon.AddUser(t, "carol"))
	f.amazon.ReplyNext(authtest.AWSThrottling())
	if status, _ := f.ask(t, form); status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		t.Errorf("AWS throttles: %d", status)
	}
}
