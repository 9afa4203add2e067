package authtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/sigv4"
)

const callerIdentity = "Action=GetCallerIdentity&Version=2011-06-15"

// awsClient is AWS's own SDK, on an identity of the double.
func awsClient(double *authtest.AWSSTS, i authtest.AWSIdentity) *sts.Client {
	return sts.New(sts.Options{
		Region: "eu-central-1", BaseEndpoint: &double.URL, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(i.AccessKeyID, i.SecretAccessKey.Reveal(), i.SessionToken.Reveal()),
	})
}

// signedCall is a GetCallerIdentity that a test spoils before or after it is signed.
type signedCall struct {
	identity authtest.AWSIdentity
	body     string
	service  string
	time     time.Time
	before   func(*http.Request)
	after    func(*http.Request)
}

func (c signedCall) do(t *testing.T, double *authtest.AWSSTS) (int, stsReply) {
	t.Helper()
	if c.service == "" {
		c.service = "sts"
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, double.URL+"/", strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.before != nil {
		c.before(request)
	}
	err = sigv4.Sign(request, sigv4.Credentials{
		AccessKeyID: c.identity.AccessKeyID, SecretAccessKey: c.identity.SecretAccessKey, SessionToken: c.identity.SessionToken,
	}, sigv4.SignOptions{Region: "us-east-1", Service: c.service, Time: c.time, PayloadHash: sigv4.HashPayload([]byte(c.body))})
	if err != nil {
		t.Fatal(err)
	}
	if c.after != nil {
		c.after(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func TestAWSSTSKnowsWhoSigned(t *testing.T) {
	t.Parallel()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{Account: "210987654321", Partition: "aws-us-gov"})
	role := double.AddRole(t, authtest.AWSRole{Name: "lambda", Path: "/service/"})
	for want, identity := range map[string]authtest.AWSIdentity{
		"arn:aws-us-gov:iam::210987654321:user/alice":                 double.AddUser(t, "alice"),
		"arn:aws-us-gov:iam::210987654321:root":                       double.AddRoot(t),
		"arn:aws-us-gov:sts::210987654321:federated-user/bob":         double.AddFederatedUser(t, "bob", time.Hour),
		"arn:aws-us-gov:sts::210987654321:assumed-role/lambda/i-0123": double.AssumeRole(t, role, "i-0123", time.Hour),
	} {
		out, err := awsClient(double, identity).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if *out.Arn != want || *out.Account != "210987654321" || *out.UserId != identity.UserID || identity.ARN != want {
			t.Errorf("%s: %s %s %s", want, *out.Arn, *out.Account, *out.UserId)
		}
	}
	calls := double.Calls()
	if len(calls) != 4 || calls[0].Action != "GetCallerIdentity" || calls[0].AccessKeyID == "" || calls[0].Error != "" {
		t.Errorf("calls: %d", len(calls))
	}
}

func TestAWSSTSTakesAPresignedURL(t *testing.T) {
	t.Parallel()
	clock := new(authtest.Clock)
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{Clock: clock})
	session := double.AssumeRole(t, double.AddRole(t, authtest.AWSRole{Name: "lambda"}), "i-0123", 2*time.Hour)
	presign := func(expires string) string {
		query := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {expires}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, double.URL+"/?"+query.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{
			AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey.Reveal(), SessionToken: session.SessionToken.Reveal(),
		}, request, sigv4.EmptyPayloadHash, "sts", "us-east-1", clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	get := func(address string) (int, stsReply) {
		response, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, response)
	}
	signed := presign("60")
	if status, reply := get(signed); status != 200 || reply.Identity.Arn != session.ARN {
		t.Errorf("%d %+v", status, reply)
	}
	if status, reply := get(strings.Replace(signed, "GetCallerIdentity", "GetcallerIdentity", 1)); status == 200 {
		t.Errorf("another action: %+v", reply)
	}
	if status, reply := get(signed + "&Version=2011-06-15"); status != 403 || reply.Error.Code != "SignatureDoesNotMatch" {
		t.Errorf("one more parameter: %d %+v", status, reply.Error)
	}
	clock.Advance(61 * time.Second)
	if status, reply := get(signed); status != 403 || reply.Error.Code != "SignatureDoesNotMatch" {
		t.Errorf("after its time: %d %+v", status, reply.Error)
	}
	clock.Advance(2 * time.Hour)
	if status, reply := get(presign("60")); status != 403 || reply.Error.Code != "ExpiredToken" {
		t.Errorf("with an expired session: %d %+v", status, reply.Error)
	}
}

func TestAWSSTSRefusesWhoDidNotSign(t *testing.T) {
	t.Parallel()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	alice := double.AddUser(t, "alice")
	arn := double.AddRole(t, authtest.AWSRole{Name: "lambda"})
	session, other := double.AssumeRole(t, arn, "one", time.Hour), double.AssumeRole(t, arn, "two", time.Hour)
	deleted := double.AddUser(t, "deleted")
	double.DeleteKey(deleted.AccessKeyID)
	with := func(i authtest.AWSIdentity, change func(*authtest.AWSIdentity)) authtest.AWSIdentity {
		change(&i)
		return i
	}
	now := time.Now()
	tests := map[string]struct {
		call   signedCall
		status int
		code   string
	}{
		"nobody":             {signedCall{identity: alice, after: func(r *http.Request) { r.Header.Del("Authorization") }}, 403, "MissingAuthenticationToken"},
		"no signature":       {signedCall{identity: alice, after: func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }}, 400, "IncompleteSignature"},
		"unknown key":        {signedCall{identity: with(alice, func(i *authtest.AWSIdentity) { i.AccessKeyID = "AKIAIOSFODNN7EXAMPLE" })}, 403, "InvalidClientTokenId"},
		"deleted key":        {signedCall{identity: deleted}, 403, "InvalidClientTokenId"},
		"wrong secret":       {signedCall{identity: with(alice, func(i *authtest.AWSIdentity) { i.SecretAccessKey = countersign.NewSecret("wrong") })}, 403, "SignatureDoesNotMatch"},
		"no session token":   {signedCall{identity: with(session, func(i *authtest.AWSIdentity) { i.SessionToken = countersign.Secret{} })}, 403, "InvalidClientTokenId"},
		"another's token":    {signedCall{identity: with(session, func(i *authtest.AWSIdentity) { i.SessionToken = other.SessionToken })}, 403, "InvalidClientTokenId"},
		"token of a user":    {signedCall{identity: with(alice, func(i *authtest.AWSIdentity) { i.SessionToken = other.SessionToken })}, 403, "InvalidClientTokenId"},
		"too old":            {signedCall{identity: alice, time: now.Add(-16 * time.Minute)}, 403, "SignatureDoesNotMatch"},
		"of the future":      {signedCall{identity: alice, time: now.Add(16 * time.Minute)}, 403, "SignatureDoesNotMatch"},
		"for another server": {signedCall{identity: alice, service: "s3"}, 403, "SignatureDoesNotMatch"},
		"another header":     {signedCall{identity: alice, before: func(r *http.Request) { r.Header.Set("X-Countersign-Server-Id", "a") }, after: func(r *http.Request) { r.Header.Set("X-Countersign-Server-Id", "b") }}, 403, "SignatureDoesNotMatch"},
		"another query":      {signedCall{identity: alice, after: func(r *http.Request) { r.URL.RawQuery = "a=b" }}, 403, "SignatureDoesNotMatch"},
	}
	for name, test := range tests {
		test.call.body = callerIdentity
		if test.call.time.IsZero() {
			test.call.time = now
		}
		if status, reply := test.call.do(t, double); status != test.status || reply.Error.Code != test.code {
			t.Errorf("%s: %d %+v", name, status, reply.Error)
		}
	}
	// The body is signed as well.
	signed := signedCall{identity: alice, body: callerIdentity, time: now, after: func(r *http.Request) {
		changed := callerIdentity + "&a=b"
		r.Body, r.ContentLength = http.NoBody, 0
		replacement, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, r.URL.String(), bytes.NewReader([]byte(changed)))
		r.Body, r.ContentLength, r.GetBody = replacement.Body, replacement.ContentLength, replacement.GetBody
	}}
	if status, reply := signed.do(t, double); status != 403 || reply.Error.Code != "SignatureDoesNotMatch" {
		t.Errorf("another body: %d %+v", status, reply.Error)
	}
	if status, reply := (signedCall{identity: alice, body: callerIdentity, time: now}).do(t, double); status != 200 {
		t.Errorf("a good one: %d %+v", status, reply.Error)
	}
}

func TestAWSSTSReCreatedRoleIsAnotherOne(t *testing.T) {
	t.Parallel()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	arn := double.AddRole(t, authtest.AWSRole{Name: "lambda"})
	before := double.AssumeRole(t, arn, "i-1", time.Hour)
	double.AddRole(t, authtest.AWSRole{Name: "lambda"})
	after := double.AssumeRole(t, arn, "i-1", time.Hour)
	if before.ARN != after.ARN || before.UserID == after.UserID {
		t.Errorf("before %s %s, after %s %s", before.ARN, before.UserID, after.ARN, after.UserID)
	}
	var refused smithy.APIError
	if _, err := awsClient(double, before).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); !errors.As(err, &refused) || refused.ErrorCode() != "InvalidClientTokenId" {
		t.Errorf("the deleted role's session: %v", err)
	}
	if _, err := awsClient(double, after).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	double.DeleteRole(arn)
	if _, err := awsClient(double, after).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err == nil {
		t.Error("a session outlived its role")
	}
}

// TestAWSSTSAnswersTheSDK: AWS's SDK gets credentials that it can use, and typed errors.
func TestAWSSTSAnswersTheSDK(t *testing.T) {
	t.Parallel()
	w := newWebIdentity(t)
	client := awsClient(w.sts, authtest.AWSIdentity{})
	input := func(token string) *sts.AssumeRoleWithWebIdentityInput {
		return &sts.AssumeRoleWithWebIdentityInput{RoleArn: &w.role, RoleSessionName: aws.String("session-1"), WebIdentityToken: &token}
	}
	out, err := client.AssumeRoleWithWebIdentity(t.Context(), input(w.issuer.Token(t, "role:writer:alice", nil)))
	if err != nil {
		t.Fatal(err)
	}
	session := authtest.AWSIdentity{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: countersign.NewSecret(*out.Credentials.SecretAccessKey),
		SessionToken: countersign.NewSecret(*out.Credentials.SessionToken),
	}
	who, err := awsClient(w.sts, session).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("%v %v", who, err)
	}
	_, err = client.AssumeRoleWithWebIdentity(t.Context(), input(w.issuer.Token(t, "role:writer:alice", map[string]any{"exp": 1})))
	if expired := new(types.ExpiredTokenException); !errors.As(err, &expired) {
		t.Errorf("expired: %v", err)
	}
	_, err = client.AssumeRoleWithWebIdentity(t.Context(), input(w.issuer.Token(t, "role:writer:alice", map[string]any{"aud": "x"})))
	if invalid := new(types.InvalidIdentityTokenException); !errors.As(err, &invalid) {
		t.Errorf("audience: %v", err)
	}
}

// TestAWSSTSAnswersInJSON: AWS does what Accept says; that is how an answer gets another
// shape than the one that is looked for.
func TestAWSSTSAnswersInJSON(t *testing.T) {
	t.Parallel()
	w := newWebIdentity(t)
	ask := func(token string) (int, map[string]any) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.sts.URL, strings.NewReader(w.form(token, nil).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Accept", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var reply map[string]any
		if err := json.NewDecoder(response.Body).Decode(&reply); err != nil || response.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%v %v", err, response.Header)
		}
		return response.StatusCode, reply
	}
	if status, reply := ask(w.issuer.Token(t, "role:writer:alice", nil)); status != 200 || reply["AssumeRoleWithWebIdentityResponse"] == nil {
		t.Errorf("%d %v", status, reply)
	}
	if status, reply := ask("no token"); status != 400 || reply["Error"] == nil {
		t.Errorf("%d %v", status, reply)
	}
}

func TestAWSIdentityEnviron(t *testing.T) {
	t.Parallel()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	alice := double.AddUser(t, "alice")
	if got, want := alice.Environ(), []string{"AWS_ACCESS_KEY_ID=" + alice.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + alice.SecretAccessKey.Reveal()}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := double.AddFederatedUser(t, "bob", time.Hour).Environ(); len(got) != 3 {
		t.Errorf("%v", got)
	}
}
