package tokensource

import (
	"context"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	// maxAudiences bounds the cache of a source.
	maxAudiences = 256
	// fetchTimeout bounds the getting of one token.
	fetchTimeout = 10 * time.Second
	// invalidateEvery is how often a receiver's refusal drops a token of one audience.
	invalidateEvery = time.Minute
)

// cache keeps the tokens of a source, per audience, and knows when to get others: what
// the sources of this package have in common. See the package documentation.
type cache struct {
	now func() time.Time
	// ask gets a token; it is called for one audience at a time, and ends with its context.
	ask func(ctx context.Context, audience string) (grant, error)

	// ctx ends fetches when the source is closed; fetches counts them.
	ctx     context.Context
	cancel  context.CancelFunc
	fetches sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	uses    uint64 // counts token calls: the time of the LRU order
	entries map[string]*entry
}

// entry is what is known about one audience. Guarded by cache.mu.
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

func newCache(now func() time.Time, ask func(context.Context, string) (grant, error)) *cache {
	c := &cache{now: now, ask: ask, entries: make(map[string]*entry)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// get returns the token of an audience: the one at hand while it is valid, else a new one.
func (c *cache) get(ctx context.Context, audience string) (Token, error) {
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
func (c *cache) lookup(audience string) (*flight, Token, error) {
	now := c.now()
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
func (c *cache) entry(audience string) *entry {
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

func (c *cache) evict() {
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
func (c *cache) fetch(audience string, e *entry) *flight {
	f := &flight{done: make(chan struct{})}
	e.flight = f
	c.fetches.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, fetchTimeout)
		defer cancel()
		asked := c.now()
		granted, err := c.ask(ctx, audience)
		c.land(e, f, asked, granted, err)
	})
	return f
}

// land takes the outcome of a flight in.
func (c *cache) land(e *entry, f *flight, asked time.Time, granted grant, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	e.flight = nil
	now := c.now()
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

// invalidate is what [Invalidator] says.
func (c *cache) invalidate(audience string, token Token) {
	now := c.now()
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

// close ends requests under way and waits for them.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.fetches.Wait()
}

var errClosed = countersign.NewError(countersign.Unavailable, "", "the token source is closed")
