package tokensource

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	// maxAudiences bounds the cache of a ClientCredentials.
	maxAudiences = 256
	// fetchTimeout bounds one request for a token.
	fetchTimeout = 10 * time.Second
	// invalidateEvery is how often a receiver's refusal drops a token of one audience.
	invalidateEvery = time.Minute
)

// ClientCredentials gets tokens by the client credentials grant and caches them by
// itself, per audience. Use a pointer; fill the fields in before the first use and
// don't change them after it. Safe for concurrent use. Call Close when it is no longer
// needed.
type ClientCredentials struct {
	// TokenURL is the token endpoint. https, or http on loopback. Required.
	TokenURL string
	// ClientID is the service's name. Required.
	ClientID     string
	ClientSecret countersign.Secret
	// ClientSecretFile is read at every refresh instead of ClientSecret, so that a
	// rotated secret is picked up. White space around the secret is ignored.
	ClientSecretFile string
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

	// ctx ends fetches when the source is closed; fetches counts them.
	ctx     context.Context
	cancel  context.CancelFunc
	fetches sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	uses    uint64 // counts Token calls: the time of the LRU order
	entries map[string]*entry
}

// entry is what is known about one audience. Guarded by ClientCredentials.mu.
type entry struct {
	used      uint64
	token     Token
	refreshAt time.Time
	refused   bool      // a receiver refused the token: get another one first
	droppedAt time.Time // when a receiver's refusal last had an effect
	flight    *flight   // the request under way; nil = none
	failures  int
	retryAt   time.Time // no request before this
	err       error     // why the last request failed
}

// flight is one request for a token. err and token are set before done is closed.
type flight struct {
	done  chan struct{}
	token Token
	err   error
}

func (c *ClientCredentials) init() error {
	c.once.Do(func() {
		c.setup, c.failed = newEndpoint(c)
		c.ctx, c.cancel = context.WithCancel(context.Background())
		c.entries = make(map[string]*entry)
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
	f, token, err := c.lookup(audience)
	if f == nil {
		return token, err
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, countersign.WrapError(countersign.Unavailable, "", "waiting for a token was given up", context.Cause(ctx))
	}
}

// lookup returns a token or an error, or the flight to wait for.
func (c *ClientCredentials) lookup(audience string) (*flight, Token, error) {
	now := c.setup.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, Token{}, errClosed
	}
	e := c.entry(audience)
	valid := e.valid(now)
	switch {
	case valid && !e.refused:
		if e.flight == nil && !now.Before(e.refreshAt) && !now.Before(e.retryAt) {
			c.fetch(audience, e)
		}
		return nil, e.token, nil
	case e.flight != nil:
		return e.flight, Token{}, nil
	case now.Before(e.retryAt):
		if valid && isOutage(e.err) {
			return nil, e.token, nil
		}
		return nil, Token{}, retryLater(e.err, e.retryAt.Sub(now))
	default:
		return c.fetch(audience, e), Token{}, nil
	}
}

func (e *entry) valid(now time.Time) bool {
	return !e.token.Value.IsZero() && now.Before(e.token.ExpiresAt)
}

// entry returns the entry of an audience and makes room for a new one.
func (c *ClientCredentials) entry(audience string) *entry {
	c.uses++
	e := c.entries[audience]
	if e == nil {
		if len(c.entries) >= maxAudiences {
			c.evict()
		}
		e = &entry{}
		c.entries[audience] = e
	}
	e.used = c.uses
	return e
}

func (c *ClientCredentials) evict() {
	oldest, name := uint64(0), ""
	for audience, e := range c.entries {
		if oldest == 0 || e.used < oldest {
			oldest, name = e.used, audience
		}
	}
	delete(c.entries, name)
}

// fetch starts a request for e. It does not end with the caller who caused it: others
// wait for it too. It ends with the source.
func (c *ClientCredentials) fetch(audience string, e *entry) *flight {
	f := &flight{done: make(chan struct{})}
	e.flight = f
	c.fetches.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, fetchTimeout)
		defer cancel()
		asked := c.setup.now()
		granted, err := c.setup.grant(ctx, audience)
		c.land(e, f, asked, granted, err)
	})
	return f
}

// land takes the outcome of a flight in.
func (c *ClientCredentials) land(e *entry, f *flight, asked time.Time, granted grant, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	e.flight = nil
	now := c.setup.now()
	if err != nil {
		e.failures++
		e.err = err
		e.retryAt = now.Add(backoff(err, e.failures))
		f.err = err
		if e.valid(now) && isOutage(err) {
			// Refused by a receiver, but the best there is: perhaps it was refused for
			// another reason than itself.
			f.token, f.err = e.token, nil
		}
		return
	}
	// Dated from before the request, so that it never seems to live longer than it does.
	e.token = Token{Value: granted.token, ExpiresAt: asked.Add(granted.life)}
	e.refreshAt = asked.Add(refreshAfter(granted.life))
	e.refused, e.failures, e.err, e.retryAt = false, 0, nil, time.Time{}
	f.token = e.token
}

// Invalidate says that a receiver answered 401 to token. The next Token call for the
// audience gets a new one. Another token than the current one is ignored, and so is a
// second refusal within a minute: then it is not the token's age that is wrong.
func (c *ClientCredentials) Invalidate(audience string, token Token) {
	if c.init() != nil {
		return
	}
	now := c.setup.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[audience]
	if e == nil || e.refused || token.Value.IsZero() || !e.token.Value.Equal(token.Value) {
		return
	}
	if !e.droppedAt.IsZero() && now.Before(e.droppedAt.Add(invalidateEvery)) {
		return
	}
	e.refused, e.droppedAt = true, now
}

// Close ends requests under way and waits for them. After it Token returns an error.
//
// Errors: none.
func (c *ClientCredentials) Close() error {
	_ = c.init() // also a source that was never used has to stay closed
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.fetches.Wait()
	if c.setup.ownsClient {
		c.setup.client.CloseIdleConnections()
	}
	return nil
}

var errClosed = countersign.NewError(countersign.Unavailable, "", "the token source is closed")
