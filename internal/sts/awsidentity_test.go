package sts_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
)

func (w *world) lambda(t *testing.T) authtest.AWSIdentity {
	t.Helper()
	return w.amazon.AssumeRole(t, w.amazon.AddRole(t, authtest.AWSRole{Name: "lambda"}), "resize", time.Hour)
}

func (w *world) login(t *testing.T, who authtest.AWSIdentity, change func(*awscreds.AWSIdentityConfig)) (aws.Credentials, error) {
	t.Helper()
	cfg := awscreds.AWSIdentityConfig{
		STS: w.URL + "/sts", RoleARN: writerARN, ServerID: "test", AWSSTS: w.amazon.URL, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey.Reveal(), who.SessionToken.Reveal()),
	}
	if change != nil {
		change(&cfg)
	}
	p := awscreds.NewAWSIdentity(cfg)
	defer func() { _ = p.Close() }()
	return p.Retrieve(t.Context())
}

func TestAWSIdentityBecomesCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := w.lambda(t)
	for _, presigned := range []bool{false, true} {
		before := len(w.amazon.Calls())
		got, err := w.login(t, who, func(c *awscreds.AWSIdentityConfig) { c.Presigned = presigned })
		if err != nil {
			t.Fatalf("presigned %v: %v", presigned, err)
		}
		if calls := len(w.amazon.Calls()) - before; calls != 1 {
			t.Errorf("presigned %v: %d calls of AWS, want 1", presigned, calls)
		}
		out, err := w.identity(t.Context(), &types.Credentials{
			AccessKeyId: &got.AccessKeyID, SecretAccessKey: &got.SecretAccessKey, SessionToken: &got.SessionToken})
		if err != nil || *out.Arn != "arn:aws:sts::000000000000:assumed-role/writer/resize" {
			t.Errorf("presigned %v: %v", presigned, err)
		}
	}
}

func TestAWSIdentityRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := w.lambda(t)
	forged := who
	forged.SecretAccessKey = countersign.NewSecret(strings.Repeat("x", 40))
	other := w.amazon.AssumeRole(t, w.amazon.AddRole(t, authtest.AWSRole{Name: "lambda2"}), "resize", time.Hour)
	for _, test := range []struct {
		name   string
		who    authtest.AWSIdentity
		change func(*awscreds.AWSIdentityConfig)
		code   string
		calls  int
	}{
		{"another role", other, nil, "AccessDenied", 1},
		{"a user", w.amazon.AddUser(t, "alice"), nil, "AccessDenied", 1},
		{"a forged signature", forged, nil, "SignatureDoesNotMatch", 1},
		{"for another server", who, func(c *awscreds.AWSIdentityConfig) { c.ServerID = "other" }, "InvalidIdentityToken", 0},
		{"a role that trusts no AWS identity", who, func(c *awscreds.AWSIdentityConfig) {
			c.RoleARN = "arn:aws:iam::000000000000:role/templated"
		}, "AccessDenied", 0},
		{"a role that is not there", who, func(c *awscreds.AWSIdentityConfig) {
			c.RoleARN = "arn:aws:iam::000000000000:role/nothing"
		}, "AccessDenied", 0},
		{"an old proof", who, func(c *awscreds.AWSIdentityConfig) {
			c.Now = func() time.Time { return time.Now().Add(-6 * time.Minute) }
		}, "ExpiredTokenException", 0},
		{"too long", who, func(c *awscreds.AWSIdentityConfig) { c.Duration = 3 * time.Hour }, "ValidationError", 1},
	} {
		before := len(w.amazon.Calls())
		_, err := w.login(t, test.who, test.change)
		if got := errorCode(err); got != test.code {
			t.Errorf("%s: %v, want %s", test.name, err, test.code)
		}
		if calls := len(w.amazon.Calls()) - before; calls != test.calls {
			t.Errorf("%s: %d calls of AWS, want %d", test.name, calls, test.calls)
		}
	}
}

// TestVulnerability9 holds that a failure of AWS is no answer: neither yes nor a lasting no.
func TestVulnerability9UpstreamFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := w.lambda(t)
	for name, test := range map[string]struct {
		reply authtest.AWSReply
		code  string
	}{
		"throttling": {authtest.AWSThrottling(), "Throttling"},
		"a 500":      {authtest.AWSErrorReply(500, "InternalFailure", "x"), "ServiceUnavailable"},
		"a page":     {authtest.RawReply(200, "text/html", "<html>"), "ServiceUnavailable"},
		"a redirect": {authtest.RedirectReply(307, w.amazon.URL), "ServiceUnavailable"},
		"too much":   {authtest.HugeReply(1 << 20), "ServiceUnavailable"},
	} {
		w.amazon.ReplyNext(test.reply)
		if _, err := w.login(t, who, nil); errorCode(err) != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
		if _, err := w.login(t, who, nil); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// TestVulnerability5 holds that a proof is good once, whatever alphabet it comes in.
func TestVulnerability5ReplayedLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lambda(t)
	form := url.Values{
		"Action": {"AssumeRoleWithAWSIdentity"}, "RoleArn": {writerARN},
		"IamRequestUrl":     {base64.StdEncoding.EncodeToString([]byte(w.amazon.URL + "/"))},
		"IamRequestBody":    {base64.StdEncoding.EncodeToString([]byte("Action=AssumeRole"))},
		"IamRequestHeaders": {base64.StdEncoding.EncodeToString([]byte(`{}`))},
	}
	if got := send(t, "POST", w.URL+"/sts", form.Encode(), nil); got.code != "InvalidIdentityToken" {
		t.Errorf("another action inside: %d %s", got.status, got.code)
	}
	for name, value := range map[string]string{"no base64": "!", "a line end": "QQ==\n", "two spellings": "QR=="} {
		form.Set("IamRequestUrl", value)
		if got := send(t, "POST", w.URL+"/sts", form.Encode(), nil); got.code != "ValidationError" {
			t.Errorf("%s: %d %s", name, got.status, got.code)
		}
	}
	if calls := len(w.amazon.Calls()); calls != 0 {
		t.Errorf("%d calls of AWS", calls)
	}
}
