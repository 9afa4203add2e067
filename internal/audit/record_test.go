package audit_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/internal/audit"
)

func TestRecordIsStoredWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		w.log.Record(t.Context(), event("r1"))
		eventually(t, "the event is stored", func() bool { return w.log.Tail() == 1 })
		if waited := time.Since(start); waited < audit.FlushEvery/2 || waited > time.Second {
			t.Errorf("stored after %v: nothing was gathered, or it came late", waited)
		}
		if w.ids(audit.Query{})["r1"] != 1 {
			t.Error("not stored")
		}
	})
}

func TestRecordRidesOnACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 10 {
			w.log.Record(t.Context(), event(fmt.Sprint("r", i)))
		}
		w.commit(1)
		if w.log.Tail() > 2 || w.log.Queued() != 0 {
			t.Errorf("block %d, %d still queued", w.log.Tail(), w.log.Queued())
		}
		if n := len(w.all(audit.Query{})); n != 11 {
			t.Errorf("%d events", n)
		}
	})
}
