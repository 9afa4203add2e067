package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

// AccessKey is a long-lived access key of a service (RULES F7), opened. Shared: never change
// one. That there is one says nothing: ask [Registry.AccessKeyRevoked] before each use.
type AccessKey struct {
	UID, ID, Name, Tenant              string
	Service, ServiceUID, Role, RoleUID string
	// Trust is the fingerprint of the role's trust statement that let the service have it.
	Trust                string
	Secret               countersign.Secret
	Revision             int64
	CreatedAt, ExpiresAt time.Time
	// RevokedAt is zero while nobody has revoked it.
	RevokedAt time.Time
}

// errAccessKeyUnknown is shared: it holds nothing of the request.
var errAccessKeyUnknown = countersign.NewError(countersign.NotFound, countersign.ReasonAccessKeyUnknown, "there is no such access key")

// AccessKey returns the access key with that id; a held one without a database read. Revoked
// and expired ones are returned like any other.
//
// Errors: countersign.NotFound; countersign.Unavailable, also for one that does not open.
func (r *Registry) AccessKey(ctx context.Context, id string) (*AccessKey, error) {
	if !keys.ValidAccessKeyID(id) { // needs no database to be unknown
		return nil, errAccessKeyUnknown
	}
	return view(ctx, r, &r.accessKeys, id, errAccessKeyUnknown, r.readAccessKey)
}

func (r *Registry) readAccessKey(ctx context.Context, id string) (*AccessKey, error) {
	row, err := r.store.AccessKeyByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read an access key: %w", err)
	}
	if r.openAccessKey == nil {
		return nil, countersign.NewError(countersign.Unavailable, "", "access keys are not opened here")
	}
	secret, err := r.openAccessKey(row)
	if err != nil { // a row that somebody changed, or a master key that is not the one here
		return nil, countersign.WrapError(countersign.Unavailable, "", "an access key does not open", err)
	}
	return &AccessKey{
		UID: row.UID, ID: row.ID, Name: row.Name, Tenant: row.Tenant, Service: row.Service, ServiceUID: row.ServiceUID,
		Role: row.Role, RoleUID: row.RoleUID, Trust: row.Trust, Secret: secret, Revision: row.Revision,
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt,
	}, nil
}

// AccessKeyRevoked reports whether an access key opens nothing now: it was revoked, by itself or
// with its service, its role or everything; it has expired; its service is disabled, deleted or
// another one of that name; its role is gone or another one, hands out credentials of a real
// cloud, or does not have the trust statement any more that let the service have it (RULES A5); or
// the role may not refer to the service any more (RULES A6). With an error it is always true.
//
// Errors: countersign.Unavailable when that can't be told; then the request is refused.
func (r *Registry) AccessKeyRevoked(ctx context.Context, k *AccessKey) (bool, error) {
	if r.stale() {
		return true, errStale
	}
	now := r.now()
	if !k.RevokedAt.IsZero() || !now.Before(k.ExpiresAt) || r.revocations.sessions.has(k.ID, now.Unix()) {
		return true, nil
	}
	if r.revocations.groups.Load() > 0 && r.revocations.hit(AccessKeyFacts(k).selectors(), k.CreatedAt, now) {
		return true, nil
	}
	service, err := r.Service(ctx, k.Service)
	switch {
	case errors.Is(err, countersign.NotFound):
		return true, nil
	case err != nil:
		return true, fmt.Errorf("look up the service of an access key: %w", err)
	case service.Disabled || service.UID != k.ServiceUID:
		return true, nil
	}
	role, err := r.Role(ctx, k.Role)
	switch {
	case errors.Is(err, countersign.NotFound):
		return true, nil
	case err != nil:
		return true, fmt.Errorf("look up the role of an access key: %w", err)
	case role.UID != k.RoleUID || role.Broker != nil || !role.TrustsStill(k.Trust):
		return true, nil
	}
	return !mayRefer(role.Tenant, service.Tenant, service.SharedWith), nil
}

// AccessKeyFacts is what the revocation of several can hit an access key by.
func AccessKeyFacts(k *AccessKey) SessionFacts {
	return SessionFacts{Role: k.Role, RoleUID: k.RoleUID, Service: k.Service, ServiceUID: k.ServiceUID, IssuedAt: k.CreatedAt}
}
