package s3origin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// When credentials are renewed, as in package broker.
const (
	refreshBefore = time.Minute
	leastLeft     = 5 * time.Second
	retryEvery    = 5 * time.Second
	fetchTimeout  = 10 * time.Second
)

var (
	errClosed = errors.New("the origins are closed")
	errShort  = errors.New("the credentials end at once")
)

// fetched are credentials and when they end; a zero time is never.
type fetched struct {
	sigv4.Credentials
	expires time.Time
}

// renewed are credentials that somebody else gives out for a time. One call runs at a time;
// from refreshBefore on before their end it does so in the background.
type renewed struct {
	identity string
	fetch    func(ctx context.Context) (fetched, error)
	now      func() time.Time

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	has     bool
	kept    fetched
	running *flight
	retryAt time.Time
}

// flight is a call that runs. got and err are set before done is closed.
type flight struct {
	done chan struct{}
	got  fetched
	err  error
}

func newRenewed(identity string, now func() time.Time, fetch func(ctx context.Context) (fetched, error)) *renewed {
	c := &renewed{identity: identity, fetch: fetch, now: now}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Get implements Credentials.
func (c *renewed) Get(ctx context.Context) (sigv4.Credentials, error) {
	kept, running, err := c.keptOrRunning()
	if err != nil || running == nil {
		return kept.Credentials, err
	}
	select {
	case <-running.done:
	case <-ctx.Done():
		return sigv4.Credentials{}, uncredited(ctx.Err())
	}
	return running.got.Credentials, running.err
}

func (c *renewed) keptOrRunning() (fetched, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.has {
		left := c.kept.expires.Sub(now)
		if c.kept.expires.IsZero() || left > refreshBefore {
			return c.kept, nil, nil
		}
		if left >= leastLeft {
			if c.running == nil && !now.Before(c.retryAt) && !c.closed {
				c.start()
			}
			return c.kept, nil, nil
		}
	}
	if c.closed {
		return fetched{}, nil, countersign.WrapError(countersign.Unavailable, "", "the server stops", errClosed)
	}
	if c.running == nil {
		c.start()
	}
	return fetched{}, c.running, nil
}

// start begins a call, with the lock held. It belongs to no caller.
func (c *renewed) start() {
	f := &flight{done: make(chan struct{})}
	c.running = f
	c.wg.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, fetchTimeout)
		defer cancel()
		f.got, f.err = c.fetch(ctx)
		now := c.now()
		if f.err == nil && !f.got.expires.IsZero() && f.got.expires.Sub(now) < leastLeft {
			f.err = errShort
		}
		if f.err != nil {
			f.got, f.err = fetched{}, uncredited(f.err)
		}
		c.mu.Lock()
		c.running = nil
		if f.err == nil {
			c.kept, c.has, c.retryAt = f.got, true, time.Time{}
		} else {
			c.retryAt = now.Add(retryEvery)
		}
		c.mu.Unlock()
		close(f.done)
	})
}

// Refused implements Credentials. Others may have brought new ones meanwhile: they stay.
func (c *renewed) Refused(used sigv4.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.AccessKeyID == used.AccessKeyID && c.kept.SecretAccessKey.Equal(used.SecretAccessKey) {
		c.has = false
	}
}

// Identity implements Credentials.
func (c *renewed) Identity() string { return c.identity }

// Close implements Credentials.
func (c *renewed) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// uncredited is what a caller of the gateway learns of credentials that are none of his.
func uncredited(cause error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "the origin can't be reached now", fmt.Errorf("get the origin's credentials: %w", cause))
}

// newAmbient returns the credentials of this process as AWS's SDKs find them: environment,
// files, containers, instance. They are looked for when they are needed first. load may be
// nil.
//
// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".
func newAmbient(load func(ctx context.Context) (aws.CredentialsProvider, error), now func() time.Time) *renewed {
	if load == nil {
		load = defaultChain
	}
	var provider aws.CredentialsProvider // calls come one at a time
	return newRenewed("ambient", now, func(ctx context.Context) (fetched, error) {
		if provider == nil {
			var err error
			if provider, err = load(ctx); err != nil {
				return fetched{}, err
			}
		}
		if cache, ok := provider.(*aws.CredentialsCache); ok {
			cache.Invalidate() // it would give out the old ones to their very end
		}
		got, err := provider.Retrieve(ctx)
		if err != nil {
			return fetched{}, err
		}
		f := fetched{Credentials: sigv4.Credentials{
			AccessKeyID: got.AccessKeyID, SecretAccessKey: countersign.NewSecret(got.SecretAccessKey), SessionToken: countersign.NewSecret(got.SessionToken),
		}}
		if got.CanExpire {
			f.expires = got.Expires
		}
		return f, nil
	})
}

func defaultChain(ctx context.Context) (aws.CredentialsProvider, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Credentials == nil {
		return nil, errSecretFile
	}
	return cfg.Credentials, nil
}
