package iamclient

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign"
)

// Revoke is the body of POST /admin/revocations: exactly one of Token, JTI, Service,
// Issuer (with or without Subject), Role, Session and All. What ends tokens ends the sessions
// that they proved.
type Revoke struct {
	// Token is a token of ours in full. It encodes as REDACTED; [Client.RevokeToken]
	// sends it in clear.
	Token countersign.Secret `json:"token,omitzero"`
	// JTI is the id of a token; ExpiresAt, which may stand beside it alone, when that
	// token ends. Left out = as late as any token of now can end.
	JTI       string    `json:"jti,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Service ends every token and session that this service got until now.
	Service string `json:"service,omitempty"`
	// Issuer, a URL as in iss, ends all that it issued; with Subject what it issued to
	// that user. A key is dropped by [RotateKeys].
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Role ends every session of this role; Session one, by its access key id.
	Role    string `json:"role,omitempty"`
	Session string `json:"session,omitempty"`
	// All ends every token and session of ours.
	All bool `json:"all,omitempty"`
	// Before, beside Service, Issuer, Role or All: only what was issued until then; left out
	// = until now.
	Before time.Time `json:"before,omitzero"`
	// Local: it holds in the process that is asked at once, also when that has lost its
	// database, which gets it later (RULES E4).
	Local bool `json:"local,omitempty"`
}

// The outcomes of a revocation.
const (
	Revoked = "revoked"
	// RevokedHere holds in the process that was asked and is not stored yet.
	RevokedHere    = "revoked_here"
	AlreadyExpired = "already_expired"
)

// Revocation is the answer to [Revoke].
type Revocation struct {
	// Status is [Revoked], [RevokedHere], or [AlreadyExpired] where nothing was left to do.
	Status  string `json:"status"`
	JTI     string `json:"jti,omitempty"`
	Service string `json:"service,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Role    string `json:"role,omitempty"`
	Session string `json:"session,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// Revoke ends the tokens and sessions that in names; tokens themselves go through
// [Client.RevokeToken].
//
// Errors: countersign.Invalid, NotFound, and as [Client].
func (c *Client) Revoke(ctx context.Context, in Revoke) (Revocation, error) {
	var out Revocation
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/revocations", body: in}, &out)
	return out, err
}

// RevokeToken ends one token of ours.
//
// Errors: countersign.Invalid (not a token of ours), and as [Client].
func (c *Client) RevokeToken(ctx context.Context, token countersign.Secret) (Revocation, error) {
	var out Revocation
	body := map[string]any{"token": token.Reveal()}
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/revocations", body: body}, &out)
	return out, err
}

// RevokeTokenHere is [Client.RevokeToken] with [Revoke].Local.
//
// Errors: countersign.Invalid (not a token of ours), and as [Client].
func (c *Client) RevokeTokenHere(ctx context.Context, token countersign.Secret) (Revocation, error) {
	var out Revocation
	body := map[string]any{"token": token.Reveal(), "local": true}
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/revocations", body: body}, &out)
	return out, err
}

// RevokeTokenID ends the token of ours with that jti. The zero expiresAt means "not
// known".
//
// Errors: countersign.Invalid, and as [Client].
func (c *Client) RevokeTokenID(ctx context.Context, jti string, expiresAt time.Time) (Revocation, error) {
	var out Revocation
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/revocations", body: Revoke{JTI: jti, ExpiresAt: expiresAt}}, &out)
	return out, err
}

// RevokeService ends every token and session that the service got until now.
//
// Errors: countersign.NotFound, and as [Client].
func (c *Client) RevokeService(ctx context.Context, name string) (Revocation, error) {
	var out Revocation
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/revocations", body: Revoke{Service: name}}, &out)
	return out, err
}
