package iamclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/countersign/countersign"
)

// AnyRevision as the revision of a change means "whatever it is now": If-Match: *.
const AnyRevision int64 = -1

// Service is a registered service, without anything secret.
type Service struct {
	Name string `json:"name"`
	// UID is random and never given twice.
	UID       string   `json:"uid"`
	Tenant    string   `json:"tenant,omitempty"`
	Owner     string   `json:"owner,omitempty"`
	Scopes    []string `json:"scopes"`
	Audiences []string `json:"audiences"`
	// TokenLifetime is left out when the server's default holds.
	TokenLifetime Duration `json:"token_lifetime,omitzero"`
	Disabled      bool     `json:"disabled"`
	// Revision is the ETag without its quotes.
	Revision  int64           `json:"revision"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Secrets   []ServiceSecret `json:"secrets"`
}

// ServiceSecret is what may be known of a client secret.
type ServiceSecret struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is left out for a secret that stays.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// LastUsedAt is accurate to an hour; left out when it was never used.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	// Live says whether it could be used at the time of the answer.
	Live bool `json:"live"`
}

// CreateService is the body of POST /admin/services.
type CreateService struct {
	Name      string   `json:"name"`
	Tenant    string   `json:"tenant,omitempty"`
	Owner     string   `json:"owner,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
	// TokenLifetime is 1m to 1h; left out = the server's default.
	TokenLifetime Duration `json:"token_lifetime,omitzero"`
}

// RotateSecret is the body of POST /admin/services/{name}/rotate.
type RotateSecret struct {
	// Grace is how long the secret before stays; left out = 24h, "0s" = it ends now.
	Grace *Duration `json:"grace,omitempty"`
}

// Credentials answer create and rotate: the one time that the secret is shown.
type Credentials struct {
	Service  Service `json:"service"`
	ClientID string  `json:"client_id"`
	// ClientSecret encodes as REDACTED; see [Credentials.RevealJSON].
	ClientSecret countersign.Secret `json:"client_secret"`
	// ClientSecretExpiresAt is in Unix seconds; 0 = never.
	ClientSecretExpiresAt int64 `json:"client_secret_expires_at"`
}

// RevealJSON encodes c with its secret in clear: for the answer to the
// administrator who asked for it, and nothing else.
//
// Errors: those of encoding/json.
func (c Credentials) RevealJSON() ([]byte, error) {
	return json.Marshal(struct { //nolint:gosec // G117: revealing it is what this is for
		Credentials
		ClientSecret string `json:"client_secret"` // shadows the embedded field
	}{c, c.ClientSecret.Reveal()})
}

// ServiceList is one page of services in order of name.
type ServiceList struct {
	Items []Service `json:"items"`
	// Next asks for the page after this one; "" = this is the last.
	Next string `json:"next"`
}

// ServicePage says which page of services is wanted.
type ServicePage struct {
	// After is [ServiceList.Next] of the page before; "" = the first.
	After string
	// Limit is 1 to 500; 0 = 100.
	Limit int
}

func servicePath(name, verb string) string {
	path := "/admin/services/" + url.PathEscape(name)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

func ifMatch(revision int64) string {
	if revision == AnyRevision {
		return "*"
	}
	return `"` + strconv.FormatInt(revision, 10) + `"`
}

// CreateService registers a service and returns its first secret.
//
// Errors: countersign.Invalid, BadScope, BadTarget, Conflict (the name is taken),
// Denied, and as [Client].
func (c *Client) CreateService(ctx context.Context, in CreateService) (Credentials, error) {
	var out Credentials
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/services", body: in}, &out)
	return out, err
}

// Service returns one service.
//
// Errors: countersign.NotFound, and as [Client].
func (c *Client) Service(ctx context.Context, name string) (Service, error) {
	var out Service
	err := c.do(ctx, call{method: http.MethodGet, path: servicePath(name, "")}, &out)
	return out, err
}

// Services returns one page of services.
//
// Errors: countersign.Invalid, and as [Client].
func (c *Client) Services(ctx context.Context, page ServicePage) (ServiceList, error) {
	query := url.Values{}
	if page.After != "" {
		query.Set("after", page.After)
	}
	if page.Limit != 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	var out ServiceList
	err := c.do(ctx, call{method: http.MethodGet, path: "/admin/services", query: query}, &out)
	return out, err
}

// RotateSecret makes a new secret; the one before ends after grace (0 = now), any
// older one at once.
//
// Errors: countersign.NotFound, Conflict (another revision), Invalid, and as [Client].
func (c *Client) RotateSecret(ctx context.Context, name string, revision int64, grace time.Duration) (Credentials, error) {
	wanted := Duration(grace)
	var out Credentials
	err := c.do(ctx, call{method: http.MethodPost, path: servicePath(name, "rotate"), ifMatch: ifMatch(revision),
		body: RotateSecret{Grace: &wanted}}, &out)
	return out, err
}

// DisableService ends a service's live tokens and lets it get no more.
//
// Errors: countersign.NotFound, Conflict (another revision), and as [Client].
func (c *Client) DisableService(ctx context.Context, name string, revision int64) (Service, error) {
	var out Service
	err := c.do(ctx, call{method: http.MethodPost, path: servicePath(name, "disable"), ifMatch: ifMatch(revision)}, &out)
	return out, err
}

// EnableService lets a disabled service get tokens again; its old ones stay dead.
//
// Errors: countersign.NotFound, Conflict (another revision), and as [Client].
func (c *Client) EnableService(ctx context.Context, name string, revision int64) (Service, error) {
	var out Service
	err := c.do(ctx, call{method: http.MethodPost, path: servicePath(name, "enable"), ifMatch: ifMatch(revision)}, &out)
	return out, err
}

// DeleteService removes a service for good; its live tokens end.
//
// Errors: countersign.NotFound, Conflict (another revision), and as [Client].
func (c *Client) DeleteService(ctx context.Context, name string, revision int64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: servicePath(name, ""), ifMatch: ifMatch(revision)}, nil)
}
