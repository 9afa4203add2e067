package registry

import (
	"context"

	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/trust"
)

// UserDisabled reports whether the user with that proven pair is disabled: on the platform,
// which holds everywhere, or in one of the tenants; "" is none. With an error it is always true.
//
// Errors: countersign.Unavailable.
func (r *Registry) UserDisabled(ctx context.Context, issuer, subject string, tenants ...string) (bool, error) {
	user, err := r.User(ctx, policy.UserID(issuer, subject))
	if err != nil {
		return true, err
	}
	if platform, ok := user.Record(""); ok && platform.Disabled {
		return true, nil
	}
	for _, tenant := range tenants {
		if record, ok := user.Record(tenant); ok && record.Disabled {
			return true, nil
		}
	}
	return false, nil
}

// SessionUserDisabled is UserDisabled for a session of a role: of a user who proved it, on the
// platform, in the tenant that the token said, and in the role's. What the user's tokens proved
// is revoked when they are disabled on the platform; a replica that had not heard of that may
// have made a session since, and a tenant revokes nothing. What is no user's is never disabled.
// With an error it is always true.
//
// Errors: countersign.Unavailable.
func (r *Registry) SessionUserDisabled(ctx context.Context, role *Role, s session.Session) (bool, error) {
	if s.Kind != session.OIDC {
		return false, nil
	}
	documents, err := r.Issuers(ctx, s.Issuer)
	if err != nil {
		return true, err
	}
	for i := range documents {
		if d := &documents[i]; d.UID == s.IssuerUID && d.Subject == trust.SubjectUser {
			return r.UserDisabled(ctx, s.Issuer, s.Subject, s.Tenant, role.Tenant)
		}
	}
	return false, nil
}
