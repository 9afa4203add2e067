package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// Config of an [Admin]. All fields but Now are required.
type Config struct {
	Store    store.Store
	Audit    *audit.Log
	Registry *registry.Registry
	Keys     *keys.Ring
	// MaxTokenLifetime is how long a revocation must be kept: 1 hour.
	Now func() time.Time
}

// Actor is who administers, for the audit event.
type Actor struct {
	// ID is "local:UID" and so on, as in audit.Event.Actor. RequestID becomes the event's id.
	ID, RequestID, ClientAddr, Proof string
	// SuperAdmin may grant what RULES A7 reserves.
	SuperAdmin bool
}

// ServiceSpec is what an administrator says of a service.
type ServiceSpec struct {
	Name, Tenant, Owner string
	Scopes, Audiences   []string
	// TokenLifetime is 0 for the default, else 1 minute to 1 hour.
	TokenLifetime time.Duration
}

// Credentials are shown once.
type Credentials struct {
	ClientID     string
	ClientSecret countersign.Secret
	// ExpiresAt is when the secret ends; zero = never.
	ExpiresAt time.Time
}

// ServiceDetail is a service and what is known of its secrets, without the hashes.
type ServiceDetail struct {
	store.Service
	Secrets []store.ClientSecret // Hash is nil
}

// Admin changes the state. Safe for concurrent use.
type Admin struct{}

// New returns an Admin.
func New(cfg Config) (*Admin, error) { panic("contract") }

// CreateService registers a service and makes its first secret.
func (a *Admin) CreateService(ctx context.Context, actor Actor, spec ServiceSpec) (ServiceDetail, Credentials, error) {
	panic("contract")
}

// Service and Services read.
func (a *Admin) Service(ctx context.Context, name string) (ServiceDetail, error) { panic("contract") }

// Services lists by name.
func (a *Admin) Services(ctx context.Context, page store.Page) ([]ServiceDetail, error) {
	panic("contract")
}

// AnyRevision as the revision of a change means "whatever it is now".
const AnyRevision int64 = -1

// Rotation says what becomes of the secret before the new one. The older of two
// live secrets ends at once when a third is made (RULES B3).
type Rotation struct {
	// Grace is how long the newest old secret stays; 0 = it ends now; at most 30 days.
	Grace time.Duration
}

// RotateSecret makes a new secret.
func (a *Admin) RotateSecret(ctx context.Context, actor Actor, name string, revision int64, r Rotation) (ServiceDetail, Credentials, error) {
	panic("contract")
}

// SetServiceDisabled disables (all its live tokens end) or enables.
func (a *Admin) SetServiceDisabled(ctx context.Context, actor Actor, name string, revision int64, disabled bool) (ServiceDetail, error) {
	panic("contract")
}

// DeleteService removes the service; its live tokens end.
func (a *Admin) DeleteService(ctx context.Context, actor Actor, name string, revision int64) error {
	panic("contract")
}

// RevokeToken ends one token of ours.
func (a *Admin) RevokeToken(ctx context.Context, actor Actor, jti string, expiresAt time.Time) error {
	panic("contract")
}

// RevokeService ends all tokens of a service that were issued until now.
func (a *Admin) RevokeService(ctx context.Context, actor Actor, name string) error {
	panic("contract")
}
