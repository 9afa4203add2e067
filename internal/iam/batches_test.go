package iam

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign"
)

func TestBatchIsSavedOnce(t *testing.T) {
	t.Parallel()
	b := newBatches(4)
	saves := 0
	save := func(context.Context) error { saves++; return nil }
	key := hashBatch("uid", "a", []byte("x"))
	for range 3 {
		if err := b.once(t.Context(), key, save); err != nil {
			t.Fatal(err)
		}
	}
	if saves != 1 {
		t.Errorf("saved %d times", saves)
	}
	if err := b.once(t.Context(), hashBatch("other uid", "a", []byte("y")), save); err != nil || saves != 2 {
		t.Errorf("the same id of another service: %v, %d saves", err, saves)
	}
	if err := b.once(t.Context(), hashBatch("uid", "a", []byte("y")), save); !errors.Is(err, countersign.Conflict) || saves != 2 {
		t.Errorf("another content under the same id: %v, %d saves", err, saves)
	}
}

func TestBatchThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBatches(4)
	key := hashBatch("uid", "a", nil)
	down := countersign.NewError(countersign.Unavailable, "", "")
	if err := b.once(t.Context(), key, func(context.Context) error { return down }); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("got %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = b.once(t.Context(), key, func(context.Context) error { panic("in the store") })
	}()
	saved := false
	if err := b.once(t.Context(), key, func(context.Context) error { saved = true; return nil }); err != nil || !saved {
		t.Errorf("%v, saved %t", err, saved)
	}
	if len(b.known) != 1 || len(b.order) != 1 {
		t.Errorf("%d known, %d stored", len(b.known), len(b.order))
	}
}

func TestBatchAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(4)
		key := hashBatch("uid", "a", nil)
		var saves atomic.Int32
		release := make(chan struct{})
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				err := b.once(t.Context(), key, func(context.Context) error {
					<-release
					if saves.Add(1) == 1 {
						return countersign.Unavailable // the first attempt fails
					}
					return nil
				})
				if err != nil && !errors.Is(err, countersign.Unavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.once(gone, key, nil); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("a caller that does not wait got %v", err)
		}
		close(release)
		group.Wait()
		if saves.Load() != 2 {
			t.Errorf("saved %d times, want 2: once failed, once stored", saves.Load())
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBatches(8)
	save := func(context.Context) error { return nil }
	for i := range 100 {
		if err := b.once(t.Context(), hashBatch("uid", fmt.Sprint(i), nil), save); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.known) != 8 || len(b.order) != 8 {
		t.Errorf("%d known, %d in order; want 8", len(b.known), len(b.order))
	}
	newest := func(context.Context) error { t.Error("the newest was forgotten"); return nil }
	if err := b.once(t.Context(), hashBatch("uid", "99", nil), newest); err != nil {
		t.Fatal(err)
	}
}
