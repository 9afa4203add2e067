package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func wantFresh(t *testing.T, r *registry.Registry, at time.Time, degraded, stale bool) {
	t.Helper()
	gotAt, gotDegraded, gotStale := r.Fresh()
	if !gotAt.Equal(at) || gotDegraded != degraded || gotStale != stale {
		t.Errorf("fresh at %v, degraded %v, stale %v; want %v, %v, %v", gotAt, gotDegraded, gotStale, at, degraded, stale)
	}
}

func TestRuleE4ServesWithItsLastStateAndThenRefuses(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	b := replicas(t, c, 1, func(cfg *registry.Config) { cfg.MaxStaleness = 5 * time.Minute })[0]
	register(t, b.store, "a", "uid-a")
	b.sync(t)
	b.Revoke(store.Revocation{JTI: "dead", ExpiresAt: start.Add(time.Hour)})
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Fatal("a good token is dead")
	}
	wantFresh(t, b.Registry, start, false, false)

	b.store.broken.Store(true)
	for _, step := range []struct {
		advance         time.Duration
		degraded, stale bool
	}{
		{2 * time.Second, false, false},
		{time.Millisecond, true, false},
		{5*time.Minute - 2*time.Second - time.Millisecond, true, false},
		{time.Millisecond, true, true},
		{time.Hour, true, true},
	} {
		c.Advance(step.advance)
		if err := b.Sync(t.Context()); !errors.Is(err, countersign.Unavailable) {
			t.Fatalf("%v, want Unavailable", err)
		}
		wantFresh(t, b.Registry, start, step.degraded, step.stale)
		_, err := b.Service(t.Context(), "a")
		if !step.stale {
			if err != nil || revoked(t, b.Registry, "jti", "a", "uid-a", start) || !revoked(t, b.Registry, "dead", "a", "uid-a", start) {
				t.Errorf("after %v: not the last state: %v", c.Now().Sub(start), err)
			}
			continue
		}
		wantStale(t, err)
		for _, f := range []registry.TokenFacts{
			{JTI: "jti", Service: "a", ServiceUID: "uid-a"},
			{JTI: "dead", Service: "a", ServiceUID: "uid-a"}, // 503 too, never 403
			{Foreign: true, Issuer: "https://idp.example.com", Subject: "alice"},
		} {
			is, err := b.Revoked(t.Context(), f)
			if wantStale(t, err); !is {
				t.Errorf("%+v passes", f)
			}
		}
		_, err = b.Service(t.Context(), "nobody")
		wantStale(t, err)
	}
	b.store.broken.Store(false)
	b.sync(t)
	wantFresh(t, b.Registry, c.Now(), false, false)
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Error("the store is there again, but a good token is dead")
	}
}

func wantStale(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, countersign.Unavailable) || countersign.ReasonOf(err) != countersign.ReasonStale {
		t.Errorf("%v, want Unavailable because it is stale", err)
	}
}

// A revocation here holds in an outage, and before anybody polls.
func TestRuleE4RevokeWorksInAnOutage(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	b := replicas(t, c, 1)[0]
	register(t, b.store, "a", "uid-a")
	b.sync(t)
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Fatal("a good token is dead")
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	b.Revoke(store.Revocation{Service: "a", Before: c.Now(), ExpiresAt: c.Now().Add(time.Hour)})
	if !revoked(t, b.Registry, "jti", "a", "uid-a", start) || revoked(t, b.Registry, "jti", "a", "uid-a", c.Now().Add(3*time.Second)) {
		t.Error("not as revoked")
	}
}

func TestRuleE4WhenStaleServe(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	b := replicas(t, c, 1, func(cfg *registry.Config) { cfg.ServeStale = true })[0]
	register(t, b.store, "a", "uid-a")
	b.sync(t)
	if _, err := b.Service(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	b.store.broken.Store(true)
	c.Advance(24 * time.Hour)
	wantFresh(t, b.Registry, start, true, false)
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Error("refused, though it was told to serve")
	}
	if _, err := b.Service(t.Context(), "b"); !errors.Is(err, countersign.Unavailable) { // who is not known is not served
		t.Error(err)
	}
}

func TestRuleE4EmbeddedIsNeverStale(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	if _, err := r.Service(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	c.Advance(1000 * time.Hour)
	wantFresh(t, r, c.Now(), false, false)
	if revoked(t, r, "jti", "a", "uid-a", start) {
		t.Error("a good token is dead")
	}
}

// The clock of freshness is the beginning of the poll: what is committed while it runs is
// not known for sure.
func TestRuleE2FreshnessIsWhenThePollBegan(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	both := replicas(t, c, 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.store.beforeChanges = func() { c.Advance(3 * time.Second) }
	b.sync(t)
	wantFresh(t, b.Registry, start, true, false)
	// A poll that fails half-way refreshes nothing.
	c.Advance(time.Second)
	register(t, a.store, "b", "uid-b")
	b.store.beforeChanges = func() { b.store.broken.Store(true) }
	if err := b.Sync(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Fatal(err)
	}
	wantFresh(t, b.Registry, start, true, false)
}

// While a machine sleeps only the wall clock goes on.
func TestRuleE4SleepMakesStale(t *testing.T) {
	t.Parallel()
	at := time.Now() // with a monotonic part
	r, err := registry.New(t.Context(), registry.Config{Store: fixture.NewStore(t), Shared: true, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	at = at.Round(0).Add(11 * time.Minute)
	if _, degraded, stale := r.Fresh(); !degraded || !stale {
		t.Error("the machine slept for eleven minutes")
	}
}

func TestNewTakesNoMoreThanItCan(t *testing.T) {
	t.Parallel()
	s := &faultyStore{Store: fixture.NewStore(t)}
	for name, cfg := range map[string]registry.Config{
		"poll":      {Store: s, Poll: -1},
		"staleness": {Store: s, MaxStaleness: -1},
	} {
		if _, err := registry.New(t.Context(), cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.failRevocations.Store(true)
	if _, err := registry.New(t.Context(), registry.Config{Store: s, Shared: true}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := registry.New(ctx, registry.Config{Store: s, Shared: true}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v", err)
	}
}
