package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/session"
)

// SessionFacts is what the revocation of a session can go by. A field that is empty is hit
// by none.
type SessionFacts struct {
	// AccessKeyID names the session. Role and RoleUID are what was assumed.
	AccessKeyID, Role, RoleUID string
	// Service and ServiceUID are the service that proved itself.
	Service, ServiceUID string
	// Issuer and Subject are the proven pair (RULES D6), never the session's name.
	Issuer, Subject string
	// JTI and KID are of the token of ours that was the proof; SealedBy is the key that
	// sealed the session.
	JTI, KID, SealedBy string
	IssuedAt           time.Time
	// ProvenAt is when the proof was issued; zero = with the session. Foreign: that was not a
	// token of ours.
	ProvenAt time.Time
	Foreign  bool
}

// FactsOf returns the facts of a session: all of them, so that no revocation misses it.
func FactsOf(s session.Session) SessionFacts {
	return SessionFacts{
		AccessKeyID: s.AccessKeyID, Role: s.Role, RoleUID: s.RoleUID, Service: s.Service, ServiceUID: s.ServiceUID,
		Issuer: s.Issuer, Subject: s.Subject, JTI: s.TokenID, KID: s.KID, SealedBy: s.SealedBy, IssuedAt: s.IssuedAt,
		ProvenAt: s.ProvenAt, Foreign: s.Kind != session.Service,
	}
}

// SessionRevoked reports whether a session is revoked: by itself, by its role, by what
// proved it (a user, an issuer, a service, a token of ours, a key), with the key that sealed
// it, or because its service is disabled, deleted or re-created. With an error it is always
// true. That its role, its trust statement and its issuer are still the ones that it was
// minted by is for who uses it to check (RULES A5).
//
// Sessions from before a disable stay dead when the service is enabled again, because who
// disables also stores a revocation of the service until now.
//
// Errors: countersign.Unavailable when that can't be told; then the session is refused.
func (r *Registry) SessionRevoked(ctx context.Context, f SessionFacts) (bool, error) {
	if r.stale() {
		return true, errStale
	}
	now := r.now()
	v := &r.revocations
	if v.sessions.has(f.AccessKeyID, now.Unix()) || v.tokens.has(f.JTI, now.Unix()) {
		return true, nil
	}
	if v.groups.Load() > 0 && (v.hit(f.selectors(), f.IssuedAt, now) || !f.ProvenAt.IsZero() && v.hit(f.proof(), f.ProvenAt, now)) {
		return true, nil
	}
	if f.ServiceUID == "" {
		return false, nil
	}
	current, err := r.Service(ctx, f.Service)
	if errors.Is(err, countersign.NotFound) {
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("look for revocations: %w", err)
	}
	return current.Disabled || current.UID != f.ServiceUID, nil
}

// StillOpen reports whether what proved a session is there and open to its role: the Issuer
// document, by its uid (RULES A5), and one or a service of another tenant only as long as that
// is shared with the role's (RULES A6). With an error it is always false.
//
// Errors: countersign.Unavailable.
func (r *Registry) StillOpen(ctx context.Context, role *Role, s session.Session) (bool, error) {
	switch {
	case s.Kind == session.OIDC:
		return r.hasIssuer(ctx, s.Issuer, s.IssuerUID, role.Tenant)
	case s.Kind == session.AWS, role.Tenant == "":
		return true, nil
	}
	service, err := r.Service(ctx, s.Service)
	if errors.Is(err, countersign.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up the service of a session: %w", err)
	}
	return mayRefer(role.Tenant, service.Tenant, service.SharedWith), nil
}

// MintSessionFrom is MintFrom for a session: the first moment at which one with these facts
// may be minted and not be born revoked (RULES E3). AccessKeyID, JTI and IssuedAt don't
// count. Who waits until then must verify the proof again: what was revoked meanwhile may be
// that, and the session would be too young to be hit.
func (r *Registry) MintSessionFrom(f SessionFacts) time.Time {
	return r.revocations.mintFrom(f.selectors(), r.now())
}

// proof are the selectors of the proof: what is revoked of it takes the session along, also
// one that was made after the time that the revocation names.
func (f SessionFacts) proof() selectors {
	return TokenFacts{
		Foreign: f.Foreign, KID: f.KID, Service: f.Service, ServiceUID: f.ServiceUID, Issuer: f.Issuer, Subject: f.Subject,
	}.selectors()
}

func (f SessionFacts) selectors() (s selectors) {
	s = TokenFacts{
		KID: f.KID, Service: f.Service, ServiceUID: f.ServiceUID, Issuer: f.Issuer, Subject: f.Subject,
	}.selectors()
	if f.Role != "" {
		s[6] = selector{kind: byRole, a: f.Role}
		if f.RoleUID != "" {
			s[7] = selector{kind: byRole, a: f.Role, b: f.RoleUID}
		}
	}
	if f.SealedBy != "" {
		s[8] = selector{kind: byKID, a: f.SealedBy}
	}
	return s
}
