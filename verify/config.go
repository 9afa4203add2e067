package verify

import (
	"crypto/x509"
	"time"
)

// Subject says whose tokens an issuer's are.
type Subject int

// The subjects. The zero value is for countersign issuers only and takes what they
// issue: service tokens, and users' tokens from an exchange. It is refused for the
// other profiles.
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

// The algorithms that can be allowed.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

// Issuer is one issuer that is trusted. Several may have the same URL if no audience
// is in two of them: the token's audience then chooses.
type Issuer struct {
	// URL is compared with iss byte by byte. Required. https, or http on a host
	// written as a loopback; with JWKSURL or Keys any text.
	URL string
	// Subject: whose tokens these are. Required except for a countersign issuer.
	Subject Subject
	Profile Profile
	// Audiences that are accepted from this issuer; nil = Config.Audience. Cognito:
	// the app client ids, compared with aud or client_id.
	Audiences []string
	// Algorithms; nil = ES256, RS256, EdDSA for countersign, RS256 and ES256 for the others.
	Algorithms []string
	// JWKSURL overrides discovery, and may then be on another host.
	JWKSURL string
	// Keys gives the keys directly; then nothing is fetched.
	Keys KeySource
	// RevocationsURL and RevocationsJWKSURL name the revocation feed and the keys that
	// sign it: both or none, for a countersign issuer whose metadata is not asked
	// (Keys, JWKSURL), or to override what that says. They may be on another host.
	// Without them, a countersign issuer with Keys or JWKSURL is not followed.
	RevocationsURL, RevocationsJWKSURL string
	// IgnoreRevocations: the feed of this issuer is not followed, so a token of it
	// ends by its expiry alone, or by Config.Revocations.
	IgnoreRevocations bool
	// AllowPrivateAddresses lets the fetches of keys and of the feed dial private addresses (RULES C2).
	AllowPrivateAddresses bool
	// TokenUse, for cognito: "id" or "access". Required there.
	TokenUse string
	// Claims names the claims; the zero value is the profile's own names.
	Claims ClaimNames
	// Services are the bare service names that this foreign issuer may speak for
	// (RULES A2). Others become ISSUER/NAME, with "/" and "%" in NAME written as %2F
	// and %25.
	Services []string
	// Tenants, Roles, Scopes are what the issuer may assert (RULES A4): nothing by
	// default; other values are dropped. Roles maps the issuer's name to ours. A
	// countersign issuer may assert all.
	Tenants []string
	Roles   map[string]string
	Scopes  []string
}

// ClaimNames name the claims that identities are read from.
type ClaimNames struct {
	// Service holds the service's name: "custom:service_id" for cognito, "sub" for oidc.
	Service string
	// ServicePrefix is cut off what Service holds; a token without it is refused. It is for
	// user names that stand for services: "username" of cognito's access tokens.
	ServicePrefix string
	// Roles is "cognito:groups" for cognito, "roles" for oidc; Tenant
	// "custom:tenant_id" and "tenant". Scopes defaults to "scope", then "scp".
	Roles, Tenant, Scopes string
}

// Config of a [Verifier].
type Config struct {
	// Audience is the name of the receiving service. Required, unless every issuer
	// has Audiences of its own.
	Audience string
	Issuers  []Issuer
	// Revocations is asked besides the feeds of the issuers; nil = nobody else is.
	Revocations RevocationChecker
	// MaxStaleness is for how long the tokens of an issuer with a revocation feed are
	// judged by what was last known to be revoked; older, they are refused with
	// [countersign.Unavailable]. 0 = 10 minutes.
	MaxStaleness time.Duration
	// InsecureAnyAudience accepts every audience. The caller MUST compare
	// Token.Audience itself. It is for introspection and debugging.
	InsecureAnyAudience bool
	// MaxCached bounds the cache of verified tokens; 0 = 10,000, -1 = no cache.
	MaxCached int
	// RootCAs are trusted for TLS when keys are fetched; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}
