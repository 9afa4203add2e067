//go:build clients

package clients

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/test/foreign"
)

const serverID = "auth.example.com"

// lambda makes a session of the role whose AWS identity the world trusts, and one that
// it doesn't trust.
func (w stsWorld) lambda(t *testing.T, name string) authtest.AWSIdentity {
	t.Helper()
	return w.aws.AssumeRole(t, w.aws.AddRole(t, authtest.AWSRole{Name: name, Path: "/service/"}), "i-0123456789", time.Hour)
}

// calls counts what reached the double.
func (w stsWorld) calls() int { return len(w.aws.Calls()) }

// whoIs uses credentials of ours with AWS's Go SDK.
func (w stsWorld) whoIs(t *testing.T, provider aws.CredentialsProvider) string {
	t.Helper()
	endpoint := w.endpoint()
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: provider})
	out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Arn
}

// TestPythonExampleLogsInWithItsAWSIdentity runs examples/aws-identity-python with both
// generations of botocore.
func TestPythonExampleLogsInWithItsAWSIdentity(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	script := filepath.Join(foreign.Root(t), "examples", "aws-identity-python", "login.py")
	run := func(python, id string, who authtest.AWSIdentity) (string, error) {
		environ := foreign.Environ(append(who.Environ(), "AWS_ENDPOINT_URL_STS="+w.aws.URL)...)
		out, errOut, err := foreign.Try(foreign.Command(t, environ, python, script, w.endpoint(), id, roleARN))
		if err != nil {
			err = errors.New(errOut)
		}
		return out, err
	}
	for _, python := range []string{debianPython, newer(t, "python3", debianPython)} {
		out, err := run(python, serverID, w.lambda(t, "lambda"))
		if err != nil {
			t.Fatalf("%s: %v", python, err)
		}
		var got cliSession
		decode(t, out, &got)
		arn := w.whoIs(t, credentials.NewStaticCredentialsProvider(got.AccessKeyId, got.SecretAccessKey, got.SessionToken))
		if arn != "arn:aws:sts::000000000000:assumed-role/document-writer/i-0123456789" {
			t.Errorf("%s: %s", python, arn)
		}
		before := w.calls()
		wrong := w.lambda(t, "lambda")
		wrong.SecretAccessKey = countersign.NewSecret("wrong")
		for name, attempt := range map[string]func() (string, error){
			"a role that is not trusted": func() (string, error) { return run(python, serverID, w.lambda(t, "other")) },
			"a user":                     func() (string, error) { return run(python, serverID, w.aws.AddUser(t, "lambda")) },
			"a wrong secret":             func() (string, error) { return run(python, serverID, wrong) },
		} {
			if out, err := attempt(); err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("%s: %v %s", name, err, out)
			}
		}
		if got := w.calls() - before; got != 3 {
			t.Errorf("%d calls of AWS for 3 logins", got)
		}
		if out, err := run(python, "another.example.com", w.lambda(t, "lambda")); err == nil {
			t.Errorf("signed for another server: %s", out)
		}
		if got := w.calls() - before; got != 3 {
			t.Error("AWS was asked about a request that is for another server")
		}
	}
}

// TestAWSCredsLogsInWithAnAWSIdentity is the Go SDK's way.
func TestAWSCredsLogsInWithAnAWSIdentity(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	presigned := false
	login := func(who authtest.AWSIdentity) *awscreds.Provider {
		provider := awscreds.NewAWSIdentity(awscreds.AWSIdentityConfig{
			STS: w.endpoint(), ServerID: serverID, RoleARN: roleARN, AWSSTS: w.aws.URL, Region: "us-east-1", Presigned: presigned,
			Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey.Reveal(), who.SessionToken.Reveal()),
		})
		t.Cleanup(func() { _ = provider.Close() })
		return provider
	}
	if arn := w.whoIs(t, login(w.lambda(t, "lambda"))); arn != "arn:aws:sts::000000000000:assumed-role/document-writer/i-0123456789" {
		t.Error(arn)
	}
	if got := w.calls(); got != 1 {
		t.Errorf("%d calls of AWS for one login", got)
	}
	presigned = true
	if arn := w.whoIs(t, login(w.lambda(t, "lambda"))); arn != "arn:aws:sts::000000000000:assumed-role/document-writer/i-0123456789" {
		t.Errorf("presigned: %s", arn)
	}
	presigned = false
	for name, who := range map[string]authtest.AWSIdentity{
		"a role that is not trusted": w.lambda(t, "other"), "a user": w.aws.AddUser(t, "lambda"),
		"the root": w.aws.AddRoot(t), "a federated user": w.aws.AddFederatedUser(t, "lambda", time.Hour),
	} {
		if _, err := login(who).Retrieve(t.Context()); !errors.Is(err, countersign.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.aws.ReplyNext(authtest.AWSThrottling())
	if _, err := login(w.lambda(t, "lambda")).Retrieve(t.Context()); !errors.Is(err, countersign.Throttled) {
		t.Errorf("AWS throttles: %v", err)
	}
	if arn := w.whoIs(t, login(w.lambda(t, "lambda"))); arn == "" {
		t.Error("a throttled login was remembered as a no")
	}
	if !slices.ContainsFunc(w.srv.Events(t), func(e authtest.Event) bool {
		return e.Action == "assume" && e.Decision == "issued" && e.User == "arn:aws:sts::123456789012:assumed-role/lambda"
	}) {
		t.Error("there is no event of the login")
	}
}
