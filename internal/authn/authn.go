package authn

import (
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/verify"
)

// Config of an [Authenticator].
type Config struct {
	Issuer   string
	Keys     *keys.Ring
	Registry *registry.Registry
	// LocalUID is the uid that is the local administrator on the Unix socket.
	LocalUID uint32
	Now      func() time.Time
}

// Caller is who calls one of our own endpoints.
type Caller struct {
	// LocalAdmin: the Unix socket's peer is the local administrator; UID is its uid.
	LocalAdmin bool
	UID        uint32
	// Principal is the verified bearer; never nil.
	Principal *countersign.Principal
}

// Authenticator proves callers of our own API. Safe for concurrent use.
type Authenticator struct{}

// New returns an Authenticator.
func New(cfg Config) (*Authenticator, error) { panic("contract") }

// Caller proves who sent r: the peer of the Unix socket, or the bearer of a service
// token of ours with the audience iam-service.
//
// Errors: countersign.Unauthenticated, BadHeader, BadToken, Expired, Unavailable.
func (a *Authenticator) Caller(r *http.Request) (Caller, error) { panic("contract") }

// Inspect verifies one of our own tokens for any audience, for introspection and
// revocation; the caller compares the audience.
func (a *Authenticator) Inspect(r *http.Request, token string) (*verify.Token, error) {
	panic("contract")
}
