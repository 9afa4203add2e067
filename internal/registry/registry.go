package registry

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// Config of a [Registry]. Store is required.
type Config struct {
	Store store.Store
	Now   func() time.Time
	// MaxServices bounds the cached services; 0 = 100,000. The least recently used goes.
	MaxServices int
}

// Registry is the in-memory view that the front doors read. Safe for concurrent use.
type Registry struct{}

// New loads the live revocations and starts with no cached service.
func New(ctx context.Context, cfg Config) (*Registry, error) { panic("contract") }

// Service is the compiled view of one service. Never change it: it is shared.
type Service struct {
	store.Service
	Secrets []Secret
}

// Secret is a live secret of a service.
type Secret struct {
	ID        string
	Hash      [32]byte
	ExpiresAt time.Time // zero = stays
}

// Service returns the service of that name; a cached one without a database read.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (r *Registry) Service(ctx context.Context, name string) (*Service, error) { panic("contract") }

// Forget drops the cached view of a service. Admin calls it after every commit that
// changed the service; a load that began before it does not bring the old view back.
func (r *Registry) Forget(name string) { panic("contract") }

// Revoke takes a committed revocation into the view.
func (r *Registry) Revoke(rev store.Revocation) { panic("contract") }

// Revoked reports whether a token of ours is revoked: by its jti, by its service's
// uid and iat, or because the service is disabled, deleted or re-created (uid differs).
//
// Errors: countersign.Unavailable when that can't be told; then the token is refused.
func (r *Registry) Revoked(ctx context.Context, jti, service, serviceUID string, issuedAt time.Time) (bool, error) {
	panic("contract")
}

// Used notes that a secret was used. FlushUsed writes what was noted, at most once
// an hour per secret; the server calls it in the background and at stop.
func (r *Registry) Used(serviceName, secretID string, at time.Time) { panic("contract") }

// FlushUsed writes the noted uses.
func (r *Registry) FlushUsed(ctx context.Context) error { panic("contract") }
