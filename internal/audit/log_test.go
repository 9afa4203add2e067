package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
	"github.com/google/go-cmp/cmp"
)

func TestOpenRefusesBadConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := audit.Config{Store: w.disk, Replica: "other", Signer: w.signer}
	for name, spoil := range map[string]func(*audit.Config){
		"no store":         func(c *audit.Config) { c.Store = nil },
		"no signer":        func(c *audit.Config) { c.Signer = nil },
		"no replica":       func(c *audit.Config) { c.Replica = "" },
		"replica too long": func(c *audit.Config) { c.Replica = strings.Repeat("r", 256) },
		"replica no UTF-8": func(c *audit.Config) { c.Replica = "\xff" },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := audit.Open(t.Context(), cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.HeadFile = filepath.Join(t.TempDir(), "no", "folder")
	l, err := audit.Open(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, l.Commit(t.Context(), event("x")), "")
	wantCode(t, l.Close(t.Context()), countersign.Unavailable) // the head can't be written
}

func TestCommitIsReadBackAsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := event("e1")
	e.Time = time.Date(2026, 7, 1, 12, 0, 0, 123456000, time.UTC)
	e.User, e.UserIssuer, e.Detail, e.Count = "alice", "https://idp.example", "line\nbreak \" \xff", 3
	if err := w.log.Commit(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	e.Detail = "line\nbreak \" \ufffd"
	if diff := cmp.Diff([]audit.Event{e}, w.all(audit.Query{})); diff != "" {
		t.Error(diff)
	}
	w.clean()
}

// Events that arrive together share transactions, and none is lost or doubled.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const goroutines, each = 64, 25
		before := w.disk.updates.Load()
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					id := fmt.Sprintf("g%d-%d", g, i)
					if i%5 == 4 {
						w.log.Record(t.Context(), event(id))
					} else if err := w.log.Commit(t.Context(), event(id)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		ids := w.ids(audit.Query{Limit: 1000})
		if len(ids) != goroutines*each {
			t.Errorf("%d events, want %d", len(ids), goroutines*each)
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s stored %d times", id, n)
			}
		}
		if commits := w.disk.updates.Load() - before; commits > goroutines*each/4 {
			t.Errorf("%d transactions for %d events", commits, goroutines*each)
		}
		w.clean()
	})
}

func TestCommitWithEndedContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := w.log.Commit(ctx, event("never"))
	wantCode(t, err, countersign.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("no cause: %v", err)
	}
	if n := len(w.all(audit.Query{})); n != 0 {
		t.Errorf("%d events", n)
	}
}

// A context that ends while the event is on its way is an error, never a success;
// nobody else's commit suffers.
func TestCommitWhoseContextEndsOnTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, release := w.stall()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	go func() { results <- w.log.Commit(ctx, event("gone")) }()
	<-entered
	cancel()
	wantCode(t, <-results, countersign.Unavailable)
	go func() { results <- w.log.Commit(t.Context(), event("stays")) }()
	eventually(t, "the second commit waits", func() bool { return w.log.Waiting() == 1 })
	close(release)
	if err := <-results; err != nil {
		t.Fatal(err)
	}
	if ids := w.ids(audit.Query{}); ids["stays"] != 1 || ids["gone"] != 1 {
		t.Errorf("stored: %v", ids)
	}
	w.clean()
}

// A batch is bounded: who comes later waits for the next one, and may give up.
func TestCommitWaitsWhileTheBatchIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, release := w.stall()
	var wg sync.WaitGroup
	commit := func(id string) {
		wg.Go(func() {
			if err := w.log.Commit(t.Context(), event(id)); err != nil {
				t.Error(err)
			}
		})
	}
	commit("first")
	<-entered
	for i := range audit.MaxBatchEvents {
		commit(fmt.Sprint("b", i))
	}
	eventually(t, "the batch is full", func() bool { return w.log.Waiting() == audit.MaxBatchEvents })
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { gaveUp <- w.log.Commit(ctx, event("gave up")) }()
	cancel()
	wantCode(t, <-gaveUp, countersign.Unavailable)
	commit("over")
	close(release)
	wg.Wait()
	if ids := w.ids(audit.Query{Limit: 1000}); len(ids) != audit.MaxBatchEvents+2 || ids["gave up"] != 0 {
		t.Errorf("%d events, gave up: %d", len(ids), ids["gave up"])
	}
	w.clean()
}

// Nothing is lost without a trace: what finds no room is counted in the log itself.
func TestRecordCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, release := w.stall()
	var wg sync.WaitGroup
	wg.Go(func() { w.commit(1) })
	<-entered // the writer is busy and takes nothing from the queue
	for i := range audit.MaxQueueEvents {
		w.log.Record(t.Context(), event(fmt.Sprint("q", i)))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		w.log.Record(ended, event("dropped"))
	}
	waited := make(chan struct{})
	go func() { w.log.Record(t.Context(), event("waited")); close(waited) }()
	close(release)
	<-waited
	wg.Wait()
	dropped := w.all(audit.Query{Action: audit.ActionDropped})
	if len(dropped) != 1 || dropped[0].Count != 3 {
		t.Errorf("dropped: %+v", dropped)
	}
	ids := w.ids(audit.Query{Action: "token", Limit: 1000})
	if len(ids) != audit.MaxQueueEvents+2 || ids["dropped"] != 0 || ids["waited"] != 1 {
		t.Errorf("%d events, %d dropped, %d waited", len(ids), ids["dropped"], ids["waited"])
	}
	w.clean()
}

func TestCloseStoresWhatIsQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log.Record(t.Context(), event("queued"))
	w.log.RecordRefused(t.Context(), audit.Event{ID: "refused", Action: "token", Reason: "secret_wrong"})
	l := w.log
	w.restart()
	wantCode(t, l.Commit(t.Context(), event("late")), countersign.Unavailable)
	wantCode(t, l.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) {
		t.Error("a change after Close")
		return nil, nil
	}), countersign.Unavailable)
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if ids := w.ids(audit.Query{}); ids["queued"] != 1 || ids["refused"] != 1 || ids["late"] != 0 {
		t.Errorf("stored: %v", ids)
	}
	if w.log.StoredHead() != w.log.Tail() {
		t.Errorf("signed to %d of %d", w.log.StoredHead(), w.log.Tail())
	}
	w.clean()
}

func TestTransactStoresChangeAndEventsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.log.Record(t.Context(), event("queued"))
		err := w.log.Transact(t.Context(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
			return []audit.Event{{ID: "c1", Action: "service.create", Decision: audit.Changed, Reason: "ok"}, event("c2")},
				tx.CreateService(ctx, store.Service{UID: "u1", Name: "document-service"})
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.disk.Service(t.Context(), "document-service"); err != nil {
			t.Error(err)
		}
		if w.log.Tail() != 1 {
			t.Errorf("%d blocks", w.log.Tail())
		}
		if ids := w.ids(audit.Query{}); len(ids) != 3 {
			t.Errorf("stored: %v", ids)
		}
		// The same name again: neither the change nor its event, but what waited.
		w.log.Record(t.Context(), event("later"))
		err = w.log.Transact(t.Context(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
			return []audit.Event{event("c3")}, tx.CreateService(ctx, store.Service{UID: "u2", Name: "document-service"})
		})
		wantCode(t, err, countersign.Conflict)
		if ids := w.ids(audit.Query{}); len(ids) != 4 || ids["c3"] != 0 || ids["later"] != 1 {
			t.Errorf("stored: %v", ids)
		}
		w.clean()
	})
}

func TestTransactRollsBack(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	tests := map[string]struct {
		spoil func(w *world, cancel func())
		fnErr error
		want  error
	}{
		"fn fails":           {fnErr: boom, want: boom},
		"the context ends":   {spoil: func(_ *world, cancel func()) { cancel() }, want: context.Canceled},
		"a revision is lost": {fnErr: countersign.Conflict, want: countersign.Conflict},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := w.log.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
				if err := tx.CreateService(ctx, store.Service{UID: "u1", Name: "document-service"}); err != nil {
					t.Error(err)
				}
				if test.spoil != nil {
					test.spoil(w, cancel)
				}
				return []audit.Event{event("c1")}, test.fnErr
			})
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if _, err := w.disk.Service(t.Context(), "document-service"); !errors.Is(err, countersign.NotFound) {
				t.Errorf("the change stayed: %v", err)
			}
			if n := len(w.all(audit.Query{})); n != 0 {
				t.Errorf("%d events stayed", n)
			}
			w.commit(1)
			w.clean()
		})
	}
}

// A panic of a change gives the turn back.
func TestTransactSurvivesAPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	func() {
		defer func() { _ = recover() }()
		_ = w.log.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) { panic("boom") })
	}()
	w.commit(2)
	w.clean()
}

func TestTransactWithoutEventsWritesNoBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.log.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if w.log.Tail() != 0 {
		t.Error("a block without events")
	}
}

// Changes and commits at once: the chain stays one.
func TestTransactAmongCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 5 {
				id := fmt.Sprintf("g%d-%d", g, i)
				err := w.log.Transact(t.Context(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
					return []audit.Event{event(id)}, tx.CreateService(ctx, store.Service{UID: id, Name: id})
				})
				if err == nil {
					err = w.log.Commit(t.Context(), event(id+"c"))
				}
				if err != nil {
					t.Error(err)
				}
				w.log.RecordRefused(t.Context(), audit.Event{Action: "token", Reason: "secret_wrong"})
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			w.clean()
		}
	})
	wg.Wait()
	if n := len(w.ids(audit.Query{Limit: 1000, Reason: "ok"})); n != 64*5*2 {
		t.Errorf("%d events", n)
	}
	w.clean()
}

func TestHeadFileIsPrivate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(1)
	w.restart()
	info, err := os.Stat(w.headFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
