package awscreds

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
)

const (
	// loginTimeout bounds one login: a token, and one request to the STS.
	loginTimeout = 25 * time.Second
	// askAgain is how long an aws.CredentialsCache around a Provider keeps what it got.
	askAgain = 5 * time.Second
)

// Provider gives the temporary credentials of one role and keeps them fresh. It is made by
// [NewWebIdentity] or [NewAWSIdentity] and implements aws.CredentialsProvider. Safe for
// concurrent use. Call Close when it is no longer needed.
type Provider struct {
	login  func(context.Context) (aws.Credentials, error)
	now    func() time.Time
	early  time.Duration // how long before their end credentials are replaced, at least
	failed error         // why the configuration can't be used
	end    func()        // frees what the login holds

	// ctx ends logins when the provider is closed; logins counts them.
	ctx    context.Context
	cancel context.CancelFunc
	logins sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	current   aws.Credentials
	refreshAt time.Time
	flight    *flight // the login under way; nil = none
	failures  int
	retryAt   time.Time // no login before this
	err       error     // why the last login failed
}

// flight is one login. credentials and err are set before done is closed.
type flight struct {
	done        chan struct{}
	credentials aws.Credentials
	err         error
}

func newProvider(now func() time.Time, early time.Duration) *Provider {
	if now == nil {
		now = time.Now
	}
	if early <= 0 {
		early = refreshEarly
	}
	p := &Provider{now: now, early: early, end: func() {}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Retrieve returns credentials that are valid now: the ones at hand, else new ones. A
// caller who must wait waits at most 25 seconds.
//
// Errors: [countersign.Invalid] (configuration, or the STS found the request malformed),
// [countersign.BadToken], [countersign.Expired], [countersign.Denied],
// [countersign.BadPolicy], [countersign.TooLarge], [countersign.Throttled],
// [countersign.Upstream], [countersign.Unavailable], those of the token source or of the
// AWS credentials, and others that the STS answers. After a failure the same error comes
// back at once, with RetryAfter, until a new attempt is due.
func (p *Provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.failed != nil {
		return aws.Credentials{}, p.failed
	}
	f, credentials, err := p.lookup()
	if f == nil {
		return credentials, err
	}
	select {
	case <-f.done:
		return f.credentials, f.err
	case <-ctx.Done():
		return aws.Credentials{}, countersign.WrapError(countersign.Unavailable, "", "waiting for credentials was given up", context.Cause(ctx))
	}
}

// lookup returns credentials or an error, or the flight to wait for.
func (p *Provider) lookup() (*flight, aws.Credentials, error) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, aws.Credentials{}, errClosed
	case p.valid(now):
		if p.flight == nil && !now.Before(p.refreshAt) && !now.Before(p.retryAt) {
			p.start()
		}
		return nil, p.current, nil
	case p.flight != nil:
		return p.flight, aws.Credentials{}, nil
	case now.Before(p.retryAt):
		return nil, aws.Credentials{}, retryLater(p.err, p.retryAt.Sub(now))
	default:
		return p.start(), aws.Credentials{}, nil
	}
}

func (p *Provider) valid(now time.Time) bool {
	return p.current.AccessKeyID != "" && now.Before(p.current.Expires)
}

// start begins a login. It does not end with the caller who caused it: others wait for it
// too. It ends with the provider.
func (p *Provider) start() *flight {
	f := &flight{done: make(chan struct{})}
	p.flight = f
	p.logins.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, loginTimeout)
		defer cancel()
		credentials, err := p.login(ctx)
		p.land(f, credentials, err)
	})
	return f
}

// land takes the outcome of a login in.
func (p *Provider) land(f *flight, credentials aws.Credentials, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(f.done)
	p.flight = nil
	now := p.now()
	life := credentials.Expires.Sub(now)
	if err == nil && life <= 0 {
		// Not asked for again at once: a clock that is wrong stays wrong.
		err = countersign.NewError(countersign.Upstream, countersign.ReasonTokenExpired,
			"the credentials had expired when they came: is this machine's clock right?")
	}
	if err != nil {
		p.failures++
		p.err, f.err = err, err
		p.retryAt = now.Add(backoff(err, p.failures))
		return
	}
	p.current, f.credentials = credentials, credentials
	p.refreshAt = credentials.Expires.Add(-refreshBefore(p.early, life))
	p.failures, p.err, p.retryAt = 0, nil, time.Time{}
}

// AdjustExpiresBy lets an aws.CredentialsCache around the provider keep credentials for a
// few seconds only: the provider itself knows better when to get new ones, and gets them
// while the old ones still serve. Nobody else needs to call it.
//
// Errors: none.
func (p *Provider) AdjustExpiresBy(credentials aws.Credentials, _ time.Duration) (aws.Credentials, error) {
	if soon := time.Now().Add(askAgain); credentials.CanExpire && soon.Before(credentials.Expires) {
		credentials.Expires = soon
	}
	return credentials, nil
}

// Close ends a login under way and waits for it. After it Retrieve returns an error. It
// closes neither the token source nor the AWS credentials that it was given.
//
// Errors: none.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.logins.Wait()
	p.end()
	return nil
}

var errClosed = countersign.NewError(countersign.Unavailable, "", "the credentials provider is closed")
