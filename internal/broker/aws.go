package broker

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

// Config of an [AWS] broker. Issuer and Signer are required.
type Config struct {
	// Issuer is our issuer URL: AWS finds our keys by its discovery document.
	Issuer string
	// Signer returns the RS256 signer of broker tokens: ring.Signer(keys.Broker). It is
	// asked for each token.
	Signer func() (*keys.Signer, error)
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Request asks for credentials. All of it but Role decides the key of the cache, and
// the UID of the role does so for its name.
type Request struct {
	// Role and RoleUID are our role.
	Role, RoleUID string
	// RoleARN is AWS's role, Region where its STS is asked. Endpoint is "" for AWS itself;
	// else the base URL of another STS, http on a loopback only.
	RoleARN, Region, Endpoint string
	// Issuer and Subject are the proven pair of the caller.
	Issuer, Subject string
	SessionName     string
	// Policy is an AWS session policy in JSON: what our permissions and the caller's policy
	// leave. Required: without one AWS would give all that its role may.
	Policy string
	Tags   map[string]string
	// Duration is 15 minutes to 1 hour.
	Duration time.Duration
}

// Credentials are temporary credentials of AWS.
type Credentials struct {
	AccessKeyID                   string
	SecretAccessKey, SessionToken countersign.Secret
	ExpiresAt                     time.Time
	AssumedRoleARN, AssumedRoleID string
	PackedPolicySize              int // in percent of what AWS allows; 0 = not said
}

// AWS gets credentials of AWS. Safe for concurrent use.
type AWS struct {
	cfg Config
}

// New returns a broker; it calls nobody.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*AWS, error) {
	if cfg.Issuer == "" || cfg.Signer == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "a broker needs our issuer and a signer")
	}
	return &AWS{cfg: cfg}, nil
}

// Close ends renewals and waits for them.
//
// Errors: none.
func (a *AWS) Close() error { return nil }

// Credentials returns credentials that are valid for 5 more seconds at least.
//
// Errors: countersign.Invalid, countersign.Denied, countersign.TooLarge,
// countersign.Throttled, countersign.Upstream, countersign.Unavailable.
func (a *AWS) Credentials(context.Context, Request) (Credentials, error) {
	return Credentials{}, countersign.NewError(countersign.Unsupported, "", "the broker is not served yet")
}
