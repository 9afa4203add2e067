package registry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// narrow takes something from a service, as package admin does: with a revocation of what was
// issued until now.
func narrow(t *testing.T, s store.Store, c *fixture.Clock, name string, revision int64) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		service, err := tx.Service(ctx, name)
		if err != nil {
			return err
		}
		service.Scopes, service.Revision = nil, revision
		if err := tx.UpdateService(ctx, service); err != nil {
			return err
		}
		_, err = tx.PutRevocation(ctx, store.Revocation{
			Service: name, ServiceUID: service.UID, Before: c.Now(), ExpiresAt: c.Now().Add(time.Hour), CreatedAt: c.Now(),
		})
		return err
	})
}

// RULES E4: a replica that was cut off goes on with what it knows, and what it minted for a
// service that lost something meanwhile ends when it knows. After an ordinary poll nothing more
// ends than was asked for.
func TestRuleE4WhatACutOffReplicaMintedForANarrowedServiceEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		gap   time.Duration
		plain bool // somebody revoked, and changed nothing
		ends  bool
	}{
		"cut off":             {gap: 5 * time.Minute, ends: true},
		"a slow poll":         {gap: 3 * time.Second, ends: true},
		"an ordinary poll":    {gap: time.Second},
		"revoked and no more": {gap: 5 * time.Minute, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := fixture.NewStore(t), fixture.NewClock(start)
			register(t, s, "a", "uid-a")
			register(t, s, "b", "uid-b")
			var owed []store.Revocation
			r := openShared(t, s, c, func(cfg *registry.Config) {
				cfg.OnLate = func(revs []store.Revocation) { owed = append(owed, revs...) }
			})
			if test.plain {
				put(t, s, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: c.Now(), ExpiresAt: c.Now().Add(time.Hour), CreatedAt: c.Now()})
			} else {
				narrow(t, s, c, "a", 2)
			}
			c.Advance(test.gap)
			minted := c.Now()
			for range 2 { // a second poll finds nothing more to do
				if err := r.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			covered := minted.Before(start.Add(registry.BeforeSlack))
			if got := revoked(t, r, "t", "a", "uid-a", minted); got != (test.ends || covered) || revoked(t, r, "t", "b", "uid-b", minted) {
				t.Errorf("what was minted at the end of the gap is revoked: %t", got)
			}
			if test.ends != (len(owed) == 1) {
				t.Fatalf("to be stored: %+v", owed)
			}
			if test.ends && (owed[0].Service != "a" || owed[0].ServiceUID != "uid-a" || !owed[0].Before.Equal(minted) || !owed[0].ExpiresAt.Equal(minted.Add(time.Hour))) {
				t.Errorf("to be stored: %+v", owed[0])
			}
			// It is no change of the service: another replica that was cut off does not answer it.
			c.Advance(time.Minute)
			for _, rev := range owed {
				put(t, s, rev)
			}
			before := len(owed)
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(owed) != before {
				t.Errorf("one replica answers another: %+v", owed)
			}
		})
	}
}

// The database was away, and what is missed can't be told change by change.
func TestRuleE4NarrowedServicesAfterAResync(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	primary, standby := twoServers(t, c)
	for _, s := range []store.Store{primary, standby} {
		register(t, s, "a", "uid-a")
		register(t, s, "b", "uid-b")
		put(t, s, store.Revocation{Service: "b", ServiceUID: "uid-b", Before: start.Add(-time.Hour), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	}
	m := newMoving(primary)
	var owed []store.Revocation
	r := openShared(t, m, c, func(cfg *registry.Config) {
		cfg.OnLate = func(revs []store.Revocation) { owed = append(owed, revs...) }
	})
	m.to(standby)
	narrow(t, standby, c, "a", 2)
	c.Advance(time.Minute)
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(owed) != 1 || owed[0].Service != "a" || !owed[0].Before.Equal(c.Now()) {
		t.Errorf("to be stored: %+v", owed)
	}
}

// What a poll learned is forgotten with it, also where nobody else writes and nobody can be cut
// off: the names of all services that ever were would stay.
func TestWhatPollsLearnIsNotCollected(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		s, c := fixture.NewStore(t), fixture.NewClock(start)
		r := openShared(t, s, c, func(cfg *registry.Config) { cfg.Shared = shared })
		for i := range 20 {
			register(t, s, fmt.Sprintf("service-%d", i), fmt.Sprintf("uid-%d", i))
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if held := r.LateHeld(); held != 0 {
			t.Errorf("shared %t: %d are held after the polls", shared, held)
		}
	}
}
