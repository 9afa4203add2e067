package broker

import (
	"context"
	"crypto/x509"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
	"github.com/countersign/countersign/internal/keys"
)

// When credentials are renewed, and what is held (RULES D9).
const (
	// refreshBefore: from then on before their end they are renewed in the background.
	refreshBefore = time.Minute
	// leastLeft is what they are valid for, at least, when they are handed out.
	leastLeft = 5 * time.Second
	// retryEvery is between two renewals of one key that fail.
	retryEvery = 5 * time.Second
	// callTimeout bounds one renewal.
	callTimeout = 2 * awssts.Timeout
	// maxEntries bounds the credentials that are kept. Key: the hash of all of a Request;
	// lifetime: the credentials'; the least recently used goes first.
	maxEntries = 10_000
	// maxCalls bounds the calls that run at a time.
	maxCalls = 128
)

// The durations that can be asked for.
const (
	MinDuration = 15 * time.Minute
	MaxDuration = time.Hour
)

// Config of an [AWS] broker. Issuer and Signer are required.
type Config struct {
	// Issuer is our issuer URL: AWS finds our keys by its discovery document.
	Issuer string
	// Signer returns the RS256 signer of broker tokens: ring.Signer(keys.Broker). It is
	// asked for each token.
	Signer func() (*keys.Signer, error)
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Credentials are temporary credentials of AWS.
type Credentials struct {
	AccessKeyID                   string
	SecretAccessKey, SessionToken countersign.Secret
	ExpiresAt                     time.Time
	AssumedRoleARN, AssumedRoleID string
	// PackedPolicySize is in percent of what AWS allows; 0 = AWS did not say.
	PackedPolicySize int
}

// AWS gets credentials of AWS. Safe for concurrent use.
type AWS struct {
	issuer string
	signer func() (*keys.Signer, error)
	now    func() time.Time
	// client is for AWS's own endpoints, ownClient for those that a role names.
	client, ownClient *http.Client

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{}

	mu     sync.Mutex
	closed bool
	cache  cache
}

// New returns a broker; it calls nobody.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*AWS, error) {
	if cfg.Issuer == "" || cfg.Signer == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "a broker needs our issuer and a signer")
	}
	a := &AWS{
		issuer: cfg.Issuer, signer: cfg.Signer, now: cfg.Now, slots: make(chan struct{}, maxCalls),
		client: awssts.NewClient(cfg.RootCAs, false), ownClient: awssts.NewClient(cfg.RootCAs, true),
		cache: newCache(maxEntries),
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Close ends renewals and waits for them.
//
// Errors: none.
func (a *AWS) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.wg.Wait()
	a.client.CloseIdleConnections()
	a.ownClient.CloseIdleConnections()
	return nil
}

// Credentials returns credentials that are valid for 5 more seconds at least. They are kept
// ones, or those of the one call that runs for this request; ctx bounds the wait for it.
//
// Errors: countersign.Invalid for a request that is out of range, countersign.TooLarge for
// a policy that AWS has no room for, countersign.Denied when AWS's role does not trust us,
// countersign.Throttled; countersign.Unavailable when we can't sign; countersign.Upstream
// for everything else.
// Source: AWS STS API, AssumeRoleWithWebIdentity.
func (a *AWS) Credentials(ctx context.Context, request Request) (Credentials, error) {
	target, err := request.check()
	if err != nil {
		return Credentials{}, err
	}
	kept, running, err := a.keptOrRunning(request, target)
	if err != nil || running == nil {
		return kept, err
	}
	select {
	case <-running.done:
	case <-ctx.Done():
		return Credentials{}, countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, msgReached, ctx.Err())
	}
	if running.err != nil {
		return Credentials{}, running.err
	}
	if running.got.ExpiresAt.Sub(a.now()) < leastLeft {
		return Credentials{}, unbelieved(errShort)
	}
	return running.got, nil
}

// Forget drops credentials that were kept for a request, after AWS did not take them: the
// next call asks for new ones. accessKeyID says which, so that newer ones stay.
func (a *AWS) Forget(request Request, accessKeyID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.cache.get(request.key()); e.credentials.AccessKeyID == accessKeyID {
		e.credentials = Credentials{}
	}
}

// flight is a call that runs.
type flight struct {
	done chan struct{}
	// got and err are set before done is closed.
	got Credentials
	err error
}

// keptOrRunning returns kept credentials that are good enough, after starting their
// renewal where that is due; or else the call to wait for.
func (a *AWS) keptOrRunning(request Request, target target) (Credentials, *flight, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	e := a.cache.get(request.key())
	left := e.credentials.ExpiresAt.Sub(now)
	if left > refreshBefore {
		return e.credentials, nil, nil
	}
	if left >= leastLeft {
		if e.running == nil && !now.Before(e.retryAt) {
			// Whether it starts or not, the caller has what he needs.
			_, _ = a.start(e, request, target)
		}
		return e.credentials, nil, nil
	}
	if e.running != nil {
		return Credentials{}, e.running, nil
	}
	running, err := a.start(e, request, target)
	return Credentials{}, running, err
}

// start begins a call. It is called with the lock held. The call belongs to no caller: who
// leaves does not end it for the others.
func (a *AWS) start(e *entry, request Request, target target) (*flight, error) {
	if a.closed {
		return nil, countersign.NewError(countersign.Unavailable, "", "the server stops")
	}
	select {
	case a.slots <- struct{}{}:
	default:
		return nil, &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited, Msg: msgBusy, RetryAfter: time.Second}
	}
	f := &flight{done: make(chan struct{})}
	e.running = f
	a.wg.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, callTimeout)
		defer cancel()
		f.got, f.err = a.call(ctx, request, target)
		a.mu.Lock()
		e.running = nil
		if f.err == nil {
			e.credentials, e.retryAt = f.got, time.Time{}
		} else {
			e.retryAt = a.now().Add(retryEvery)
		}
		a.mu.Unlock()
		<-a.slots
		close(f.done)
	})
	return f, nil
}
