package resource

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/config"
)

// The kinds that this version serves.
const (
	KindService     = "Service"
	KindIssuer      = "Issuer"
	KindRole        = "Role"
	KindRoutePolicy = "RoutePolicy"
	KindTenant      = "Tenant"
	KindUserRole    = "UserRole"
	KindBucket      = "Bucket"
	KindAccessKey   = "AccessKey"
)

var served = []string{KindTenant, KindUserRole, KindService, KindIssuer, KindRole, KindBucket, KindRoutePolicy, KindAccessKey}

// Kinds returns the kinds that are served, in the order in which they are applied.
func Kinds() []string { return slices.Clone(served) }

// Document is one document. Exactly the field of its kind is set.
type Document struct {
	Kind, Name string
	// Tenant is "" for the platform.
	Tenant string

	Service     *Service
	Issuer      *Issuer
	Role        *Role
	RoutePolicy *RoutePolicy
	Bucket      *Bucket
	AccessKey   *AccessKey
	OfTenant    *Tenant
	UserRole    *UserRole

	// File and Line are where it starts; empty when it does not come from a file.
	File string
	Line int

	places map[string]place
}

// place is where a field stands: line and column of its value.
type place struct{ line, column int }

// Problem makes a problem of a field of the document, at the field's place in its file.
func (d *Document) Problem(path, message string) Problem {
	p := Problem{File: d.File, Line: d.Line, Column: 1, Path: path, Message: message}
	for at := path; at != ""; at = parent(at) {
		if found, ok := d.places[at]; ok {
			p.Line, p.Column = found.line, found.column
			break
		}
	}
	return p
}

// parent is the path without its last step.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// Service is a registered machine client.
type Service struct {
	Scopes        []string        `json:"scopes,omitempty"`
	Audiences     []string        `json:"audiences,omitempty"`
	TokenLifetime Duration        `json:"token_lifetime,omitzero"`
	JWKS          json.RawMessage `json:"jwks,omitempty"` // a JWK set of public keys; empty = none
	JWKSURI       string          `json:"jwks_uri,omitempty"`
	// Trust are proofs that the service may show instead of a secret.
	Trust []TrustStatement `json:"trust,omitempty"`
	Quota Quota            `json:"quota,omitzero"`
	// SharedWith are other tenants whose documents may refer to it (RULES A6).
	SharedWith []string `json:"shared_with,omitempty"`
}

// Quota bounds what a service may do.
type Quota struct {
	// TokensPerMinute is 0 for no bound.
	TokensPerMinute int64 `json:"tokens_per_minute,omitempty"`
}

// Issuer is a foreign issuer whose tokens are accepted.
type Issuer struct {
	URL string `json:"url"`
	// Subject is user, service or workload; Profile is oidc or cognito.
	Subject    string   `json:"subject"`
	Profile    string   `json:"profile"`
	Audiences  []string `json:"audiences"`
	Algorithms []string `json:"algorithms,omitempty"`
	// JWKS are the issuer's keys where they are written down: then nothing is fetched.
	// JWKSURI is where they are else; "" = by discovery.
	JWKS                  json.RawMessage `json:"jwks,omitempty"`
	JWKSURI               string          `json:"jwks_uri,omitempty"`
	AllowPrivateAddresses bool            `json:"allow_private_addresses,omitempty"`
	Claims                Claims          `json:"claims,omitzero"`
	TokenUse              string          `json:"token_use,omitempty"`
	MayAssert             MayAssert       `json:"may_assert,omitzero"`
	// DeviceLogin lets users log in from a command line; nil = they can't.
	DeviceLogin *DeviceLogin `json:"device_login,omitempty"`
	// SharedWith are other tenants whose documents may refer to it (RULES A6).
	SharedWith []string `json:"shared_with,omitempty"`
}

// DeviceLogin is the public client by which users of an issuer log in from a command line
// (RFC 8628).
type DeviceLogin struct {
	// ClientID is no secret, and the client has none.
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes,omitempty"`
	// Token is which one is shown to us: "access" or "id"; "" = access.
	Token string `json:"token,omitempty"`
}

// Claims names the claims from which things are read; "" = not read.
type Claims struct {
	Service ServiceClaim `json:"service,omitzero"`
	Roles   string       `json:"roles,omitempty"`
	Tenant  string       `json:"tenant,omitempty"`
	Scopes  string       `json:"scopes,omitempty"`
}

// ServiceClaim is where a service's name is read: a claim, or the user name of an
// access token without a prefix.
type ServiceClaim struct {
	Claim string
	// From is "username" or "".
	From, StripPrefix string
}

type serviceClaimFields struct {
	From        string `json:"from"`
	StripPrefix string `json:"strip_prefix,omitempty"`
}

// MarshalJSON writes a claim as text.
//
// Errors: none.
func (c ServiceClaim) MarshalJSON() ([]byte, error) {
	if c.From == "" {
		return json.Marshal(c.Claim)
	}
	return json.Marshal(serviceClaimFields{c.From, c.StripPrefix})
}

// UnmarshalJSON reads what MarshalJSON wrote.
//
// Errors: those of encoding/json.
func (c *ServiceClaim) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &c.Claim)
	}
	var fields serviceClaimFields
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	c.From, c.StripPrefix = fields.From, fields.StripPrefix
	return nil
}

// MayAssert is what tokens of an issuer may say about their subject; nothing by
// default (RULES A4). Roles maps the issuer's names to ours.
type MayAssert struct {
	Tenants []string          `json:"tenants,omitempty"`
	Roles   map[string]string `json:"roles,omitempty"`
	Scopes  []string          `json:"scopes,omitempty"`
}

// IsZero reports whether nothing may be asserted.
func (m MayAssert) IsZero() bool {
	return len(m.Tenants) == 0 && len(m.Roles) == 0 && len(m.Scopes) == 0
}

// RoutePolicy says who may call which routes of a service.
type RoutePolicy struct {
	// Service is the receiving one.
	Service string `json:"service"`
	Enforce bool   `json:"enforce"`
	Rules   []Rule `json:"rules"`
}

// Rule lets calls pass: what matches From, To and When.
type Rule struct {
	Name string   `json:"name"`
	From RuleFrom `json:"from"`
	To   RuleTo   `json:"to"`
	When string   `json:"when,omitempty"`
}

// RuleFrom is who calls: AND between fields, OR inside.
type RuleFrom struct {
	Services       []string `json:"services,omitempty"`
	Users          []string `json:"users,omitempty"`
	UserRoles      []string `json:"user_roles,omitempty"`
	Scopes         []string `json:"scopes,omitempty"`
	Roles          []string `json:"roles,omitempty"`
	WithoutService bool     `json:"without_service,omitempty"`
}

// RuleTo is what is called.
type RuleTo struct {
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
}

// Duration is a time.Duration that is written like 15m or 90d.
type Duration time.Duration

// MarshalJSON writes it as text.
//
// Errors: none.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(formatDuration(time.Duration(d)))
}

// UnmarshalJSON reads what MarshalJSON wrote.
//
// Errors: countersign.Invalid, and those of encoding/json.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	parsed, err := config.ParseDuration(written)
	*d = Duration(parsed)
	return err
}

// formatDuration is time.Duration.String without units that are zero.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
