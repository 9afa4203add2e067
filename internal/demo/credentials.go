package demo

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/sigv4"
	"github.com/countersign/countersign/tokensource"
)

// serverID is what a signed GetCallerIdentity must name as its receiver.
const serverID = "countersign-demo"

const roleARN = "arn:aws:iam::000000000000:role/"

// roles is who may become document-writer: a workload of the foreign issuer, and a Lambda of
// the AWS account.
const roles = `kind: Issuer
name: workloads
url: %[1]s
subject: workload
profile: oidc
audiences: [acme-web]
---
kind: Role
name: document-writer
max_session_duration: 1h
trust:
  - oidc: {issuer: workloads, subject_conditions: ["workload:document-builder"]}
  - aws: {trusted_aws_accounts: ["%[2]s"], subject_conditions: ["arn:aws:sts::%[2]s:assumed-role/document-lambda/*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object, put_object, list_bucket]}
---
kind: Role
name: real-reader
trust:
  - oidc: {issuer: workloads, subject_conditions: ["workload:document-builder"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
broker: {aws: {role_arn: "arn:aws:iam::%[2]s:role/reader", region: us-east-1, endpoint: "%[3]s"}}
`

func (s *stage) applyRoles(ctx context.Context) error {
	text := fmt.Sprintf(roles, s.users.URL, s.amazon.Account, s.amazon.URL)
	if _, err := s.admin.Apply(ctx, iamclient.Apply{Files: []iamclient.File{{Name: "roles.yaml", Content: text}}, Owner: "demo-roles"}); err != nil {
		return fmt.Errorf("apply the roles: %w", err)
	}
	s.lambda = s.amazon.AssumeRole(s, s.amazon.AddRole(s, authtest.AWSRole{Name: "document-lambda"}), "resize", time.Hour)
	s.intern = s.amazon.AddUser(s, "intern")
	s.amazon.AddRole(s, authtest.AWSRole{Name: "reader", Trust: []authtest.AWSTrust{
		{Issuer: s.server.Issuer(), Subjects: []string{"role:real-reader:*"}},
	}})
	return nil
}

// credentialScenes are those of the STS: any proof of identity becomes credentials.
func (s *stage) credentialScenes() []step {
	return []step{
		{title: "a build job shows its OIDC token: it becomes temporary AWS credentials", status: 200,
			play: s.trades(func() *awscreds.Provider { return s.webIdentity("document-writer", "workload:document-builder") })},
		{title: "another job of the same issuer shows its token", status: 403, reason: countersign.ReasonTrustNotMatched,
			play: s.trades(func() *awscreds.Provider { return s.webIdentity("document-writer", "workload:intern") })},
		{title: "a Lambda signs with its AWS identity, AWS says who it is: it gets credentials, without any secret of ours", status: 200,
			play: s.trades(func() *awscreds.Provider { return s.awsIdentity(s.lambda, serverID) })},
		{title: "an AWS user whom the role does not trust does the same", status: 403, reason: countersign.ReasonTrustNotMatched,
			play: s.trades(func() *awscreds.Provider { return s.awsIdentity(s.intern, serverID) })},
		{title: "a proof that the Lambda signed for another server", status: 400, reason: countersign.ReasonProofServerID,
			play: s.trades(func() *awscreds.Provider { return s.awsIdentity(s.lambda, "elsewhere") })},
		{title: "a role that brokers: our token, which AWS verifies by our keys, becomes credentials of AWS itself", status: 200, play: s.brokered},
		{title: "the credentials sign a request: GetCallerIdentity says whose they are", status: 200, play: s.signsWithCredentials},
		{title: "an administrator revokes the session: its next request is refused", status: 403, reason: countersign.ReasonSessionRevoked,
			play: s.revokedSession},
	}
}

// trades plays the exchange of a proof for credentials.
func (s *stage) trades(provider func() *awscreds.Provider) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) {
		p := provider()
		defer func() { _ = p.Close() }()
		got, err := p.Retrieve(ctx)
		if err != nil {
			return s.refusedBySTS(ctx, err)
		}
		s.session = got
		return reply{status: http.StatusOK, note: fmt.Sprintf("%s, for %s", got.AccessKeyID, time.Until(got.Expires).Round(time.Minute))}, nil
	}
}

func (s *stage) webIdentity(role, subject string) *awscreds.Provider {
	return awscreds.NewWebIdentity(awscreds.WebIdentityConfig{
		STS: s.server.BaseURL() + "/sts", RoleARN: roleARN + role, RoleSessionName: "build-7",
		Source: tokenFunc(func() string { return s.users.Token(s, subject, nil) }),
	})
}

func (s *stage) awsIdentity(who authtest.AWSIdentity, server string) *awscreds.Provider {
	return awscreds.NewAWSIdentity(awscreds.AWSIdentityConfig{
		STS: s.server.BaseURL() + "/sts", RoleARN: roleARN + "document-writer", ServerID: server, AWSSTS: s.amazon.URL, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey.Reveal(), who.SessionToken.Reveal()),
	})
}

// tokenFunc is a source of one user's tokens.
type tokenFunc func() string

// Token implements tokensource.Source.
func (f tokenFunc) Token(context.Context, string) (tokensource.Token, error) {
	return tokensource.Token{Value: countersign.NewSecret(f()), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// refusedBySTS takes the true reason from the audit log: the caller hears no more than that
// it is not authorised.
func (s *stage) refusedBySTS(ctx context.Context, err error) (reply, error) {
	var refused *awscreds.Error
	if !errors.As(err, &refused) {
		return reply{}, err
	}
	page, errAudit := s.admin.AuditEvents(ctx, iamclient.AuditQuery{Decision: "refused", Action: "assume", Limit: 1, Newest: true})
	if errAudit != nil {
		return reply{}, fmt.Errorf("ask the audit log: %w", errAudit)
	}
	out := reply{status: http.StatusForbidden, note: refused.ErrorCode()}
	if refused.ErrorCode() != "AccessDenied" {
		out.status = http.StatusBadRequest
	}
	for _, event := range page.Events {
		out.Reason = countersign.Reason(event.Reason)
	}
	return out, nil
}

// brokered asks AWS whose the credentials are that a brokering role hands out.
func (s *stage) brokered(ctx context.Context) (reply, error) {
	p := s.webIdentity("real-reader", "workload:document-builder")
	defer func() { _ = p.Close() }()
	got, err := p.Retrieve(ctx)
	if err != nil {
		return s.refusedBySTS(ctx, err)
	}
	return callerIdentity(ctx, s.amazon.URL, got)
}

// signsWithCredentials asks our own STS whose the credentials are.
func (s *stage) signsWithCredentials(ctx context.Context) (reply, error) {
	return callerIdentity(ctx, s.server.BaseURL()+"/sts", s.session)
}

// callerIdentity sends a signed GetCallerIdentity.
func callerIdentity(ctx context.Context, sts string, key aws.Credentials) (reply, error) {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, sts, strings.NewReader(body))
	if err != nil {
		return reply{}, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = sigv4.Sign(request, signingKey(key), sigv4.SignOptions{
		Region: "us-east-1", Service: "sts", Time: time.Now(), PayloadHash: sigv4.HashPayload([]byte(body)),
	})
	if err != nil {
		return reply{}, fmt.Errorf("sign: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("call the STS: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	var answer struct {
		ARN string `xml:"GetCallerIdentityResult>Arn"`
	}
	_ = xml.Unmarshal(text, &answer) // a refusal has none
	return reply{status: response.StatusCode, note: answer.ARN}, nil
}

func signingKey(c aws.Credentials) sigv4.Credentials {
	return sigv4.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: countersign.NewSecret(c.SecretAccessKey), SessionToken: countersign.NewSecret(c.SessionToken),
	}
}

// revokedSession ends the session that was just used.
func (s *stage) revokedSession(ctx context.Context) (reply, error) {
	if _, err := s.admin.Revoke(ctx, iamclient.Revoke{Session: s.session.AccessKeyID}); err != nil {
		return reply{}, fmt.Errorf("revoke: %w", err)
	}
	out, err := s.signsWithCredentials(ctx)
	if err != nil || out.status == http.StatusOK {
		return out, err
	}
	page, err := s.admin.AuditEvents(ctx, iamclient.AuditQuery{Decision: "refused", Action: "session.identity", Limit: 1, Newest: true})
	if err != nil {
		return reply{}, fmt.Errorf("ask the audit log: %w", err)
	}
	for _, event := range page.Events {
		out.Reason = countersign.Reason(event.Reason)
	}
	return out, nil
}
