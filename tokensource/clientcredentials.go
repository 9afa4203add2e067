package tokensource

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

// ClientCredentials gets tokens by the client credentials grant and caches them by
// itself, per audience. The client proves itself by a secret or by a private key. Use a
// pointer; fill the fields in before the first use and don't change them after it. Safe
// for concurrent use. Call Close when it is no longer needed.
type ClientCredentials struct {
	// TokenURL is the token endpoint. https, or http on loopback. Required.
	TokenURL string
	// ClientID is the service's name. Required.
	ClientID string
	// ClientSecret, ClientSecretFile or PrivateKeyFile: exactly one is required.
	ClientSecret countersign.Secret
	// ClientSecretFile is read at every refresh instead of ClientSecret, so that a
	// rotated secret is picked up. White space around the secret is ignored.
	ClientSecretFile string
	// PrivateKeyFile holds the private key whose public half is registered: PEM (PKCS #8,
	// SEC 1 or PKCS #1) or a JWK; P-256, Ed25519, or RSA of at least 2048 bits. It is
	// read at every refresh.
	PrivateKeyFile string
	// KeyID is the id that the key is registered under; "" = that of the JWK.
	KeyID string
	// Issuer is the issuer URL of the token endpoint, exactly: what an assertion is made
	// for. Required with PrivateKeyFile.
	Issuer string
	// Scopes that are asked for; order does not matter.
	Scopes []string
	// HTTPClient; nil = the guarded client of package egress, which may dial private
	// addresses here, because TokenURL is the program's own configuration. Of another
	// client the transport is used; redirects are never followed and cookies never kept.
	HTTPClient *http.Client
	// Now is the clock; nil = time.Now.
	Now func() time.Time

	once   sync.Once
	setup  endpoint // compiled from the fields above
	failed error    // why they can't be used
	cache  *cache
}

func (c *ClientCredentials) init() error {
	c.once.Do(func() {
		c.setup, c.failed = newEndpoint(c)
		c.cache = newCache(c.setup.now, c.setup.grant)
	})
	return c.failed
}

// Token returns a token for audience: the cached one while it is valid, else a new one.
// "" asks for the service's single default audience. A caller who must wait waits at
// most 10 seconds.
//
// Errors: [countersign.Invalid] (configuration, or the server found the request
// malformed), [countersign.BadClient], [countersign.Denied], [countersign.BadScope],
// [countersign.BadTarget], [countersign.Unsupported], [countersign.Throttled],
// [countersign.Upstream], [countersign.Unavailable]. After a failure the same error
// comes back at once, with RetryAfter, until a new attempt is due.
// Source: RFC 6749 §4.4.
func (c *ClientCredentials) Token(ctx context.Context, audience string) (Token, error) {
	if err := c.init(); err != nil {
		return Token{}, err
	}
	return c.cache.get(ctx, audience)
}

// Invalidate says that a receiver answered 401 to token. The next Token call for the
// audience gets a new one. Another token than the current one is ignored, and so is a
// second refusal within a minute: then it is not the token's age that is wrong.
func (c *ClientCredentials) Invalidate(audience string, token Token) {
	if c.init() == nil {
		c.cache.invalidate(audience, token)
	}
}

// Close ends requests under way and waits for them. After it Token returns an error.
//
// Errors: none.
func (c *ClientCredentials) Close() error {
	_ = c.init() // also a source that was never used has to stay closed
	c.cache.close()
	if c.setup.ownsClient {
		c.setup.client.CloseIdleConnections()
	}
	return nil
}
