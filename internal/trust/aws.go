package trust

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// AWSProof is a GetCallerIdentity that the caller signed, as the caller hands it over:
// decoded from base64, not read yet. With an empty Body it is the presigned form.
type AWSProof struct {
	URL, Body string
	// Headers is a JSON object of strings.
	Headers string
}

// AWSConfig of an [AWSVerifier].
type AWSConfig struct {
	// ServerID is what X-Countersign-Server-ID must be signed as. Required.
	ServerID string
	// Endpoints are base URLs that are accepted beside AWS's own: exact; http on loopback
	// only.
	Endpoints []string
	// SingleUse remembers signatures over all replicas. Required.
	SingleUse store.SingleUse
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// AWSVerifier proves who AWS callers are. Safe for concurrent use.
type AWSVerifier struct {
	cfg AWSConfig
}

// NewAWS returns an AWSVerifier.
//
// Errors: countersign.Invalid.
func NewAWS(cfg AWSConfig) (*AWSVerifier, error) {
	if cfg.ServerID == "" || cfg.SingleUse == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "an AWS verifier needs a server id and single use")
	}
	return &AWSVerifier{cfg: cfg}, nil
}

// Close ends idle connections.
//
// Errors: none.
func (a *AWSVerifier) Close() error { return nil }

// Verify proves who signed the request.
//
// Errors: countersign.BadToken, countersign.BadSignature, countersign.Expired,
// countersign.Skewed, countersign.Throttled, countersign.Upstream, countersign.Unavailable.
func (a *AWSVerifier) Verify(context.Context, AWSProof) (Identity, error) {
	return Identity{}, countersign.NewError(countersign.Unsupported, "", "AWS identity is not served yet")
}
