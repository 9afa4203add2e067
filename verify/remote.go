package verify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/egress"
)

// How long things hold.
const (
	defaultMaxAge = 5 * time.Minute // of a key set that doesn't say
	minMaxAge     = time.Minute
	maxMaxAge     = time.Hour
	maxStale      = 24 * time.Hour   // last good keys through an outage
	retryInterval = 10 * time.Second // between two fetches, whatever asks for them
	firstInterval = time.Second      // the same while there were never any keys
)

// snapshot is what is known of an issuer's keys; it never changes.
type snapshot struct {
	keys *keySet
	// refused is why there are no keys though the issuer answered.
	refused error
	// From refreshAt on a use starts a refresh in the background; from freshUntil on
	// it waits for one; from usableUntil on the keys are gone.
	refreshAt, freshUntil, usableUntil time.Time
	// failing: the last refresh could not reach the issuer.
	failing bool
}

// remoteKeys is a KeySource that fetches a key set. There is no goroutine but while a
// fetch runs, and at most one fetch at a time. Memory: one set of at most 100 keys.
// Safe for concurrent use.
type remoteKeys struct {
	fetch func(ctx context.Context) (*keySet, time.Duration, error)
	now   func() time.Time
	ctx   context.Context // ends with the verifier

	current atomic.Pointer[snapshot] // nil = never had any

	mu      sync.Mutex
	closed  bool
	running *flight
	next    time.Time // no fetch before
	wg      sync.WaitGroup
}

// flight is a fetch that runs.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// Key implements KeySource.
func (r *remoteKeys) Key(ctx context.Context, kid, algorithm string) (any, error) {
	now := r.now()
	s := r.current.Load()
	if s != nil && s.refused == nil && now.Before(s.usableUntil) {
		key, found := s.keys.find(kid, algorithm)
		switch {
		case found && now.Before(s.refreshAt):
			return key, nil
		case found && now.Before(s.freshUntil):
			r.start(now) // nobody waits for it
			return key, nil
		}
	}
	// The key is unknown or the set is too old to go by: ask the issuer, if it was
	// not asked just now.
	fetching := r.start(now)
	if fetching != nil {
		select {
		case <-fetching.done:
		case <-ctx.Done():
			return nil, keysUnavailable(ctx.Err())
		}
	}
	return r.settled(fetching, kid, algorithm)
}

// settled answers from what is known after the issuer was asked as often as it may be.
func (r *remoteKeys) settled(fetching *flight, kid, algorithm string) (any, error) {
	s := r.current.Load()
	switch {
	case s == nil && fetching != nil && fetching.err != nil:
		return nil, keysUnavailable(fetching.err)
	case s == nil:
		return nil, keysUnavailable(errors.New("the last attempt was too short ago"))
	case s.refused != nil:
		return nil, keysUnavailable(s.refused)
	case !r.now().Before(s.usableUntil):
		return nil, keysUnavailable(errors.New("the last good keys are too old"))
	}
	if key, found := s.keys.find(kid, algorithm); found {
		return key, nil
	}
	if s.failing {
		return nil, keysUnavailable(errors.New("an unknown key, and the issuer can't be asked"))
	}
	return nil, errKeyUnknown
}

// start returns the running fetch, or starts one if one is due; nil if not.
func (r *remoteKeys) start(now time.Time) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		return r.running
	}
	if r.closed || now.Before(r.next) {
		return nil
	}
	interval := retryInterval
	if r.current.Load() == nil {
		interval = firstInterval
	}
	r.next = now.Add(interval)
	f := &flight{done: make(chan struct{})}
	r.running = f
	r.wg.Go(func() {
		f.err = r.refresh()
		r.mu.Lock()
		r.running = nil
		r.mu.Unlock()
		close(f.done)
	})
	return f
}

// refresh asks the issuer once and publishes what follows from the answer (RULES C1):
// a good answer replaces the keys; an issuer that can't be reached keeps them; any
// other answer ends them.
func (r *remoteKeys) refresh() error {
	keys, maxAge, err := r.fetch(r.ctx)
	old, now := r.current.Load(), r.now()
	switch {
	case err == nil:
		if old != nil {
			keys.reuse(old.keys)
		}
		r.current.Store(&snapshot{
			keys:        keys,
			refreshAt:   now.Add(maxAge * 4 / 5),
			freshUntil:  now.Add(maxAge),
			usableUntil: now.Add(maxStale),
		})
		// A set that has just come answers for unknown keys for a while.
		r.mu.Lock()
		r.next = now.Add(retryInterval)
		r.mu.Unlock()
	case isOutage(err):
		if old != nil {
			failing := *old
			failing.failing, failing.refreshAt = true, now
			// While the failure is recent nobody waits for the next attempt.
			if graced := now.Add(minMaxAge); failing.freshUntil.Before(graced) {
				failing.freshUntil = graced
			}
			r.current.Store(&failing)
		}
	default:
		r.current.Store(&snapshot{refused: err})
	}
	return err
}

// isOutage reports whether err means that the issuer could not be asked: the network
// or a 5xx. Everything else is an answer.
func isOutage(err error) bool {
	var status *egress.StatusError
	switch {
	case errors.As(err, &status):
		return status.Status >= 500
	case errors.Is(err, errDocument), errors.Is(err, egress.ErrRedirect),
		errors.Is(err, egress.ErrTooLarge), errors.Is(err, egress.ErrURL):
		return false
	}
	return true
}
