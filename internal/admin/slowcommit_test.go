package admin_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/store"
)

// slowDisk is a store whose transactions take their time by a test's clock.
type slowDisk struct {
	store.Store
	takes func()
}

func (d slowDisk) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	return d.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		err := fn(ctx, tx)
		d.takes()
		return err
	})
}

// A token that is minted while the disk takes a disable must not live on when the service
// is enabled again, however slow the disk is.
func TestRuleE3TokenMintedDuringASlowCommit(t *testing.T) {
	t.Parallel()
	var r *rig
	var slow atomic.Bool
	r = newRig(t, func(s store.Store) store.Store {
		return slowDisk{s, func() {
			if slow.Load() {
				r.Clock.Advance(8 * time.Second)
			}
		}}
	})
	d, _ := r.create(t, "a")
	began := r.Clock.Now()
	slow.Store(true)
	_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	slow.Store(false)
	_, err = r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, false)
	must(t, err)
	if !r.revoked(t, d, began.Add(5*time.Second)) {
		t.Error("a token from the time of the commit lives")
	}
	r.Clock.Advance(10 * time.Second)
	if r.revoked(t, d, r.Clock.Now()) {
		t.Error("a token from after it does not")
	}
}
