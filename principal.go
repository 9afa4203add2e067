package countersign

import (
	"slices"
	"time"
)

// Principal is who is calling, after verification: a user, a service, or both.
// A nil *Principal and the zero Principal are "nobody"; every field and method is
// safe to ask. A Principal is shared between requests that carry the same token:
// never change one.
type Principal struct {
	// User is the person; zero when no user's token came.
	User User
	// Service is the calling service; zero when no service's token came.
	Service Service
	// Scopes are those of the service's token or, without a service, the user's.
	Scopes []string
	// Session is the temporary credential that proved the caller; zero when none did.
	Session Session
	// Tenant is the tenant that the user's token or, without a user, the service's
	// token names; "" = the platform.
	Tenant string
}

// User is a person as an issuer knows them. A user is always the pair (Issuer,
// Subject): a subject alone is no identity.
type User struct {
	// Issuer is the exact issuer URL; Subject the issuer's id for the person.
	Issuer, Subject string
	// Roles, Scopes and Tenant are what the issuer may assert and did assert.
	Roles  []string
	Scopes []string
	Tenant string
	// Actor is the service that exchanged the user's token (act.sub); "" when none did.
	Actor string
	Proof Proof
}

// Service is a calling service.
type Service struct {
	// Name is the registered name (document-service) or, from a foreign issuer that
	// is not trusted for that name, ISSUER/NAME, which no bare name matches.
	Name string
	// Issuer is the exact issuer URL of the token that proved it.
	Issuer string
	// UID is the immutable id of the registered service; "" from foreign issuers.
	UID    string
	Scopes []string
	Tenant string
	Proof  Proof
}

// Session is a set of temporary credentials.
type Session struct {
	// AccessKeyID is the public id (ASIA…); Role the role it was assumed for.
	AccessKeyID, Role, Name string
	ExpiresAt               time.Time
}

// Proof says how an identity was proven; it holds nothing secret.
type Proof struct {
	// Method is "jwt" or "session"; "" = not proven.
	Method string
	// TokenID is the token's jti; KeyID the key that signed it.
	TokenID, KeyID string
	// Audience is the audience of the token that we accepted it for.
	Audience            string
	IssuedAt, ExpiresAt time.Time
}

// IsZero reports whether there is no user.
func (u User) IsZero() bool { return u.Subject == "" }

// HasRole reports whether the user has the role.
func (u User) HasRole(role string) bool { return slices.Contains(u.Roles, role) }

// IsZero reports whether there is no service.
func (s Service) IsZero() bool { return s.Name == "" }

// HasScope reports whether the service's token has exactly this scope.
func (s Service) HasScope(scope string) bool { return slices.Contains(s.Scopes, scope) }

// IsZero reports whether there is no session.
func (s Session) IsZero() bool { return s.AccessKeyID == "" }

// IsZero reports whether nobody is calling: no user, no service, no session.
func (p *Principal) IsZero() bool {
	return p == nil || p.User.IsZero() && p.Service.IsZero() && p.Session.IsZero()
}
