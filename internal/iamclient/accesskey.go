package iamclient

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/countersign/countersign"
)

// The states of the [Object] of an access key.
const (
	AccessKeyLive    = "live"
	AccessKeyRevoked = "revoked"
	AccessKeyExpired = "expired"
	// AccessKeyEnded: its service, its role or the trust between them is another one now.
	AccessKeyEnded = "ended"
)

// CreateAccessKey is the body of POST /admin/access-keys.
type CreateAccessKey struct {
	Name    string `json:"name"`
	Service string `json:"service"`
	// Role is one that trusts the service, by a statement without a condition.
	Role string `json:"role"`
	// ExpiresIn is 1h to 366d; left out = 90d.
	ExpiresIn Duration `json:"expires_in,omitzero"`
}

// AccessKeyCredentials answer it: the one time that the secret is shown.
type AccessKeyCredentials struct {
	AccessKey   Object `json:"access_key"`
	AccessKeyID string `json:"access_key_id"`
	// SecretAccessKey encodes as REDACTED; see [AccessKeyCredentials.RevealJSON].
	SecretAccessKey countersign.Secret `json:"secret_access_key"`
	ExpiresAt       time.Time          `json:"expires_at"`
}

// RevealJSON encodes c with its secret in clear: for the answer to the administrator who
// asked for it, and nothing else.
//
// Errors: those of encoding/json.
func (c AccessKeyCredentials) RevealJSON() ([]byte, error) {
	return json.Marshal(struct {
		AccessKeyCredentials
		SecretAccessKey string `json:"secret_access_key"` // shadows the embedded field
	}{c, c.SecretAccessKey.Reveal()})
}

// CreateAccessKey makes a long-lived key of a service for the S3 gateway.
//
// Errors: countersign.Invalid, NotFound (no such service), Conflict (the name is taken, or the
// service has its most), Denied (the role does not trust the service), and as [Client].
func (c *Client) CreateAccessKey(ctx context.Context, in CreateAccessKey) (AccessKeyCredentials, error) {
	var out AccessKeyCredentials
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/access-keys", body: in}, &out)
	return out, err
}
