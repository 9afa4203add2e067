package iamclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/countersign/countersign"
)

// Audience is an aud claim: one string, or a list of them.
type Audience []string

// UnmarshalJSON implements json.Unmarshaler.
//
// Errors: those of encoding/json.
func (a *Audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// Introspection is what the server says of a token (RFC 7662 §2.2). Everything but
// Active is empty for a token that is not active.
type Introspection struct {
	Active     bool     `json:"active"`
	TokenType  string   `json:"token_type,omitempty"`
	Issuer     string   `json:"iss,omitempty"`
	Subject    string   `json:"sub,omitempty"`
	Audience   Audience `json:"aud,omitempty"`
	ClientID   string   `json:"client_id,omitempty"`
	ServiceID  string   `json:"service_id,omitempty"`
	ServiceUID string   `json:"service_uid,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Tenant     string   `json:"tenant,omitempty"`
	// IssuedAt, NotBefore and ExpiresAt are in Unix seconds; 0 = not said.
	IssuedAt  int64  `json:"iat,omitempty"`
	NotBefore int64  `json:"nbf,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	ID        string `json:"jti,omitempty"`
}

// Introspect asks about a token of ours at /oauth2/introspect, which takes the local
// administrator without a client's credentials.
//
// Errors: countersign.Unauthenticated (not the local administrator), and as [Client].
func (c *Client) Introspect(ctx context.Context, token countersign.Secret) (Introspection, error) {
	var out Introspection
	form := url.Values{"token": {token.Reveal()}}
	err := c.do(ctx, call{method: http.MethodPost, rootPath: "/oauth2/introspect", form: form}, &out)
	return out, err
}
