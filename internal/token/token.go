package token

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

// Config of a [Minter]. Issuer and Keys are required.
type Config struct {
	// Issuer is our issuer URL, exactly as in discovery.
	Issuer string
	Keys   *keys.Ring
	// Lifetime is the default lifetime; 0 = 15 minutes.
	Lifetime time.Duration
	Now      func() time.Time
}

// Claims are what a service token says, beside what the minter adds.
type Claims struct {
	// Service is the name: sub, client_id and service_id; ServiceUID is service_uid.
	Service, ServiceUID string
	// Audience is exactly one (RULES B1). Scope is space-delimited; "" = none.
	Audience, Scope string
	// Tenant is "" for the platform: the claim is left out.
	Tenant string
	// Lifetime is 1 minute to 1 hour; 0 = the minter's default.
	Lifetime time.Duration
}

// Minted is a fresh token.
type Minted struct {
	Token               countersign.Secret
	ID                  string // jti: the request id that the caller passes, so that log and token agree
	IssuedAt, ExpiresAt time.Time
}

// Minter mints service tokens. Safe for concurrent use.
type Minter struct{}

// New returns a Minter.
func New(cfg Config) (*Minter, error) { panic("contract") }

// Mint signs a service token with id as its jti.
//
// Errors: countersign.Invalid for claims that are out of range.
// Source: RFC 9068 §2.
func (m *Minter) Mint(ctx context.Context, id string, c Claims) (Minted, error) { panic("contract") }
