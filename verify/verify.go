package verify

import (
	"context"
	"time"

	"github.com/countersign/countersign"
)

// Subject says whose tokens an issuer's are.
type Subject int

// The subjects. The zero value is Service for a countersign issuer and is refused
// for the other profiles.
const (
	subjectDefault Subject = iota
	Service
	User
)

// Profile says which rules an issuer's tokens follow.
type Profile string

// The profiles. "" is Countersign for an issuer without Subject, OIDC with one.
const (
	Countersign Profile = "countersign" // at+jwt by RFC 9068, service_id
	OIDC        Profile = "oidc"
	Cognito     Profile = "cognito"
)

// Issuer is one issuer that is trusted.
type Issuer struct {
	// URL is compared with iss byte by byte. Required.
	URL string
	// Subject: whose tokens these are. Required except for a countersign issuer.
	Subject Subject
	Profile Profile
	// Audiences that are accepted from this issuer; nil = Config.Audience. Cognito:
	// the app client ids, compared with aud or client_id.
	Audiences []string
	// Algorithms; nil = ES256, RS256, EdDSA for countersign, RS256 and ES256 for the others.
	Algorithms []string
	// JWKSURL overrides discovery.
	JWKSURL string
	// Keys gives the keys directly; then nothing is fetched.
	Keys KeySource
	// AllowPrivateAddresses lets the key fetches dial private addresses (RULES C2).
	AllowPrivateAddresses bool
	// TokenUse, for cognito: "id" or "access". Required there.
	TokenUse string
	// Claims names the claims; the zero value is the profile's own names.
	Claims ClaimNames
	// Services are the bare service names that this foreign issuer may speak for
	// (RULES A2). Others become ISSUER/NAME.
	Services []string
	// Tenants, Roles, Scopes are what the issuer may assert (RULES A4): nothing by
	// default. Roles maps the issuer's name to ours. A countersign issuer may assert all.
	Tenants []string
	Roles   map[string]string
	Scopes  []string
}

// ClaimNames name the claims that identities are read from.
type ClaimNames struct {
	// Service holds the service's name ("custom:service_id" for cognito).
	Service string
	// Roles, Tenant, Scopes. Scopes defaults to "scope", then "scp".
	Roles, Tenant, Scopes string
}

// KeySource gives verification keys: *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey.
type KeySource interface {
	// Key returns the key of that id for that algorithm.
	//
	// Errors: countersign.BadToken with ReasonKeyUnknown; countersign.Upstream with
	// ReasonKeysUnavailable.
	Key(ctx context.Context, kid, algorithm string) (any, error)
}

// RevocationChecker knows which tokens are revoked.
type RevocationChecker interface {
	// Revoked is asked at every verification, also for cached tokens, so it must be
	// fast. An error (countersign.Unavailable) refuses the token.
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Config of a [Verifier].
type Config struct {
	// Audience is the name of the receiving service. Required, unless every issuer
	// has Audiences of its own.
	Audience string
	Issuers  []Issuer
	// Revocations; nil = none is known: a token ends by its expiry alone.
	Revocations RevocationChecker
	// InsecureAnyAudience accepts every audience. The caller MUST compare
	// Token.Audience itself. It is for introspection and debugging.
	InsecureAnyAudience bool
	// MaxCached bounds the cache of verified tokens; 0 = 10,000, -1 = no cache.
	MaxCached int
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Token is a verified token. Shared between requests: never change it.
type Token struct {
	// Principal has either its User or its Service set.
	Principal countersign.Principal
	Issuer    string
	Subject   string
	// ID is the jti, "" when there is none.
	ID        string
	ClientID  string
	Audience  []string
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Claims are all claims, verified, as raw JSON by name.
	Claims map[string]RawClaim
}

// RawClaim is the raw JSON of a verified claim.
type RawClaim []byte

// Verifier verifies tokens. Safe for concurrent use.
type Verifier struct{}

// New checks the configuration; it fetches nothing.
//
// Errors: [countersign.Invalid].
func New(cfg Config) (*Verifier, error) { panic("contract") }

// Audience returns Config.Audience: the name of the receiving service.
func (v *Verifier) Audience() string { panic("contract") }

// Verify checks a compact JWS in full and says who it is about.
//
// Errors: [countersign.BadToken], [countersign.Expired], [countersign.Upstream]
// (keys can't be had), [countersign.Unavailable] (revocation state unknown), each
// with its Reason.
// Source: RFC 7519 §7.2, RFC 8725, RFC 9068 §4.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) { panic("contract") }

// Close ends background refreshes.
func (v *Verifier) Close() error { panic("contract") }

// Unverified is what a token says of itself. It is a type of its own, so that it
// can't be taken for a verified one.
type Unverified struct {
	Algorithm, Type, KeyID string
	Issuer, Subject, ID    string
	Audience               []string
	ExpiresAt              time.Time
}

// ParseUnverified reads a token without believing it.
//
// Errors: [countersign.BadToken].
func ParseUnverified(token string) (Unverified, error) { panic("contract") }
