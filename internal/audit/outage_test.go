package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

func newSpoolWorld(t testing.TB, limit int64) *world {
	t.Helper()
	w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1), max: limit}
	w.spool = filepath.Join(w.folder, "spool")
	w.start()
	t.Cleanup(w.stop)
	return w
}

// down makes the database unreachable, up brings it back and waits for the spool.
func (w *world) down() { w.disk.set(fails, nil, fails) }

func (w *world) up() {
	w.t.Helper()
	w.disk.set(nil, nil, nil)
	w.disk.hanging.Store(false)
	eventually(w.t, "the spool is in the store", func() bool { return !w.log.Degraded() })
	if files := w.spoolFiles(); len(files) > 0 {
		w.t.Errorf("the spool is still there: %v", files)
	}
}

func (w *world) spoolFiles() []string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.spool, "*.spool"))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

// change is an administrative change with its event.
func (w *world) change(id string) error {
	return w.log.Transact(context.Background(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		return []audit.Event{event(id)}, tx.CreateService(ctx, store.Service{UID: id, Name: id})
	})
}

func (w *world) mustCommit(id string) {
	w.t.Helper()
	if err := w.log.Commit(context.Background(), event(id)); err != nil {
		w.t.Errorf("%s: %v", id, err)
	}
}

func (w *world) wantOnce(ids ...string) {
	w.t.Helper()
	got := w.ids(audit.Query{Limit: 1000})
	for _, id := range ids {
		if got[id] != 1 {
			w.t.Errorf("%s is there %d times", id, got[id])
		}
	}
}

// RULES E5: in an outage commits succeed, changes are refused, and afterwards every
// event is in the store once, in an unbroken chain.
func TestRuleE5NoEventIsLostInAnOutage(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	w.commit(1)
	var wg sync.WaitGroup
	var half, all sync.WaitGroup
	const writers, each = 40, 100
	half.Add(writers)
	all.Add(writers)
	for g := range writers {
		wg.Go(func() {
			for i := range each {
				switch i {
				case each / 4:
					half.Done()
				case each * 3 / 4:
					all.Done()
				}
				w.mustCommit(fmt.Sprintf("c%d-%d", g, i))
			}
		})
	}
	half.Wait()
	w.down()
	all.Wait()
	if !w.log.Degraded() {
		t.Error("not degraded in an outage")
	}
	wantCode(t, w.change("refused"), countersign.Unavailable)
	w.log.Record(t.Context(), event("recorded"))
	w.disk.set(nil, nil, nil)
	wg.Wait()
	w.up()
	if err := w.change("changed"); err != nil {
		t.Error(err)
	}
	ids := w.ids(audit.Query{Limit: 1000})
	for g := range writers {
		for i := range each {
			if id := fmt.Sprintf("c%d-%d", g, i); ids[id] != 1 {
				t.Errorf("%s is there %d times", id, ids[id])
			}
		}
	}
	if ids["recorded"] != 1 || ids["changed"] != 1 || ids["refused"] != 0 || ids["e1"] != 1 {
		t.Errorf("recorded %d, changed %d, refused %d", ids["recorded"], ids["changed"], ids["refused"])
	}
	if _, err := w.disk.Service(t.Context(), "refused"); countersign.CodeOf(err) != countersign.NotFound {
		t.Errorf("the refused change: %v", err)
	}
	w.clean()
	w.restart()
	w.clean()
}

// A block whose answer got lost is stored once, wherever the answer got lost.
func TestRuleE5AmbiguousWriteIsStoredOnce(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"same process": false, "next process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSpoolWorld(t, 0)
			w.commit(1)
			w.disk.set(nil, fails, fails)
			w.mustCommit("doubtful")
			w.mustCommit("spooled")
			if restart {
				w.restart()
			} else {
				w.up()
			}
			w.mustCommit("after")
			w.wantOnce("e1", "doubtful", "spooled", "after")
			w.clean()
		})
	}
}

// A change whose answer got lost is told as failed; its event is there exactly if the
// change is, and the chain is unbroken either way.
func TestRuleE5AmbiguousChange(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]bool{"stored": true, "not stored": false} {
		for how, restart := range map[string]bool{"same process": false, "next process": true} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				w := newSpoolWorld(t, 0)
				w.commit(1)
				w.disk.set(nil, fails, fails)
				w.disk.late.Store(!stored)
				wantCode(t, w.change("s1"), countersign.Unavailable)
				w.down()
				w.disk.late.Store(false)
				w.mustCommit("spooled1")
				w.mustCommit("spooled2")
				if restart {
					w.restart()
				} else {
					w.up()
				}
				w.mustCommit("after")
				w.wantOnce("e1", "spooled1", "spooled2", "after")
				_, err := w.disk.Service(t.Context(), "s1")
				if n := w.ids(audit.Query{})["s1"]; (n == 1) != stored || (err == nil) != stored || n > 1 {
					t.Errorf("%d events, the change: %v", n, err)
				}
				w.clean()
			})
		}
	}
}

// A store that hangs holds up the first commit for 2 s and the others not at all.
func TestRuleE5HangingStoreIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSpoolWorld(t, 0)
		w.commit(1)
		w.disk.hanging.Store(true)
		begin := time.Now()
		w.mustCommit("first")
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the first took %v", took)
		}
		for i := range 50 {
			time.Sleep(100 * time.Millisecond) // the store is looked at meanwhile, and hangs
			begin := time.Now()
			w.mustCommit(fmt.Sprint("h", i))
			if took := time.Since(begin); took > 0 {
				t.Errorf("commit %d took %v", i, took)
			}
		}
		wantCode(t, w.change("refused"), countersign.Unavailable)
		w.up()
		w.wantOnce("first", "h0", "h49")
		w.clean()
	})
}

// The outage lasts longer than the process.
func TestRuleE5SpoolOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	w.commit(1)
	w.down()
	for i := range 5 {
		w.mustCommit(fmt.Sprint("s", i))
	}
	w.log.Record(t.Context(), event("recorded"))
	if err := w.log.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if files := w.spoolFiles(); len(files) != 1 {
		t.Errorf("files %v", files)
	}
	_ = w.disk.Store.Close()
	w.start()
	w.mustCommit("after")
	w.wantOnce("e1", "s0", "s1", "s2", "s3", "s4", "recorded", "after")
	w.clean()
}

// counter observes as package telemetry does, and the spool too.
type counter struct{ spooled, committed, dropped atomic.Int64 }

func (c *counter) Decided(_, _, _ string) {}
func (c *counter) AuditCommitted(n int)   { c.committed.Add(int64(n)) }
func (c *counter) AuditDropped(n int)     { c.dropped.Add(int64(n)) }
func (c *counter) AuditSpooled(n int)     { c.spooled.Add(int64(n)) }

func TestRuleE5SpoolIsCounted(t *testing.T) {
	t.Parallel()
	c := &counter{}
	w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1), observer: c}
	w.spool = filepath.Join(w.folder, "spool")
	w.start()
	t.Cleanup(w.stop)
	w.commit(1)
	w.down()
	w.mustCommit("s1")
	w.mustCommit("s2")
	if s, n := c.spooled.Load(), c.committed.Load(); s != 2 || n != 1 {
		t.Errorf("%d spooled, %d committed", s, n)
	}
	w.up()
	if s, n, d := c.spooled.Load(), c.committed.Load(), c.dropped.Load(); s != 2 || n != 3 || d != 0 {
		t.Errorf("%d spooled, %d committed, %d dropped", s, n, d)
	}
}

// A change that finds the store hanging is refused in bounded time, and commits that
// come meanwhile don't fail.
func TestRuleE5HangingChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSpoolWorld(t, 0)
		w.disk.hanging.Store(true)
		var wg sync.WaitGroup
		begin := time.Now()
		wg.Go(func() { wantCode(t, w.change("refused"), countersign.Unavailable) })
		for i := range 20 {
			wg.Go(func() { w.mustCommit(fmt.Sprint("h", i)) })
		}
		wg.Wait()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%v", took)
		}
		w.up()
		w.wantOnce("h0", "h19")
		w.clean()
	})
}

func TestRuleE5SpoolIsPrivate(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	w.down()
	w.mustCommit("s1")
	for path, want := range map[string]os.FileMode{w.spool: 0o700, w.spoolFiles()[0]: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	w.up()
	w.wantOnce("s1")
}
