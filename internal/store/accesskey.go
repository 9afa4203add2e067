package store

import (
	"context"
	"time"
)

// AccessKey is a long-lived key for the S3 gateway, of one service and bound to one role.
type AccessKey struct {
	// UID is random and immutable (RULES A5).
	UID string
	// ID is the access key id: AKIA and 16 more characters.
	ID string
	// Name is unique across tenants. Tenant is that of the service; "" for the platform.
	Name, Tenant string
	// Service and Role are names; a service or a role of that name that was made again has
	// another uid, and the key is not its.
	Service, ServiceUID, Role, RoleUID string
	// Trust is the fingerprint of the role's trust statement that let the service have it.
	Trust string
	// Sealed is the secret access key, sealed by the master key with all of the above but
	// Name and Tenant, and with ExpiresAt, as additional data.
	Sealed []byte
	// Revision starts at 1 and grows by one with each change: the ETag.
	Revision             int64
	CreatedAt, ExpiresAt time.Time
	// RevokedAt is zero while nobody has revoked it. It is never taken back.
	RevokedAt time.Time
}

// AccessKeyFilter leaves out the keys of other services and roles; "" = nothing is left out.
type AccessKeyFilter struct{ ServiceUID, RoleUID string }

// AccessKeys reads access keys.
type AccessKeys interface {
	// AccessKey returns the key of that name, or NotFound.
	AccessKey(ctx context.Context, name string) (AccessKey, error)
	// AccessKeyByID returns the key with that access key id, or NotFound.
	AccessKeyByID(ctx context.Context, id string) (AccessKey, error)
	// AccessKeys returns keys in order of name, ended ones included.
	AccessKeys(ctx context.Context, filter AccessKeyFilter, page Page) ([]AccessKey, error)
}

// AccessKeyWriter writes access keys. It notes a [Change] for each by its access key id.
type AccessKeyWriter interface {
	// CreateAccessKey inserts k with Revision 1; Conflict if the name or the id is taken,
	// NotFound if there is no such service.
	CreateAccessKey(ctx context.Context, k AccessKey) error
	// RevokeAccessKey sets RevokedAt and the next revision, or NotFound: also when it is
	// revoked already.
	RevokeAccessKey(ctx context.Context, uid string, at time.Time) error
	// ResealAccessKey replaces the sealed secret, or NotFound.
	ResealAccessKey(ctx context.Context, uid string, sealed []byte) error
	// DeleteAccessKey removes the key, or NotFound.
	DeleteAccessKey(ctx context.Context, uid string) error
}
