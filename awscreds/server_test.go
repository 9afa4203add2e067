package awscreds_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/tokensource"
)

// world is a real server, a foreign issuer and a double of AWS.
type world struct {
	*authtest.Server
	issuer *authtest.UserIssuer
	amazon *authtest.AWSSTS
}

const documents = `
kind: Issuer
name: workloads
url: %ISSUER%
subject: workload
profile: oidc
audiences: [sts-clients]
---
kind: Role
name: document-writer
max_session_duration: 2h
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
  - service: {names: [document-service, keyed-service]}
  - aws: {trusted_aws_accounts: ["%ACCOUNT%"], subject_conditions: ["arn:aws:sts::%ACCOUNT%:assumed-role/lambda/*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object, put_object, list_bucket]}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{amazon: authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})}
	w.Server = authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=test", "COUNTERSIGN_STS_AWS_ENDPOINTS="+w.amazon.URL)
	w.issuer = authtest.NewUserIssuer(t, "sts-clients")
	w.issuer.Clock = w.Clock
	w.Apply(t, strings.NewReplacer("%ISSUER%", w.issuer.URL, "%ACCOUNT%", w.amazon.Account).Replace(documents))
	return w
}

func (w *world) web(t *testing.T, source tokensource.Source, change func(*awscreds.WebIdentityConfig)) *awscreds.Provider {
	t.Helper()
	cfg := awscreds.WebIdentityConfig{STS: w.URL + "/sts", RoleARN: roleARN, Source: source, Now: w.Clock.Now}
	if change != nil {
		change(&cfg)
	}
	return newWeb(t, cfg)
}

func (w *world) aws(t *testing.T, principal authtest.AWSIdentity, change func(*awscreds.AWSIdentityConfig)) *awscreds.Provider {
	t.Helper()
	cfg := awscreds.AWSIdentityConfig{STS: w.URL + "/sts", RoleARN: roleARN, ServerID: "test", AWSSTS: w.amazon.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: principal.AccessKeyID, SecretAccessKey: principal.SecretAccessKey.Reveal(),
				SessionToken: principal.SessionToken.Reveal()}, nil
		})}
	if change != nil {
		change(&cfg)
	}
	p := awscreds.NewAWSIdentity(cfg)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// principal is a session of a role of the double's account.
func (w *world) principal(t *testing.T, role, session string) authtest.AWSIdentity {
	t.Helper()
	return w.amazon.AssumeRole(t, w.amazon.AddRole(t, authtest.AWSRole{Name: role}), session, time.Hour)
}

// whoAmI asks with the AWS SDK, which is given the provider as every user gives it.
func (w *world) whoAmI(t *testing.T, p aws.CredentialsProvider) string {
	t.Helper()
	cfg := aws.Config{Region: "us-east-1", Credentials: p, BaseEndpoint: aws.String(w.URL + "/sts")}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatalf("GetCallerIdentity: %v", err)
	}
	return aws.ToString(out.Arn)
}

const sessionARN = "arn:aws:sts::000000000000:assumed-role/document-writer/"

func TestServerWebIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := w.CreateService(t, "document-service", authtest.Service{Audiences: []string{"sts"}})
	p := w.web(t, service.Source, nil)
	if got := w.whoAmI(t, p); got != sessionARN+"document-service" {
		t.Errorf("service: %s", got)
	}
	foreign := &tokens{value: w.issuer.Token(t, "build:7", nil)}
	if got := w.whoAmI(t, w.web(t, foreign, nil)); got != sessionARN+"build-7" {
		t.Errorf("foreign token: %s", got)
	}
	named := w.web(t, service.Source, func(c *awscreds.WebIdentityConfig) {
		c.RoleSessionName, c.Duration = "nightly@7", 15*time.Minute
		c.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/resumes/*"}]}`
	})
	if got := w.whoAmI(t, named); got != sessionARN+"nightly@7" {
		t.Errorf("named: %s", got)
	}
	credentials := mustRetrieve(t, named)
	if life := credentials.Expires.Sub(w.Clock.Now()); life <= 14*time.Minute || life > 15*time.Minute || credentials.AccountID != "000000000000" {
		t.Errorf("life %v, account %s", life, credentials.AccountID)
	}
	// Two hours later both the token and the credentials have ended: others come by
	// themselves.
	first := mustRetrieve(t, p)
	w.Clock.Advance(2 * time.Hour)
	if second := mustRetrieve(t, p); second.AccessKeyID == first.AccessKeyID || second.Expires.Before(w.Clock.Now()) {
		t.Error("the credentials of two hours ago")
	}
}

// A service that shares no secret: its key signs.
func TestServerPrivateKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.JSONWebKey{Key: key.Public(), KeyID: "2026-11", Algorithm: "ES256", Use: "sig"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	w.Apply(t, "kind: Service\nname: keyed-service\naudiences: [sts]\njwks: {keys: ["+string(public)+"]}\n")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	source := &tokensource.ClientCredentials{TokenURL: w.URL + "/oauth2/token", ClientID: "keyed-service",
		PrivateKeyFile: path, KeyID: "2026-11", Issuer: w.URL, Now: w.Clock.Now}
	defer source.Close()
	if got := w.whoAmI(t, w.web(t, source, nil)); got != sessionARN+"keyed-service" {
		t.Errorf("%s", got)
	}
	for name, change := range map[string]func(*tokensource.ClientCredentials){
		"another issuer": func(c *tokensource.ClientCredentials) { c.Issuer = "https://auth.example.com" },
		"another key id": func(c *tokensource.ClientCredentials) { c.KeyID = "2026-12" },
		"another client": func(c *tokensource.ClientCredentials) { c.ClientID = "document-service" },
	} {
		source := &tokensource.ClientCredentials{TokenURL: w.URL + "/oauth2/token", ClientID: "keyed-service",
			PrivateKeyFile: path, KeyID: "2026-11", Issuer: w.URL, Now: w.Clock.Now}
		change(source)
		if _, err := source.Token(t.Context(), "sts"); countersign.CodeOf(err) != countersign.BadClient {
			t.Errorf("%s: %v", name, err)
		}
		_ = source.Close()
	}
}

func TestServerAWSIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	principal := w.principal(t, "lambda", "function-7")
	for _, presigned := range []bool{false, true} {
		before := len(w.amazon.Calls())
		p := w.aws(t, principal, func(c *awscreds.AWSIdentityConfig) { c.Presigned = presigned })
		if got := w.whoAmI(t, p); got != sessionARN+"function-7" {
			t.Errorf("presigned %t: %s", presigned, got)
		}
		if n := len(w.amazon.Calls()) - before; n != 1 {
			t.Errorf("presigned %t: %d calls of AWS, want 1", presigned, n)
		}
	}
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := w.CreateService(t, "document-service", authtest.Service{Audiences: []string{"sts"}})
	stranger := w.CreateService(t, "stranger", authtest.Service{Audiences: []string{"sts"}})
	lambda, other := w.principal(t, "lambda", "f"), w.principal(t, "other", "f")
	forged := lambda
	forged.SecretAccessKey = countersign.NewSecret("guessed")
	tests := map[string]struct {
		provider *awscreds.Provider
		want     countersign.Code
		api      string
	}{
		"a service that is not trusted": {w.web(t, stranger.Source, nil), countersign.Denied, "AccessDenied"},
		"a subject that is not trusted": {w.web(t, &tokens{value: w.issuer.Token(t, "other:7", nil)}, nil), countersign.Denied, "AccessDenied"},
		"a token of the past": {w.web(t, &tokens{value: w.issuer.Token(t, "build:7", map[string]any{"exp": w.Clock.Now().Unix() - 3600})}, nil),
			countersign.Expired, "ExpiredTokenException"},
		"no token at all":                 {w.web(t, &tokens{value: "rubbish"}, nil), countersign.BadToken, "InvalidIdentityToken"},
		"another role":                    {w.web(t, service.Source, func(c *awscreds.WebIdentityConfig) { c.RoleARN += "x" }), countersign.Denied, "AccessDenied"},
		"a day":                           {w.web(t, service.Source, func(c *awscreds.WebIdentityConfig) { c.Duration = 3 * time.Hour }), countersign.Invalid, "ValidationError"},
		"a policy that is none":           {w.web(t, service.Source, func(c *awscreds.WebIdentityConfig) { c.Policy = "{}" }), countersign.BadPolicy, "MalformedPolicyDocument"},
		"an AWS role that is not trusted": {w.aws(t, other, nil), countersign.Denied, "AccessDenied"},
		"another server's proof":          {w.aws(t, lambda, func(c *awscreds.AWSIdentityConfig) { c.ServerID = "elsewhere" }), countersign.BadToken, "InvalidIdentityToken"},
		"a secret that is guessed":        {w.aws(t, forged, nil), countersign.BadSignature, "SignatureDoesNotMatch"},
		"an STS that nobody lists":        {w.aws(t, lambda, func(c *awscreds.AWSIdentityConfig) { c.AWSSTS = "https://sts.evil.example" }), countersign.BadToken, "InvalidIdentityToken"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.provider.Retrieve(t.Context())
			var api smithy.APIError
			if err == nil || !errors.As(err, &api) {
				t.Fatalf("%v is no refusal", err)
			}
			if api.ErrorCode() != test.api || countersign.CodeOf(err) != test.want {
				t.Errorf("%s %s: %v", api.ErrorCode(), countersign.CodeOf(err), err)
			}
		})
	}
}
