package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func limited(uid string, perMinute int64) *registry.Service {
	return &registry.Service{Service: store.Service{UID: uid, Name: uid, TokensPerMinute: perMinute}}
}

// takes asks n times and returns how often it got one.
func takes(t *testing.T, r *registry.Registry, s *registry.Service, n int) (got int64) {
	t.Helper()
	for range n {
		retry, err := r.Take(t.Context(), s)
		if err != nil || retry < 0 || retry > time.Minute {
			t.Fatalf("%v, %v", retry, err)
		}
		if retry == 0 {
			got++
		}
	}
	return got
}

func TestQuotaOfOneProcess(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start.Add(15*time.Second))
	r := newRegistry(t, s, c, 0)
	reads := s.Reads()
	if got := takes(t, r, limited("a", 0), 1000); got != 1000 {
		t.Errorf("%d of 1000 without a quota", got)
	}
	if got := takes(t, r, limited("a", 7), 20); got != 7 {
		t.Errorf("%d tokens, the quota is 7", got)
	}
	if retry, _ := r.Take(t.Context(), limited("a", 7)); retry != 45*time.Second {
		t.Errorf("retry after %v, the next window is in 45 s", retry)
	}
	if got := takes(t, r, limited("b", 1), 2); got != 1 {
		t.Errorf("another service got %d, its quota is 1", got)
	}
	c.Advance(44 * time.Second)
	if got := takes(t, r, limited("a", 7), 1); got != 0 {
		t.Error("the window is not over")
	}
	c.Advance(time.Second)
	if got := takes(t, r, limited("a", 7), 20); got != 7 {
		t.Errorf("%d tokens in the next window", got)
	}
	c.Advance(-30 * time.Second) // a clock that is set back opens no window again
	if got := takes(t, r, limited("a", 7), 20); got != 0 {
		t.Errorf("%d more tokens by setting the clock back", got)
	}
	if got := takes(t, r, limited("a", 10), 20); got != 3 {
		t.Errorf("%d more tokens after the quota was raised by 3", got)
	}
	if got := takes(t, r, limited("a", 5), 20); got != 0 {
		t.Errorf("%d more tokens after it was lowered", got)
	}
	if s.Reads() != reads {
		t.Error("it asked the database")
	}
}

func TestQuotaHoldsOverAllProcesses(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 7, 50, 1000} {
		c := fixture.NewClock(start)
		all := replicas(t, c, 3)
		for window := range 2 {
			var got atomic.Int64
			var group sync.WaitGroup
			for _, r := range all {
				for range 2 {
					group.Go(func() { got.Add(takes(t, r.Registry, limited("a", limit), int(limit))) })
				}
			}
			group.Wait()
			if got.Load() != limit { // all of it was asked for, so all of it was used
				t.Errorf("window %d: %d tokens, the quota is %d", window, got.Load(), limit)
			}
			c.Advance(time.Minute)
		}
	}
}

// Steady use writes to the database a few times a minute, not for each token.
func TestQuotaLeasesInShares(t *testing.T) {
	t.Parallel()
	s := &countingStore{Store: fixture.NewStore(t)}
	r := openShared(t, s, fixture.NewClock(start))
	if got := takes(t, r, limited("a", 1000), 1500); got != 1000 {
		t.Errorf("%d tokens", got)
	}
	if leases := s.leases.Load(); leases > 21 {
		t.Errorf("%d leases for 1000 tokens", leases)
	}
}

type countingStore struct {
	store.Store
	leases atomic.Int64
	asked  chan struct{} // if set, a lease says here that it came, and
	hang   chan struct{} // waits for this
}

func (s *countingStore) LeaseQuota(ctx context.Context, uid string, window time.Time, want, limit int64) (int64, error) {
	s.leases.Add(1)
	if s.hang != nil {
		close(s.asked)
		<-s.hang
	}
	return s.Store.LeaseQuota(context.WithoutCancel(ctx), uid, window, want, limit) // a busy machine is no outage
}

// RULES E4: issuing by secret goes on; each process alone keeps to the limit.
func TestRuleE4QuotaInAnOutage(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	both := replicas(t, c, 2)
	a, b := both[0], both[1]
	if got := takes(t, a.Registry, limited("a", 40), 3); got != 3 {
		t.Fatal(got)
	}
	a.store.broken.Store(true)
	b.store.broken.Store(true)
	if got := takes(t, a.Registry, limited("a", 40), 100); got != 37 {
		t.Errorf("%d more tokens in the outage, the process may have 37", got)
	}
	if got := takes(t, b.Registry, limited("a", 40), 100); got != 40 {
		t.Errorf("%d tokens in the outage, the process may have 40", got)
	}
	a.store.broken.Store(false)
	c.Advance(2 * time.Second)
	if got := takes(t, a.Registry, limited("a", 40), 10); got != 0 {
		t.Errorf("%d more tokens after the outage", got)
	}
	c.Advance(time.Minute)
	if got := takes(t, a.Registry, limited("a", 40), 100); got != 40 {
		t.Errorf("%d tokens in the next window", got)
	}
}

// A store that does not answer is not asked again for each token.
func TestRuleE4OutageIsNotAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	s := &countingStore{Store: fixture.NewStore(t)}
	r := openShared(t, s, c)
	_ = s.Close()
	for window := range int64(2) {
		if got := takes(t, r, limited("a", 100), 200); got != 100 {
			t.Errorf("%d tokens", got)
		}
		if leases := s.leases.Load(); leases != window+1 {
			t.Errorf("the store was asked %d times", leases)
		}
		c.Advance(time.Minute)
	}
}

func TestQuotaWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	s := &countingStore{Store: fixture.NewStore(t), asked: make(chan struct{}), hang: make(chan struct{})}
	r := openShared(t, s, fixture.NewClock(start))
	first := make(chan time.Duration, 1)
	go func() {
		retry, err := r.Take(context.WithoutCancel(t.Context()), limited("a", 100))
		if err != nil {
			t.Error(err)
		}
		first <- retry
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-s.asked
	if _, err := r.Take(ctx, limited("a", 100)); !errors.Is(err, countersign.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Unavailable that wraps context.Canceled", err)
	}
	close(s.hang)
	if retry := <-first; retry != 0 {
		t.Errorf("retry after %v", retry)
	}
}
