package audit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// RULES E5: a spool that takes several transactions, whose answers get lost, is
// stored once and in order, also when its numbers must change on the way.
func TestRuleE5LongSpoolWithLostAnswers(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"numbers are free": false, "numbers are taken": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSpoolWorld(t, 0)
			w.commit(2)
			w.down()
			const writers, each = 40, 30
			var wg sync.WaitGroup
			for g := range writers {
				wg.Go(func() {
					for i := range each {
						e := event(fmt.Sprintf("l%d-%d", g, i))
						e.Detail = strings.Repeat("x", audit.MaxField)
						if err := w.log.Commit(context.Background(), e); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if taken {
				w.takeNumber(3)
			}
			var failures atomic.Int64
			w.disk.set(nil, func() error {
				if failures.Add(1) <= 2 {
					return errDisk
				}
				return nil
			}, nil)
			eventually(t, "the spool is in the store", func() bool { return !w.log.Degraded() })
			w.mustCommit("after")
			ids := w.ids(audit.Query{Limit: 1000})
			for g := range writers {
				for i := range each {
					if id := fmt.Sprintf("l%d-%d", g, i); ids[id] != 1 {
						t.Errorf("%s is there %d times", id, ids[id])
					}
				}
			}
			if got := w.verify(); got.OK == taken {
				t.Errorf("Verify: %+v", got)
			}
		})
	}
}

// takeNumber puts a block of somebody else into our chain.
func (w *world) takeNumber(seq int64) {
	w.t.Helper()
	b := store.AuditBlock{
		Replica: w.replica, Seq: seq, Events: audit.Encode(event("foreign")), Count: 1, Prev: make([]byte, 32),
	}
	b.Hash = audit.BlockHash(&b)
	err := w.disk.Store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.AppendAuditBlock(ctx, b)
	})
	if err != nil {
		w.t.Error(err)
	}
}
