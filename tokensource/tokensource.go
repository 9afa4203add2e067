package tokensource

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign"
)

// Token is a token to send.
type Token struct {
	Value     countersign.Secret
	ExpiresAt time.Time
}

// Source gives service tokens. Implementations are safe for concurrent use.
type Source interface {
	// Token returns a token for an audience that is valid now.
	Token(ctx context.Context, audience string) (Token, error)
}

// Invalidator is a Source that can be told that a receiver refused a token: the next
// Token call gets a fresh one. A token is dropped once: a second refusal of its
// successor does not make a storm.
type Invalidator interface {
	Invalidate(audience string, token Token)
}

// ClientCredentials gets tokens by the client credentials grant and caches them by
// itself, per audience. Use a pointer; fill the fields in before the first use and
// don't change them after it.
type ClientCredentials struct {
	// TokenURL is the token endpoint. https, or http on loopback. Required.
	TokenURL     string
	ClientID     string
	ClientSecret countersign.Secret
	// ClientSecretFile is read at every refresh instead of ClientSecret, so that a
	// rotated secret is picked up.
	ClientSecretFile string
	// Scopes that are asked for; order does not matter.
	Scopes []string
	// HTTPClient; nil = the guarded client of package egress.
	HTTPClient *http.Client
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}
