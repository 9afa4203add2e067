package sts_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign/authtest"
)

const writerARN = "arn:aws:iam::000000000000:role/writer"

// world is a real server with a foreign issuer, a double of AWS, and roles.
type world struct {
	*authtest.Server
	issuer  *authtest.UserIssuer
	amazon  *authtest.AWSSTS
	builder *authtest.Identity
}

// documents are the resources of a world; %ISSUER% and %ACCOUNT% stand for theirs.
const documents = `
kind: Issuer
name: workloads
url: %ISSUER%
subject: workload
profile: oidc
audiences: [sts-clients]
may_assert: {tenants: [acme]}
---
kind: Role
name: writer
max_session_duration: 2h
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
  - service: {names: [builder]}
  - aws: {trusted_aws_accounts: ["%ACCOUNT%"], subject_conditions: ["arn:aws:sts::%ACCOUNT%:assumed-role/lambda/*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object, put_object, list_bucket]}
---
kind: Role
name: templated
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
permissions:
  - {bucket: documents, prefixes: ["{issuer}/{tenant}/{claims.department}/"], actions: [get_object]}
---
kind: Role
name: brokered
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
broker: {aws: {role_arn: "arn:aws:iam::%ACCOUNT%:role/real", region: us-east-1, endpoint: "%AWS%"}}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{amazon: authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})}
	w.Server = authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=test", "COUNTERSIGN_STS_AWS_ENDPOINTS="+w.amazon.URL)
	w.issuer = authtest.NewUserIssuer(t, "sts-clients")
	w.issuer.Clock = w.Clock
	w.Apply(t, w.fill(documents))
	w.builder = w.CreateService(t, "builder", authtest.Service{Audiences: []string{"sts", "parse-service"}})
	return w
}

func (w *world) fill(text string) string {
	return strings.NewReplacer("%ISSUER%", w.issuer.URL, "%ACCOUNT%", w.amazon.Account, "%AWS%", w.amazon.URL).Replace(text)
}

// token is one of the foreign issuer.
func (w *world) token(t *testing.T, subject string, claims map[string]any) string {
	t.Helper()
	return w.issuer.Token(t, subject, claims)
}

// client is the AWS SDK, unmodified.
func (w *world) client(c *types.Credentials) *sts.Client {
	o := sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.URL + "/sts"), RetryMaxAttempts: 1, HTTPClient: http.DefaultClient}
	if c != nil {
		o.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	}
	return sts.New(o)
}

func (w *world) assume(t *testing.T, token string, change func(*sts.AssumeRoleWithWebIdentityInput)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(writerARN), RoleSessionName: aws.String("job-7"), WebIdentityToken: aws.String(token),
	}
	if change != nil {
		change(in)
	}
	return w.client(nil).AssumeRoleWithWebIdentity(t.Context(), in)
}

// session assumes the role and fails the test if that is refused.
func (w *world) session(t *testing.T, token string) *types.Credentials {
	t.Helper()
	out, err := w.assume(t, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Credentials
}

// identity asks who the credentials are.
func (w *world) identity(ctx context.Context, c *types.Credentials) (*sts.GetCallerIdentityOutput, error) {
	return w.client(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
}

// answer is what came back from a request that no SDK would send.
type answer struct {
	status int
	code   string
	header http.Header
	body   string
}

func send(t *testing.T, method, target, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Code string `xml:"Error>Code"`
	}
	_ = xml.Unmarshal(text, &e) // no error in it
	return answer{response.StatusCode, e.Code, response.Header, string(text)}
}

// form is a good request, with changes: a value of "-" takes the parameter away.
func (w *world) form(t *testing.T, changes map[string]string) url.Values {
	t.Helper()
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {writerARN},
		"RoleSessionName": {"job-7"}, "WebIdentityToken": {w.token(t, "build:main", nil)},
	}
	for name, value := range changes {
		if form[name] = []string{value}; value == "-" {
			delete(form, name)
		}
	}
	return form
}

// reason is that of the newest audit event of an action.
func (w *world) reason(t *testing.T, action string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		events := w.Events(t)
		for i := len(events) - 1; i >= 0; i-- {
			if events[i].Action == action {
				return events[i].Reason
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no audit event of %s", action)
		}
	}
}
