package trust

import "time"

// Kind is what kind of proof proved an identity.
type Kind string

// The kinds.
const (
	KindOIDC    Kind = "oidc"    // a JWT of a foreign issuer
	KindAWS     Kind = "aws"     // a signed GetCallerIdentity
	KindService Kind = "service" // a service token of ours
)

// Identity is who somebody is, proven. Shared: never change one.
type Identity struct {
	Kind Kind
	// Issuer and Subject are the proven pair (RULES A1, D6). oidc: iss and sub. service:
	// our issuer and the service's name. aws: arn:PARTITION:iam::ACCOUNT:root, and the ARN
	// without the part that the caller chose: the session name of an assumed role, the name
	// of a federated user.
	Issuer, Subject string
	// IssuerName and IssuerUID are the Issuer document; "" for service and aws.
	IssuerName, IssuerUID string
	// User tells that the document is of kind user: the subject is a person.
	User bool
	// IssuerTenant is whose that document is, and IssuerSharedWith are the other tenants whose
	// statements may name it (RULES A6).
	IssuerTenant     string
	IssuerSharedWith []string
	// Service is the service: of a token of ours its name, of a foreign issuer of kind
	// service ISSUER/NAME, which no bare name matches (RULES A2); "" for all others.
	// ServiceUID is set for tokens of ours only.
	Service, ServiceUID string
	// ClaimedService is the bare name that a foreign issuer of kind service gives. It is no
	// service of ours until that service's own trust names the issuer.
	ClaimedService string
	// Tenant is that of our service, or one that the foreign issuer may assert; "" = none.
	Tenant string
	// Roles (by our names) and Scopes are what the foreign issuer may assert (RULES A4).
	Roles, Scopes []string
	// Dropped names what the token asserts and its issuer may not: tenant, roles, scopes.
	Dropped  []string
	Audience []string
	ClientID string
	// Claims are all claims as encoding/json makes them; nil for aws.
	Claims map[string]any
	// AWS is who an AWS caller is; nil for the other kinds.
	AWS *AWSCaller
	// TokenID and KID are of a token of ours only.
	TokenID, KID string
	// IssuedAt and ExpiresAt are those of the proof; IssuedAt is zero where it does not say.
	IssuedAt, ExpiresAt time.Time
}

// The types of AWS callers.
const (
	AWSUser          = "user"
	AWSAssumedRole   = "assumed-role"
	AWSFederatedUser = "federated-user"
	AWSRoot          = "root"
)

// AWSCaller is what the AWS STS says of a caller.
type AWSCaller struct {
	Partition, Account, ARN, UserID string
	// UniqueID is the part of UserID before ":": the immutable id of the user or role.
	UniqueID string
	// Type is one of AWSUser, AWSAssumedRole, AWSFederatedUser, AWSRoot.
	Type string
	// RoleName and SessionName are of an assumed role; the caller chose the SessionName.
	RoleName, SessionName string
}
