package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	quotaWindow = time.Minute
	// leaseParts is into how many leases a quota is cut: few writes, and little that one
	// process holds while another needs it.
	leaseParts = 20
	// leaseTimeout is how long a token waits for a lease of a store that hangs.
	leaseTimeout = time.Second
	// leaseRetry is how long nobody asks a store again that did not answer.
	leaseRetry = time.Second
	// maxAhead: a clock that was set back stays in its window; one that was further ahead
	// was wrong.
	maxAhead = time.Hour
)

// quotas are the quotas that were used in the current window. Key: service uid; bound:
// the registered services that have one; lifetime: the window.
type quotas struct {
	mu     sync.Mutex
	window time.Time
	used   map[string]*quota
	// downUntil: the store did not answer a moment ago.
	downUntil time.Time
}

// quota is one service's in one window.
type quota struct {
	mu    sync.Mutex
	limit int64
	used  int64 // in this process
	left  int64 // of the leases
	spent bool  // the store has no more
	turn  chan struct{}
}

func (q *quotas) init() { q.used = make(map[string]*quota) }

// Take uses one token of the quota of s (TokensPerMinute; 0 = no limit) in the window of
// one minute by the clock. A positive retryAfter refuses: it is the time until the next
// window, a minute at most. Where other processes share the database, all together never exceed the limit:
// they lease shares of it. In an outage of the store issuing goes on, and each process
// alone keeps to the limit. Where nobody else writes it counts in memory, and a restart
// begins anew.
//
// Errors: countersign.Unavailable (ctx ended).
func (r *Registry) Take(ctx context.Context, s *Service) (retryAfter time.Duration, err error) {
	limit := s.TokensPerMinute
	if limit <= 0 {
		return 0, nil
	}
	now := r.now()
	mine, window := r.quotas.of(s.UID, limit, now)
	answer := mine.take(limit, !r.shared)
	if answer == askStore {
		if answer, err = r.lease(ctx, mine, s.UID, window, limit); err != nil {
			return 0, err
		}
	}
	if answer == taken {
		return 0, nil
	}
	return min(max(window.Add(quotaWindow).Sub(now), time.Millisecond), quotaWindow), nil
}

type taking int

const (
	taken taking = iota
	refused
	askStore
)

// of returns the service's quota in the window of now.
func (q *quotas) of(uid string, limit int64, now time.Time) (*quota, time.Time) {
	window := now.UTC().Truncate(quotaWindow)
	q.mu.Lock()
	defer q.mu.Unlock()
	if ahead := q.window.Sub(window); ahead != 0 && (ahead < 0 || ahead > maxAhead) {
		q.window, q.used = window, make(map[string]*quota)
	}
	mine := q.used[uid]
	if mine == nil {
		mine = &quota{limit: limit, turn: make(chan struct{}, 1)}
		q.used[uid] = mine
	}
	return mine, q.window
}

func (q *quota) take(limit int64, alone bool) taking {
	q.mu.Lock()
	defer q.mu.Unlock()
	if limit != q.limit { // it was changed: what was leased under the old one is void
		q.limit, q.left, q.spent = limit, 0, false
	}
	switch {
	case q.used >= limit || q.left == 0 && q.spent:
		return refused
	case alone:
	case q.left > 0:
		q.left--
	default:
		return askStore
	}
	q.used++
	return taken
}

// lease gets a share for who waits, one at a time for a service.
func (r *Registry) lease(ctx context.Context, mine *quota, uid string, window time.Time, limit int64) (taking, error) {
	select {
	case mine.turn <- struct{}{}:
		defer func() { <-mine.turn }()
	case <-ctx.Done():
		return refused, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
			"the quota is not available", fmt.Errorf("wait for a quota: %w", ctx.Err()))
	}
	if answer := mine.take(limit, false); answer != askStore {
		return answer, nil // who was before us got enough
	}
	if r.quotas.down(r.now()) {
		return mine.take(limit, true), nil
	}
	// It is nobody's own, so it goes on when a request is given up.
	leaseCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	want := max(1, limit/leaseParts)
	got, err := r.store.LeaseQuota(leaseCtx, uid, window, want, limit)
	if err != nil {
		r.quotas.setDown(r.now().Add(leaseRetry))
		return mine.take(limit, true), nil
	}
	return mine.fill(got, want), nil
}

// fill adds a lease, of which the first is for who got it.
func (q *quota) fill(got, want int64) taking {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spent = got < want
	if got == 0 {
		return refused
	}
	q.left += got - 1
	q.used++
	return taken
}

func (q *quotas) down(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.downUntil.Sub(now)
	return left > 0 && left <= leaseRetry // a clock that was set back ends it too
}

func (q *quotas) setDown(until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.downUntil = until
}
