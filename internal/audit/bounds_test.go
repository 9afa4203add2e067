package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/internal/audit"
)

// A store that hangs must not hang the requests whose decisions are recorded.
func TestRecordDetachedGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, release := w.stall()
	var wg sync.WaitGroup
	wg.Go(func() { w.commit(1) })
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range audit.MaxQueueEvents {
		w.log.RecordDetached(gone, event(fmt.Sprint("q", i))) // the caller hung up, and there is room
	}
	w.log.RecordWithin(t.Context(), event("late"), time.Millisecond)
	close(release)
	wg.Wait()
	ids := w.ids(audit.Query{Action: "token", Limit: 1000})
	if len(ids) != audit.MaxQueueEvents+1 || ids["late"] != 0 {
		t.Errorf("%d events, %d late", len(ids), ids["late"])
	}
	w.clean()
}

// Nobody fills the disk by being refused, however many names they make up: a flood that
// goes on leaves what its time affords, and every refusal is counted.
func TestRuleE5FloodOfRefusalsFillsNoDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		const seconds, perSecond = 60, 1500
		for second := range seconds {
			for i := range perSecond {
				e := refusal(fmt.Sprintf("s-%d-%d", second, i), "192.0.2.1")
				e.Time = start.Add(time.Duration(second) * time.Second)
				w.log.RecordRefused(t.Context(), e)
			}
			if _, err := w.log.Query(t.Context(), audit.Query{Limit: 1}); err != nil { // it flushes, as time does
				t.Fatal(err)
			}
		}
		var sum, apart int64
		for _, e := range w.all(audit.Query{Limit: 1000}) {
			if sum += e.Count; e.Action == "token" {
				apart++
			}
		}
		if sum != seconds*perSecond || apart > audit.MaxRefusals+seconds*audit.RefusalsPerSecond {
			t.Errorf("%d refusals counted, %d of them apart", sum, apart)
		}
	})
}
