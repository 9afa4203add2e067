package session

import (
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

const (
	// MaxDuration is the longest that a session may live.
	MaxDuration = keys.MaxSessionDuration
	// MaxTokenBytes bounds the text of a session token: some clients and all gateways have
	// a limit on headers and query parameters.
	MaxTokenBytes = 2048
)

// The kinds of proof that a session may rest on, as in trust.Kind.
const (
	OIDC    = "oidc"
	AWS     = "aws"
	Service = "service"
)

// Session is who holds temporary credentials, by which role and by which proof. All of it
// is what we verified when it was minted; nothing of it is secret. Texts are UTF-8.
type Session struct {
	// AccessKeyID names the session: ASIA and 16 characters. Mint draws it.
	AccessKeyID string
	// Role and RoleUID: what was assumed. A role of the same name with another uid is
	// another role (RULES A5).
	Role, RoleUID string
	// Name is the RoleSessionName that the caller chose: shown, never matched (RULES D6).
	Name string
	// Kind is OIDC, AWS or Service. Issuer and Subject are the proven pair; IssuerUID is the
	// Issuer document's, "" for the other kinds.
	Kind                       string
	Issuer, Subject, IssuerUID string
	// Service and ServiceUID are set where the proof is a service's; Tenant where it has one.
	Service, ServiceUID, Tenant string
	// AWSAccount is the account of an AWS identity.
	AWSAccount string
	// Fingerprint is of the trust statement that let it in (RULES A5).
	Fingerprint string
	// Values are what the role's templates needed when it was minted.
	Values map[string]string
	// Policy is the compact session policy; "" = none.
	Policy string
	Tags   map[string]string
	// TokenID and KID are of our own token, where one was the proof.
	TokenID, KID string
	// ProvenAt is when the proof was issued; zero = not before the session, or not sealed.
	// A revocation of what was issued until a time may reach the proof and not the session.
	ProvenAt time.Time
	// SealedBy is the id of the sealing key. Mint and Open set it.
	SealedBy string
	// IssuedAt and ExpiresAt have whole seconds: Mint cuts the rest off.
	IssuedAt, ExpiresAt time.Time
}

// Credentials are what a caller gets, once.
type Credentials struct {
	AccessKeyID                   string
	SecretAccessKey, SessionToken countersign.Secret
	ExpiresAt                     time.Time
}
