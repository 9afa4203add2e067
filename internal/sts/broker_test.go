package sts_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign/authtest"
)

func (w *world) broker(t *testing.T) func(*sts.AssumeRoleWithWebIdentityInput) {
	t.Helper()
	w.amazon.AddRole(t, authtest.AWSRole{Name: "real", Trust: []authtest.AWSTrust{{Issuer: w.URL, Subjects: []string{"role:brokered:*"}}}})
	return func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String("arn:aws:iam::000000000000:role/brokered")
	}
}

// TestRuleD9BrokeredCredentials: the double verifies our token by discovery and keys, as AWS
// does, and what it issues works there.
func TestRuleD9BrokeredCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	brokered := w.broker(t)
	out, err := w.assume(t, w.token(t, "build:main", nil), brokered)
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.AssumedRoleUser.Arn; got != "arn:aws:sts::"+w.amazon.Account+":assumed-role/real/job-7" {
		t.Errorf("ARN %s", got)
	}
	sessions := w.amazon.Sessions()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions at AWS", len(sessions))
	}
	s := sessions[0]
	if want := "role:brokered:" + w.issuer.URL + ":build:main"; s.Subject != want || s.Policy == "" {
		t.Errorf("subject %s, want %s; policy %q", s.Subject, want, s.Policy)
	}
	var policy struct {
		Statement []struct{ Action, Resource []string }
	}
	if err := json.Unmarshal([]byte(s.Policy), &policy); err != nil || len(policy.Statement) != 1 ||
		policy.Statement[0].Resource[0] != "arn:aws:s3:::documents/resumes/*" {
		t.Errorf("%v %s", err, s.Policy)
	}
	// At AWS they are somebody, and here nobody.
	at := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.amazon.URL), Credentials: w.client(out.Credentials).Options().Credentials})
	if who, err := at.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil || *who.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("at AWS: %v", err)
	}
	if _, err := w.identity(t.Context(), out.Credentials); errorCode(err) != "InvalidClientTokenId" {
		t.Errorf("here: %v", err)
	}
	// The same caller gets the same credentials, another one others.
	calls := len(w.amazon.Calls())
	again, err := w.assume(t, w.token(t, "build:main", nil), brokered)
	if err != nil || *again.Credentials.AccessKeyId != *out.Credentials.AccessKeyId || len(w.amazon.Calls()) != calls {
		t.Errorf("again: %v, %d calls more", err, len(w.amazon.Calls())-calls)
	}
	other, err := w.assume(t, w.token(t, "build:other", nil), brokered)
	if err != nil || *other.Credentials.AccessKeyId == *out.Credentials.AccessKeyId {
		t.Errorf("another subject: %v", err)
	}
	if life := time.Until(*out.Credentials.Expiration); life > time.Hour {
		t.Errorf("they live %v", life)
	}
}

func TestBrokerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	brokered := w.broker(t)
	for _, test := range []struct {
		name  string
		reply authtest.AWSReply
		is    func(error) bool
	}{
		{"a region that is switched off", authtest.AWSErrorReply(403, "RegionDisabledException", "x"), typed[*types.RegionDisabledException]},
		{"denied", authtest.AWSErrorReply(403, "AccessDenied", "x"), func(err error) bool { return errorCode(err) == "AccessDenied" }},
		{"throttled", authtest.AWSThrottling(), func(err error) bool { return errorCode(err) == "Throttling" }},
		{"an outage", authtest.AWSErrorReply(500, "InternalFailure", "x"), func(err error) bool { return errorCode(err) == "ServiceUnavailable" }},
		{"a page", authtest.RawReply(200, "text/html", "<html>"), func(err error) bool { return errorCode(err) == "ServiceUnavailable" }},
	} {
		w.amazon.ReplyAlways(test.reply)
		if _, err := w.assume(t, w.token(t, "build:"+strings.ReplaceAll(test.name, " ", "-"), nil), brokered); err == nil || !test.is(err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
