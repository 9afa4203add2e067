package store

import "time"

// Times are UTC with microsecond resolution; the zero time means "never" or "not
// set" and is stored as 0.

// Service is a registered machine client.
type Service struct {
	// UID is random and immutable; a service that is deleted and created again gets
	// another one (RULES A5).
	UID string
	// Name is the OAuth client_id. Unique across tenants. [a-z0-9][a-z0-9-]{0,62}.
	Name string
	// Tenant is "" for the platform. Owner is the label of the pipeline that applies it.
	Tenant, Owner string
	// Scopes and Audiences are all that a token of it may carry; sorted, distinct.
	Scopes, Audiences []string
	// TokenLifetime is 0 for the configured default.
	TokenLifetime time.Duration
	// JWKS is the public JWK set for private_key_jwt as a JSON document, JWKSURI where
	// it is fetched instead; at most one is set.
	JWKS    []byte
	JWKSURI string
	// Trust are the proofs of other issuers that it may show instead of a secret, as a JSON
	// document of package resource; nil = none.
	Trust []byte
	// SharedWith are the other tenants that may refer to it; sorted, distinct.
	SharedWith []string
	// TokensPerMinute is the issuance quota over all replicas; 0 = none.
	TokensPerMinute int64
	// Disabled is the operator's lock (RULES A9).
	Disabled bool
	// Revision starts at 1 and grows by one with each change: the ETag.
	Revision             int64
	CreatedAt, UpdatedAt time.Time
}

// ClientSecret is one live or past secret of a service. The secret itself is not
// here, only its keyed hash.
type ClientSecret struct {
	// ID is random; it is shown to people to tell two secrets apart.
	ID         string
	ServiceUID string
	// Hash is HMAC-SHA-256 under a key that the master key seals.
	Hash      []byte
	CreatedAt time.Time
	// ExpiresAt is zero for a secret that stays; rotation gives the old one an end.
	ExpiresAt time.Time
	// LastUsedAt is accurate to an hour: it is written in the background.
	LastUsedAt time.Time
}

// SigningKey is a key pair at rest. The schedule is fixed in the row (RULES B6).
type SigningKey struct {
	KID string
	// Purpose is "token", "audit", …: keys never serve two purposes (RULES B7).
	Purpose string
	// Algorithm is ES256, RS256 or EdDSA; HKDF-A256GCM for what seals sessions.
	Algorithm string
	// Public is the public JWK as JSON; none for a symmetric key. Sealed is the private key
	// (PKCS #8) or the symmetric one, sealed by the master key with purpose, kid and
	// deployment id as additional data.
	Public, Sealed []byte
	CreatedAt      time.Time
	// PublishAt: in the JWKS from then on. UseFrom, UseUntil: signs in between.
	// KeepUntil: leaves the JWKS then (zero = for ever, audit keys).
	PublishAt, UseFrom, UseUntil, KeepUntil time.Time
}

// Object is any resource that has no table of its own: issuers, route policies.
type Object struct {
	// UID is random and immutable (RULES A5).
	UID string
	// Kind is "Issuer", "RoutePolicy", …; Name is unique within it, across tenants.
	Kind, Name string
	// Tenant is "" for the platform. Owner is the label of the pipeline that applies it.
	Tenant, Owner string
	// Spec is the document without kind, name and tenant, as canonical JSON.
	Spec []byte
	// Revision starts at 1 and grows by one with each change: the ETag.
	Revision             int64
	CreatedAt, UpdatedAt time.Time
}

// Change says that something which processes keep in memory is another one now.
type Change struct {
	// Seq is from the same count as Revocation.Seq; the changes of one transaction
	// share one number.
	Seq int64
	// Kind is "Service", "SigningKey", "AccessKey", "User" or an Object's kind. Name is its
	// name, kid, access key id or id.
	Kind, Name string
	At         time.Time
}

// FeedHead is how far the changes and revocations go, and the store's own clock.
type FeedHead struct {
	Seq int64
	Now time.Time
	// Mark is that of Seq, as Feed.Mark returns it.
	Mark string
}

// Revocation ends tokens and sessions. Exactly one selector is set (Issuer with Subject is
// one), except that Before may stand beside any.
type Revocation struct {
	// Seq is given by the store in the committing transaction: increasing.
	Seq int64
	// JTI: one token. Service (with ServiceUID): all tokens of that service. Issuer (a
	// URL): all that it issued; with Subject: one user (RULES A1). KID: all that a key
	// signed or sealed. All: every token of ours. Each hits the sessions too that such a
	// token or user proved.
	JTI, Service, ServiceUID string
	Issuer, Subject, KID     string
	All                      bool
	// Role (with RoleUID): all sessions of that role. Session: one, by its access key id.
	Role, RoleUID, Session string
	// Before: tokens with iat at or before it; zero = every one.
	Before time.Time
	// ExpiresAt: when nothing that this could hit is alive any more; zero = never.
	ExpiresAt time.Time
	CreatedAt time.Time
}

// AuditBlock is what one group commit appends to a replica's audit chain.
type AuditBlock struct {
	// Replica names the chain; Seq counts its blocks from 1 without a gap.
	Replica string
	Seq     int64
	// Events is JSON Lines, one event a line, in order. Count is their number.
	Events []byte
	Count  int64
	// First and Last are the smallest and largest event time in the block.
	First, Last time.Time
	// Prev is the Hash of block Seq-1 (32 zero bytes for the first); Hash is this
	// block's own. Package audit defines what is hashed.
	Prev, Hash []byte
}

// AuditHead is a signed statement of how long a replica's chain was at a time.
type AuditHead struct {
	Replica   string
	Seq       int64
	Hash      []byte
	At        time.Time
	KID       string
	Signature []byte
}
