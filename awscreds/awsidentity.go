package awscreds

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// AWSIdentityConfig says which AWS principal shows itself, where, and for which role.
type AWSIdentityConfig struct {
	// STS is the endpoint of Countersign: https://auth.example.com/sts. https, or http on
	// loopback. Required.
	STS string
	// RoleARN is arn:aws:iam::ACCOUNT:role/NAME, a role of Countersign. Required.
	RoleARN string
	// ServerID is Countersign's sts.server_id. It is signed, so that nobody who is shown
	// the proof can show it elsewhere. Required.
	ServerID string
	// Credentials are those of the AWS principal: cfg.Credentials of
	// config.LoadDefaultConfig. They sign, and never leave the program. Required.
	Credentials aws.CredentialsProvider
	// Region of the AWS STS that says who signed; "" = the global one. China, the
	// GovCloud and the like need theirs.
	Region string
	// AWSSTS is the base URL of that STS, where it is a VPC endpoint or a test's; the
	// server has to list it (sts.aws_endpoints). "" = the one of Region.
	AWSSTS string
	// Presigned sends a presigned URL instead of a signed POST.
	Presigned bool
	// RoleSessionName is as for web identity; "" = the last part of the principal's ARN.
	RoleSessionName string
	// Duration, Policy, RefreshBefore, HTTPClient and Now are as for web identity.
	Duration      time.Duration
	Policy        string
	RefreshBefore time.Duration
	HTTPClient    *http.Client
	Now           func() time.Time
}

// serverIDHeader binds a signed request to one server (DESIGN §6).
const serverIDHeader = "X-Countersign-Server-Id"

// invocationHeader is what AWS's SDKs tell calls apart by.
const invocationHeader = "Amz-Sdk-Invocation-Id"

// proofLife is how long AWS accepts a presigned proof.
const proofLife = "60"

// awsIdentity is a checked AWSIdentityConfig.
type awsIdentity struct {
	sts
	serverID    string
	credentials aws.CredentialsProvider
	region      string
	awsURL      string
	presigned   bool
	signer      *v4.Signer
}

// NewAWSIdentity returns a provider that shows, by a signed GetCallerIdentity request which
// the server passes on, who the program is at AWS, and gets the credentials of a role for
// it. Each login signs anew: a proof serves once. A configuration that can't work is an
// error of every Retrieve.
//
// Source: DESIGN §6, AssumeRoleWithAWSIdentity; AWS SigV4, "Create a signed request".
func NewAWSIdentity(cfg AWSIdentityConfig) *Provider {
	p := newProvider(cfg.Now, cfg.RefreshBefore)
	a := &awsIdentity{
		serverID: cfg.ServerID, credentials: cfg.Credentials, region: cfg.Region, awsURL: cfg.AWSSTS,
		presigned: cfg.Presigned, signer: v4.NewSigner(),
		sts: sts{
			url: cfg.STS, roleARN: cfg.RoleARN, session: cfg.RoleSessionName,
			duration: cfg.Duration, policy: cfg.Policy, now: p.now,
		},
	}
	if p.failed = a.check(cfg.HTTPClient); p.failed == nil {
		p.end = a.close
		p.failed = a.checkAWS()
	}
	p.login = a.login
	return p
}

func (a *awsIdentity) checkAWS() error {
	switch {
	case a.credentials == nil:
		return invalid("Credentials is required")
	case !plainText(a.serverID, 1, 255) || strings.Contains(a.serverID, ","):
		return invalid("ServerID is required: the server's sts.server_id")
	}
	if a.awsURL == "" {
		endpoint, err := regionalSTS(a.region)
		if err != nil {
			return err
		}
		a.awsURL = endpoint
	} else if err := egress.CheckURL(a.awsURL); err != nil {
		return invalid("AWSSTS: " + countersign.MessageOf(err))
	}
	at, err := url.Parse(a.awsURL)
	if err != nil || at.RawQuery != "" || at.ForceQuery {
		return invalid("AWSSTS must have no query")
	}
	if at.Path == "" {
		at.Path = "/"
		a.awsURL = at.String()
	}
	if a.region == "" || a.region == "aws-global" {
		a.region = "us-east-1"
	}
	return nil
}

func (a *awsIdentity) login(ctx context.Context) (aws.Credentials, error) {
	principal, err := a.credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, withCode(err, "get the aws credentials to sign with")
	}
	sign := a.signed
	if a.presigned {
		sign = a.presignedURL
	}
	proof, err := sign(ctx, principal)
	if err != nil {
		return aws.Credentials{}, countersign.WrapError(countersign.Internal, "", "sign the proof of the aws identity", err)
	}
	form := a.form("AssumeRoleWithAWSIdentity", a.session)
	headers, err := json.Marshal(proof.headers)
	if err != nil {
		return aws.Credentials{}, countersign.WrapError(countersign.Internal, "", "write the proof's headers", err)
	}
	form.Set("IamRequestUrl", encode(proof.url))
	form.Set("IamRequestBody", encode(proof.body))
	form.Set("IamRequestHeaders", encode(string(headers)))
	credentials, err := a.assume(ctx, form, http.Header{serverIDHeader: {a.serverID}}, proof.secrets)
	credentials.Source = "CountersignAWSIdentity"
	return credentials, err
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// proof is a request that the server can send to AWS and nothing else can be done with.
type proof struct {
	url, body string
	headers   map[string]string
	secrets   []countersign.Secret // what of it no error may repeat
}

// callerIdentity is the one body that is ever signed.
const callerIdentity = "Action=GetCallerIdentity&Version=" + stsVersion

// signed makes the POST form.
func (a *awsIdentity) signed(ctx context.Context, principal aws.Credentials) (proof, error) {
	r, err := a.request(ctx, http.MethodPost, a.awsURL)
	if err != nil {
		return proof{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if err := a.signer.SignHTTP(ctx, principal, r, hexHash(callerIdentity), "sts", a.region, a.now()); err != nil {
		return proof{}, err
	}
	p := proof{url: a.awsURL, body: callerIdentity, headers: make(map[string]string)}
	for name := range r.Header {
		p.headers[name] = r.Header.Get(name)
	}
	p.secrets = []countersign.Secret{
		countersign.NewSecret(r.Header.Get("Authorization")), countersign.NewSecret(principal.SessionToken),
	}
	return p, nil
}

// presignedURL makes the GET form.
func (a *awsIdentity) presignedURL(ctx context.Context, principal aws.Credentials) (proof, error) {
	r, err := a.request(ctx, http.MethodGet, a.awsURL+"?"+callerIdentity+"&X-Amz-Expires="+proofLife)
	if err != nil {
		return proof{}, err
	}
	signed, _, err := a.signer.PresignHTTP(ctx, principal, r, hexHash(""), "sts", a.region, a.now())
	if err != nil {
		return proof{}, err
	}
	_, query, _ := strings.Cut(signed, "?")
	return proof{
		url: signed, headers: map[string]string{serverIDHeader: a.serverID, invocationHeader: r.Header.Get(invocationHeader)},
		secrets: []countersign.Secret{countersign.NewSecret(query), countersign.NewSecret(principal.SessionToken)},
	}, nil
}

// request has no body while it is signed: the signature is over the hash of one, and
// without a length none is signed, which the server sets itself.
func (a *awsIdentity) request(ctx context.Context, method, at string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, at, http.NoBody)
	if err != nil {
		return nil, egress.WithoutURL(err)
	}
	r.Header.Set(serverIDHeader, a.serverID)
	// Dates have whole seconds, and the server takes a proof once: this tells two logins of
	// one second apart.
	r.Header.Set(invocationHeader, rand.Text())
	return r, nil
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
