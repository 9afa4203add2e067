package routepolicy

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

const (
	defaultEvery = 10 * time.Second
	minRetry     = 500 * time.Millisecond
	maxRetry     = 30 * time.Second
	fetchTimeout = 10 * time.Second
	// keysAge is how long a key that was dropped may still sign.
	keysAge = time.Minute
	// maxPolicyBytes bounds the signed policies of one service.
	maxPolicyBytes = 4 << 20
)

// MaxBytes bounds the policies of one service as JSON: what is fetched has them in base64.
const MaxBytes = maxPolicyBytes*3/4 - 64<<10

// TokenSource brings the token of the receiving service itself.
type TokenSource interface {
	// ServiceToken returns a token for an audience.
	//
	// Errors: whatever keeps it from having one; it is told to OnError.
	ServiceToken(ctx context.Context, audience string) (countersign.Secret, error)
}

// TokenFunc makes a TokenSource of a function.
type TokenFunc func(ctx context.Context, audience string) (countersign.Secret, error)

// ServiceToken implements TokenSource.
//
// Errors: those of f.
func (f TokenFunc) ServiceToken(ctx context.Context, audience string) (countersign.Secret, error) {
	return f(ctx, audience)
}

// FollowerConfig of a [Follower]. URL, Service and Source are required.
type FollowerConfig struct {
	// URL is the issuer URL of the Countersign server; its discovery document names the
	// keys that sign policies.
	URL string
	// Service is the receiving service, whose policies these are.
	Service string
	// Source brings its own token, for the audience iam-service.
	Source TokenSource
	// CacheFile keeps the last good policies over a restart; "" = they are not kept. Who can
	// write this file decides who may call: it is made with mode 0600.
	CacheFile string
	// Every is how often the server is asked; 0 = 10 s.
	Every time.Duration
	// AllowPrivateAddresses lets the fetches dial private addresses (RULES C2).
	AllowPrivateAddresses bool
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// OnError hears why policies could not be had or were refused; nil = nobody does.
	OnError func(error)
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Follower decides by the policies that the server has for a service. The last good ones
// are kept through an outage; before the first ones every call is denied with
// ReasonPolicyUnavailable. Safe for concurrent use.
type Follower struct {
	cfg    FollowerConfig
	client *http.Client
	policy atomic.Pointer[Policy]
	cancel context.CancelFunc
	done   chan struct{}
	ready  chan struct{}
	once   sync.Once

	// For run alone.
	keys     keySet
	keysText []byte // as they were fetched
	keysAt   time.Time
	issuedAt int64 // of what is in force
}

// Follow starts to follow the policies of a service. Call [Follower.Close] at the end.
//
// Errors: countersign.Invalid.
func Follow(cfg FollowerConfig) (*Follower, error) {
	if cfg.Service == "" || cfg.Source == nil || cfg.Every < 0 {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing, "a follower of route policies needs URL, Service and Source")
	}
	if err := egress.CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	f := &Follower{cfg: cfg, done: make(chan struct{}), ready: make(chan struct{})}
	f.client = egress.New(egress.Config{AllowPrivateAddresses: cfg.AllowPrivateAddresses, RootCAs: cfg.RootCAs, MaxBodyBytes: maxPolicyBytes, Timeout: fetchTimeout})
	f.fromCache()
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	go f.run(ctx)
	return f, nil
}

// Close ends the following. It decides by what it has from then on.
//
// Errors: none.
func (f *Follower) Close() error {
	f.cancel()
	<-f.done
	f.client.CloseIdleConnections()
	return nil
}

// Ready is closed when there are policies.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// DecideRoute implements middleware.RouteDecider.
func (f *Follower) DecideRoute(ctx context.Context, method, path string, caller *countersign.Principal, at time.Time) countersign.RouteVerdict {
	policy := f.policy.Load()
	if policy == nil {
		return countersign.RouteVerdict{Reason: countersign.ReasonPolicyUnavailable}
	}
	return policy.DecideRoute(ctx, method, path, caller, at)
}

func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	failures := 0
	for ctx.Err() == nil {
		pause := f.cfg.Every
		if err := f.fetch(ctx); err != nil && ctx.Err() == nil {
			f.cfg.OnError(err)
			pause = min(min(minRetry, f.cfg.Every)<<min(failures, 8), maxRetry)
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(pause/2 + time.Duration(rand.Int64N(int64(pause/2)+1))) //nolint:gosec // spreads load, protects nothing
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// fetch asks once for the policies and takes them over.
func (f *Follower) fetch(ctx context.Context) error {
	token, err := f.cfg.Source.ServiceToken(ctx, "iam-service")
	if err != nil {
		return err
	}
	where := strings.TrimSuffix(f.cfg.URL, "/") + "/api/iam/v1/system/route-policies/" + url.PathEscape(f.cfg.Service)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return errDocument
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	request.Header.Set("Accept", mediaType)
	body, _, err := egress.Do(f.client, request)
	if err != nil {
		return err
	}
	signed := string(body)
	kid, err := keyOf(signed)
	if err != nil {
		return err
	}
	if f.keys[kid] == nil || f.cfg.Now().Sub(f.keysAt).Abs() > keysAge {
		if err := f.fetchKeys(ctx); err != nil {
			return err
		}
	}
	return f.take(signed, true)
}

// take brings signed policies into force, or nothing of them.
func (f *Follower) take(signed string, fresh bool) error {
	doc, err := open(signed, f.keys)
	if err != nil {
		return err
	}
	now := f.cfg.Now().Unix()
	switch {
	case doc.Issuer != f.cfg.URL || doc.Audience != f.cfg.Service:
		return errOther
	case doc.IssuedAt > now+skew, fresh && doc.IssuedAt < now-maxAge:
		return errTime
	case doc.IssuedAt < f.issuedAt:
		return errOlder // somebody sends again what was in force once
	}
	var documents []Document
	for _, text := range doc.Policies {
		parsed, err := Parse(text)
		if err != nil {
			return err
		}
		documents = append(documents, parsed...)
	}
	policy, err := Compile(documents)
	if err != nil {
		return err
	}
	if len(documents) > 0 && policy.Service() != f.cfg.Service {
		return errOther
	}
	f.issuedAt = doc.IssuedAt
	f.policy.Store(policy)
	f.once.Do(func() { close(f.ready) })
	if fresh {
		f.toCache(signed)
	}
	return nil
}

var (
	errDocument = errors.New("route policies: not a usable document")
	errKey      = errors.New("route policies: no such key")
	errOther    = errors.New("route policies: they are another issuer's or another service's")
	errTime     = errors.New("route policies: too old or from the future")
	errOlder    = errors.New("route policies: older than those in force")
)
