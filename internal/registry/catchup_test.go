package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// headStore counts who asks for the feed's head, and lets a test hold them up.
type headStore struct {
	store.Store
	asked atomic.Int64
	hold  atomic.Pointer[chan struct{}]
}

func (s *headStore) FeedHead(ctx context.Context) (store.FeedHead, error) {
	s.asked.Add(1)
	if hold := s.hold.Load(); hold != nil {
		select {
		case <-*hold:
		case <-ctx.Done():
			return store.FeedHead{}, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "gone", ctx.Err())
		}
	}
	return s.Store.FeedHead(ctx)
}

// RULES E2: after CatchUp the view knows what another process committed before it.
func TestRuleE2CatchUpKnowsWhatWasCommittedBefore(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2)
	a, b := both[0], both[1]
	for i, name := range []string{"a", "b", "c"} {
		if _, err := b.Service(t.Context(), name); !errors.Is(err, countersign.NotFound) {
			t.Fatal(err)
		}
		register(t, a.store, name, "uid-"+name)
		if err := b.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Service(t.Context(), name); err != nil {
			t.Errorf("%d: the new service is not seen: %v", i, err)
		}
	}
}

// One poll that began since is enough for all who wait; who came while one asked needs another.
func TestCatchUpOfManyAsksOnce(t *testing.T) {
	t.Parallel()
	s := &headStore{Store: fixture.NewStore(t)}
	synctest.Test(t, func(t *testing.T) {
		r := openShared(t, s, fixture.NewClock(start))
		hold := make(chan struct{})
		s.hold.Store(&hold)
		before := s.asked.Load()
		var done sync.WaitGroup
		catchUp := func() {
			if err := r.CatchUp(t.Context()); err != nil {
				t.Error(err)
			}
		}
		done.Go(catchUp)
		synctest.Wait() // it asks
		for range 49 {
			done.Go(catchUp)
		}
		synctest.Wait() // they wait
		close(hold)
		done.Wait()
		if asked := s.asked.Load() - before; asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// Who waits for a store that hangs goes when its own request ends.
func TestCatchUpDoesNotWaitBeyondItsRequest(t *testing.T) {
	t.Parallel()
	s := &headStore{Store: fixture.NewStore(t)}
	r := openShared(t, s, fixture.NewClock(start))
	hold := make(chan struct{})
	s.hold.Store(&hold)
	before := s.asked.Load()
	first := make(chan error, 1)
	go func() { first <- r.CatchUp(t.Context()) }()
	for s.asked.Load() == before {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, wait := range map[string]func(context.Context) error{"catch up": r.CatchUp, "sync": r.Sync} {
		if err := wait(ctx); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: got %v, want unavailable", name, err)
		}
	}
	close(hold)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// Where nobody else writes there is nothing to wait for.
func TestCatchUpAloneReadsNothing(t *testing.T) {
	t.Parallel()
	s := &headStore{Store: fixture.NewStore(t)}
	r, err := registry.New(t.Context(), registry.Config{Store: s, Now: fixture.NewClock(start).Now})
	if err != nil {
		t.Fatal(err)
	}
	before := s.asked.Load()
	if err := r.CatchUp(t.Context()); err != nil || s.asked.Load() != before {
		t.Errorf("%v, asked %d times", err, s.asked.Load()-before)
	}
}
