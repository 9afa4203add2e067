package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

// full is a store whose disk takes nothing for a while.
type full struct {
	store.Store
	is *atomic.Bool
}

func (f full) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	if f.is.Load() {
		return countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "full")
	}
	return f.Store.Update(ctx, fn)
}

// What a replica owes the database is tried until it is stored, and what another replica has
// stored meanwhile is not stored again.
func TestRuleE2OwedRevocationsAreStoredOnce(t *testing.T) {
	t.Parallel()
	is := new(atomic.Bool)
	f := fixture.Open(t, fixture.Config{Shared: true, WrapStore: func(s store.Store) store.Store { return full{s, is} }})
	a, err := admin.New(admin.Config{Store: f.Store, Audit: f.Audit, Registry: f.Registry, Keys: f.Keys, Now: f.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{admin: a, registry: f.Registry}
	now := f.Clock.Now()
	lost := func(i int) store.Revocation {
		return store.Revocation{JTI: fmt.Sprint("lost-", i), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	}
	const many = maxOwed + 3
	for i := range many {
		s.owesLost([]store.Revocation{lost(i)})
	}
	s.owesLate([]store.Revocation{{Service: "payroll", ServiceUID: "uid", Before: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}})
	err = f.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.PutRevocation(ctx, lost(1))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	is.Store(true)
	if err := s.storeOwed(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("the disk is full: %v", err)
	}
	is.Store(false)
	for range 2 {
		if err := s.storeOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := f.Store.Revocations(t.Context(), 0, now, store.MaxLimit)
	if err != nil || len(stored) != many+1 {
		t.Errorf("%d are stored, want %d (%v)", len(stored), many+1, err)
	}
	if len(s.owed.lost)+len(s.owed.late) > 0 {
		t.Errorf("still owed: %+v", &s.owed)
	}
}

// A replica that was cut off and is stopped when it is back, as in a rolling restart, stores what
// it owes before it goes: nobody else knows of it.
func TestRuleE4OwedRevocationsAreStoredAtStop(t *testing.T) {
	t.Parallel()
	f := fixture.Open(t, fixture.Config{Shared: true})
	a, err := admin.New(admin.Config{Store: f.Store, Audit: f.Audit, Registry: f.Registry, Keys: f.Keys, Now: f.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{admin: a, registry: f.Registry}
	now := f.Clock.Now()
	s.owesLate([]store.Revocation{{Service: "payroll", ServiceUID: "uid", Before: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}})
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored, err := f.Store.Revocations(t.Context(), 0, now, 10); err != nil || len(stored) != 1 {
		t.Errorf("%d are stored (%v)", len(stored), err)
	}
}

// What was stored ahead of its event stays owed until the event is stored too, and nothing is
// stored ahead twice, or passed over.
func TestOwedRevocationsGoAheadOnce(t *testing.T) {
	t.Parallel()
	var s Server
	late := make([]store.Revocation, maxOwed+3)
	for i := range late {
		late[i].JTI = fmt.Sprint(i)
	}
	s.owesLate(late)
	next := func(want int, first string) {
		t.Helper()
		batch := s.owed.notAhead()
		if len(batch) != want || want > 0 && batch[0].JTI != first {
			t.Errorf("%d are next, want %d from %s", len(batch), want, first)
		}
	}
	next(maxOwed, "0")
	s.owed.wentAhead(maxOwed)
	next(3, fmt.Sprint(maxOwed))
	s.owed.drop(&s.owed.late, 1) // its event is stored
	next(3, fmt.Sprint(maxOwed))
	s.owed.wentAhead(3)
	next(0, "")
	s.owed.drop(&s.owed.late, maxOwed+2)
	s.owesLate([]store.Revocation{{JTI: "new"}})
	next(1, "new")
	s.owed.drop(&s.owed.late, 1)
	s.owesLate([]store.Revocation{{JTI: "newer"}}) // stored without having gone ahead
	next(1, "newer")
}
