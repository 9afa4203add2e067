package tokensource

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

// The tokens of a Cognito account.
const (
	// UseID is the ID token: it carries custom:service_id and an audience.
	UseID = "id"
	// UseAccess is the access token: it carries neither, unless the pool adds them.
	UseAccess = "access"
)

// Cognito gets tokens by signing a service's account in to an Amazon Cognito user pool,
// and caches them by itself. It signs in by user name and password (the app client must
// allow ALLOW_USER_PASSWORD_AUTH), then goes on by the refresh token and falls back to
// the password when that is refused. One token serves for every audience: Cognito knows
// none. Use a pointer; fill the fields in before the first use and don't change them
// after it. Safe for concurrent use. Call Close when it is no longer needed.
type Cognito struct {
	// Region of the user pool: us-east-1. Required, unless Endpoint is set.
	Region string
	// Endpoint, instead of that of Region: for a VPC endpoint or an emulator. https, or
	// http on loopback.
	Endpoint string
	// ClientID of the app client. Required.
	ClientID string
	// ClientSecret or ClientSecretFile, which is read at every sign-in: required if the
	// app client has a secret.
	ClientSecret     countersign.Secret
	ClientSecretFile string
	// Username of the account: service-NAME. Required.
	Username string
	// Password or PasswordFile, which is read at every full sign-in: one is required.
	Password     countersign.Secret
	PasswordFile string
	// TokenUse says which of the account's tokens is given: [UseID], the default, or
	// [UseAccess].
	TokenUse string
	// Audience is the only one that the token is given for; "" = it is given for every
	// audience.
	Audience string
	// HTTPClient; nil = the guarded client of package egress, which may dial private
	// addresses here. Of another client the transport is used; redirects are never
	// followed and cookies never kept.
	HTTPClient *http.Client
	// Now is the clock; nil = time.Now.
	Now func() time.Time

	once   sync.Once
	setup  userPool // compiled from the fields above
	failed error    // why they can't be used
	cache  *cache
}

// cognitoKey is the one key of a Cognito's cache.
const cognitoKey = ""

func (c *Cognito) init() error {
	c.once.Do(func() {
		c.failed = c.setup.compile(c)
		c.cache = newCache(c.setup.now, func(ctx context.Context, _ string) (grant, error) { return c.setup.signIn(ctx) })
	})
	return c.failed
}

// Token returns the account's token: the cached one while it is valid, else a new one. A
// caller who must wait waits at most 10 seconds.
//
// Errors: [countersign.Invalid] (configuration, or Cognito found the request malformed),
// [countersign.BadClient] (the account, its password or the app client),
// [countersign.Denied] (the account must do something first: a new password, a second
// factor), [countersign.BadTarget] (another audience than Audience),
// [countersign.Throttled], [countersign.Upstream], [countersign.Unavailable]. After a
// failure the same error comes back at once, with RetryAfter, until a new attempt is due.
// Source: Amazon Cognito API reference, InitiateAuth.
func (c *Cognito) Token(ctx context.Context, audience string) (Token, error) {
	if err := c.init(); err != nil {
		return Token{}, err
	}
	if c.Audience != "" && audience != c.Audience {
		return Token{}, countersign.NewError(countersign.BadTarget, countersign.ReasonAudienceNotGranted,
			"the cognito account is for another audience")
	}
	return c.cache.get(ctx, cognitoKey)
}

// Invalidate says that a receiver answered 401 to token. The next Token call gets a new
// one. Another token than the current one is ignored, and so is a second refusal within a
// minute.
func (c *Cognito) Invalidate(_ string, token Token) {
	if c.init() == nil {
		c.cache.invalidate(cognitoKey, token)
	}
}

// Close ends requests under way and waits for them. After it Token returns an error.
//
// Errors: none.
func (c *Cognito) Close() error {
	_ = c.init() // also a source that was never used has to stay closed
	c.cache.close()
	if c.setup.ownsClient {
		c.setup.client.CloseIdleConnections()
	}
	return nil
}
