package iamclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign"
)

// LoginCode answers POST /admin/login-codes: the one time that the code is shown.
type LoginCode struct {
	// Code encodes as REDACTED; see [LoginCode.RevealJSON].
	Code      countersign.Secret `json:"code"`
	ExpiresAt time.Time          `json:"expires_at"`
}

// RevealJSON encodes c with its code in clear: for the answer to the administrator who asked
// for it, and nothing else.
//
// Errors: those of encoding/json.
func (c LoginCode) RevealJSON() ([]byte, error) {
	return json.Marshal(struct {
		LoginCode
		Code string `json:"code"` // shadows the embedded field
	}{c, c.Code.Reveal()})
}

// CodeScheme is that of the Authorization header of POST /login, which brings the code.
const CodeScheme = "Countersign-Code"

// Login is the body of POST /login.
type Login struct {
	// PublicKey is the Ed25519 key that will prove the login's requests.
	PublicKey []byte `json:"public_key"`
	// Label is what the machine calls itself; at most 64 bytes, and proves nothing.
	Label string `json:"label,omitempty"`
}

// LoggedIn is a login. Issuer, what its proofs are for, is in the answer to [Login] alone.
type LoggedIn struct {
	ID        string    `json:"id"`
	Issuer    string    `json:"issuer,omitempty"`
	Label     string    `json:"label,omitempty"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// LoginList is every login that is alive, the oldest first.
type LoginList struct {
	Items []LoggedIn `json:"items"`
}

// WaysToLogin answers GET /login.
type WaysToLogin struct {
	// Device are the issuers whose users may log in from a command line (RFC 8628).
	Device []DeviceIssuer `json:"device"`
}

// DeviceIssuer is an Issuer document that names a client for that.
type DeviceIssuer struct {
	Name string `json:"name"`
	// Issuer is its exact URL, at which the rest is discovered.
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
	// Token is which one is shown to the server: "access" or "id".
	Token string `json:"token"`
}

// WaysToLogin asks how users log in here; anybody may. Without the name of an issuer those of
// the platform are told.
//
// Errors: as [Client].
func (c *Client) WaysToLogin(ctx context.Context, issuer string) (WaysToLogin, error) {
	var out WaysToLogin
	query := url.Values{}
	if issuer != "" {
		query.Set("issuer", issuer)
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/login", query: query}, &out)
	return out, err
}

// Me tells who calls, and what they may do.
//
// Errors: as [Client].
func (c *Client) Me(ctx context.Context) (Me, error) {
	var out Me
	err := c.do(ctx, call{method: http.MethodGet, path: "/me"}, &out)
	return out, err
}

// CreateLoginCode makes a code for one login from elsewhere.
//
// Errors: countersign.Denied (not on the server's own machine), Throttled, and as [Client].
func (c *Client) CreateLoginCode(ctx context.Context) (LoginCode, error) {
	var out LoginCode
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/login-codes"}, &out)
	return out, err
}

// Login trades a code of [LoginCode] for a login.
//
// Errors: countersign.BadToken (the code is not good), Invalid, Throttled, and as [Client].
func (c *Client) Login(ctx context.Context, code countersign.Secret, in Login) (LoggedIn, error) {
	var out LoggedIn
	err := c.do(ctx, call{method: http.MethodPost, path: "/login", body: in, authorization: CodeScheme + " " + code.Reveal()}, &out)
	return out, err
}

// Logins lists the logins that are alive.
//
// Errors: countersign.Denied, and as [Client].
func (c *Client) Logins(ctx context.Context) (LoginList, error) {
	var out LoginList
	err := c.do(ctx, call{method: http.MethodGet, path: "/admin/logins"}, &out)
	return out, err
}

// EndLogin ends a login at once.
//
// Errors: countersign.NotFound, Denied, and as [Client].
func (c *Client) EndLogin(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/admin/logins/" + url.PathEscape(id)}, nil)
}
