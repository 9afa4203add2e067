package authtest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
)

// TestRuleD9TheDoubleVerifiesOurBrokersToken: the account trusts our issuer, fetches its
// keys by discovery as AWS does, and grants a session to the subject that it names.
func TestRuleD9TheDoubleVerifiesOurBrokersToken(t *testing.T) {
	t.Parallel()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	srv := authtest.New(t)
	caller := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"sts"}})
	real := double.AddRole(t, authtest.AWSRole{Name: "Real", Trust: []authtest.AWSTrust{
		{Issuer: srv.URL, Subjects: []string{"role:writer:" + srv.URL + ":document-service"}},
	}})
	documents := func(role string) string {
		return `
kind: Role
name: ` + role + `
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
broker: {aws: {role_arn: "` + real + `", region: us-east-1, endpoint: "` + double.URL + `"}}
`
	}
	srv.Apply(t, documents("writer")+"---"+documents("other"))
	provider := func(role string) *awscreds.Provider {
		p := awscreds.NewWebIdentity(awscreds.WebIdentityConfig{
			STS: srv.URL + "/sts", RoleARN: "arn:aws:iam::000000000000:role/" + role, Source: caller.Source, RoleSessionName: "job-7",
		})
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &double.URL, Credentials: provider("writer"), Retryer: aws.NopRetryer{}})
	who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *who.Account != double.Account || !strings.Contains(*who.Arn, ":assumed-role/Real/") {
		t.Errorf("%s", *who.Arn)
	}
	sessions := double.Sessions()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	if s := sessions[0]; s.Audience != "sts.amazonaws.com" || s.Issuer != srv.URL || !strings.Contains(s.Policy, "resumes/") {
		t.Errorf("what our server asked for: %s %s %s", s.Audience, s.Issuer, s.Policy)
	}
	// Another role of ours is another subject, which the account does not trust.
	if _, err := provider("other").Retrieve(t.Context()); err == nil || errors.Is(err, countersign.Internal) {
		t.Errorf("the other role: %v", err)
	}
	if got := len(double.Sessions()); got != 1 {
		t.Errorf("%d sessions", got)
	}
}
