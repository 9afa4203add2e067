//go:build clients

package emulators

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/sigv4"
	"github.com/countersign/countersign/test/foreign"
)

// motoAccount is the AWS account that moto is.
const motoAccount = "123456789012"

// key is an access key as AWS writes it.
type key struct{ AccessKeyId, SecretAccessKey, SessionToken string }

func (k key) provider() aws.CredentialsProvider {
	return static(k.AccessKeyId, k.SecretAccessKey, k.SessionToken)
}

// amazon calls an action of moto's IAM or STS, signed, and returns its answer.
func amazon(t *testing.T, moto string, as key, service string, parameters ...string) []byte {
	t.Helper()
	form := url.Values{"Version": {map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}[service]}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	body := form.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, moto+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = sigv4.Sign(request, sigv4.Credentials{AccessKeyID: as.AccessKeyId, SecretAccessKey: countersign.NewSecret(as.SecretAccessKey)},
		sigv4.SignOptions{Region: region, Service: service, Time: time.Now(), PayloadHash: sigv4.HashPayload([]byte(body))})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", form.Get("Action"), response.Status, err, answer)
	}
	return answer
}

// iam makes the users alice and bob and the role lambda, whose session it returns, and
// then switches moto's checks of signatures on.
func iam(t *testing.T, moto string) (alice, bob, lambda key) {
	t.Helper()
	root := key{AccessKeyId: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "any"}
	user := func(name string) key {
		amazon(t, moto, root, "iam", "Action", "CreateUser", "UserName", name)
		amazon(t, moto, root, "iam", "Action", "PutUserPolicy", "UserName", name, "PolicyName", "all", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
		var reply struct {
			Key key `xml:"CreateAccessKeyResult>AccessKey"`
		}
		decode(t, amazon(t, moto, root, "iam", "Action", "CreateAccessKey", "UserName", name), &reply)
		return reply.Key
	}
	alice, bob = user("alice"), user("bob")
	amazon(t, moto, root, "iam", "Action", "CreateRole", "RoleName", "lambda", "Path", "/service/", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`)
	foreign.MotoChecksSignatures(t, moto)
	var reply struct {
		Credentials key `xml:"AssumeRoleResult>Credentials"`
	}
	decode(t, amazon(t, moto, alice, "sts", "Action", "AssumeRole", "RoleArn", "arn:aws:iam::"+motoAccount+":role/service/lambda", "RoleSessionName", "i-0123456789"), &reply)
	return alice, bob, reply.Credentials
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := xml.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// TestMotoSaysWhoSigned: the login with an AWS identity, with moto as AWS, which checks
// the signatures itself. It takes a presigned URL for one of S3, so that form is left to
// authtest's double.
func TestMotoSaysWhoSigned(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	alice, bob, lambda := iam(t, moto)
	srv := authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=auth.example.com", "COUNTERSIGN_STS_AWS_ENDPOINTS="+moto)
	srv.Apply(t, `
kind: Role
name: document-writer
trust:
  - aws: {trusted_aws_accounts: ["`+motoAccount+`"], subject_conditions: ["arn:aws:iam::`+motoAccount+`:user/alice", "arn:aws:sts::`+motoAccount+`:assumed-role/lambda/*"]}
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	login := func(who key) (string, error) {
		provider := awscreds.NewAWSIdentity(awscreds.AWSIdentityConfig{
			STS: srv.URL + "/sts", ServerID: "auth.example.com", RoleARN: roleARN, AWSSTS: moto, Region: region,
			Credentials: who.provider(),
		})
		t.Cleanup(func() { _ = provider.Close() })
		return whoIs(t, srv.URL+"/sts", provider)
	}
	const session = "arn:aws:sts::000000000000:assumed-role/document-writer/"
	for _, test := range []struct {
		name string
		who  key
		want string
	}{
		{"a user", alice, session + "alice"},
		{"a session", lambda, session + "i-0123456789"},
		{"another user", bob, ""},
		{"a wrong secret", key{alice.AccessKeyId, bob.SecretAccessKey, ""}, ""},
		{"an unknown key", key{"AKIAIOSFODNN7EXAMPL2", bob.SecretAccessKey, ""}, ""},
		{"a wrong session secret", key{lambda.AccessKeyId, bob.SecretAccessKey, lambda.SessionToken}, ""},
	} {
		arn, err := login(test.who)
		if arn != test.want {
			t.Errorf("%s: %s %v", test.name, arn, err)
		}
		if test.want == "" && !errors.Is(err, countersign.Denied) && !errors.Is(err, countersign.BadToken) && !errors.Is(err, countersign.BadSignature) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestMotoIsBrokered: a role of ours hands out moto's credentials, which moto then knows.
// It takes any token for a web identity; that ours is a good one is for authtest's double.
func TestMotoIsBrokered(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	root := key{AccessKeyId: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "any"}
	amazon(t, moto, root, "iam", "Action", "CreateRole", "RoleName", "Real", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*"}]}`)
	srv := authtest.New(t)
	service := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"sts"}})
	srv.Apply(t, `
kind: Role
name: document-writer
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
broker: {aws: {role_arn: "arn:aws:iam::`+motoAccount+`:role/Real", region: `+region+`, endpoint: "`+moto+`"}}
`)
	provider := awscreds.NewWebIdentity(awscreds.WebIdentityConfig{STS: srv.URL + "/sts", RoleARN: roleARN, Source: service.Source, RoleSessionName: "brokered"})
	t.Cleanup(func() { _ = provider.Close() })
	if _, err := provider.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign.MotoChecksSignatures(t, moto)
	arn, err := whoIs(t, moto, provider)
	if err != nil || !strings.HasPrefix(arn, "arn:aws:sts::"+motoAccount+":assumed-role/Real/") {
		t.Errorf("%s %v", arn, err)
	}
	if arn, err := whoIs(t, srv.URL+"/sts", provider); err == nil {
		t.Errorf("credentials of AWS were taken for ours: %s", arn)
	}
}
