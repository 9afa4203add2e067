package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// While the store fails every commit is refused, and no number is used up. What was
// recorded is stored later.
func TestStoreFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		w.disk.set(fails, nil, nil)
		w.log.Record(t.Context(), event("recorded"))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				err := w.log.Commit(t.Context(), event(fmt.Sprint("refused", i)))
				wantCode(t, err, countersign.Unavailable)
				if countersign.ReasonOf(err) != countersign.ReasonAuditUnavailable {
					t.Errorf("reason %q", countersign.ReasonOf(err))
				}
			})
		}
		wg.Wait()
		if _, err := w.log.Query(t.Context(), audit.Query{}); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("Query: %v", err)
		}
		wantCode(t, w.log.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) {
			return []audit.Event{event("refused")}, nil
		}), countersign.Unavailable)
		w.disk.set(nil, nil, nil)
		w.commit(1)
		if ids := w.ids(audit.Query{}); len(ids) != 2 || ids["e1"] != 2 || ids["recorded"] != 1 {
			t.Errorf("stored: %v", ids)
		}
		if w.log.Tail() > 3 {
			t.Errorf("%d blocks", w.log.Tail())
		}
		w.clean()
	})
}

// A commit whose answer got lost has happened: it is a success, stored once.
func TestAmbiguousCommitIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.set(nil, fails, nil)
	w.log.Record(t.Context(), event("recorded"))
	w.commit(3)
	err := w.log.Transact(t.Context(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		return []audit.Event{event("changed")}, tx.CreateService(ctx, store.Service{UID: "u1", Name: "n1"})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.disk.set(nil, nil, nil)
	w.commit(1)
	if ids := w.ids(audit.Query{}); ids["recorded"] != 1 || ids["changed"] != 1 || ids["e1"] != 2 {
		t.Errorf("stored: %v", ids)
	}
	w.clean()
}

// As long as nobody knows whether a block is there, none is written after it.
func TestAmbiguousCommitThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit(1)
			if stored {
				w.disk.set(nil, fails, fails)
			} else {
				w.disk.set(fails, nil, fails)
			}
			w.log.Record(t.Context(), event("recorded"))
			wantCode(t, w.log.Commit(t.Context(), event("doubtful")), countersign.Unavailable)
			wantCode(t, w.log.Commit(t.Context(), event("refused")), countersign.Unavailable)
			wantCode(t, w.log.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) {
				t.Error("a change that can't be recorded")
				return nil, nil
			}), countersign.Unavailable)
			w.disk.set(nil, nil, nil)
			w.commit(1)
			ids := w.ids(audit.Query{})
			if ids["recorded"] != 1 || ids["refused"] != 0 || (ids["doubtful"] == 1) != stored {
				t.Errorf("stored: %v", ids)
			}
			w.clean()
		})
	}
}

// The token path writes its event and reads nothing.
func TestCommitSendsNoSelect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		before := w.disk.Reads()
		w.commit(20)
		w.log.Record(t.Context(), event("recorded"))
		w.log.RecordRefused(t.Context(), refusal("a", "192.0.2.1"))
		w.commit(1)
		if reads := w.disk.Reads() - before; reads != 0 {
			t.Errorf("%d reads", reads)
		}
	})
}

func TestCloseReportsWhatItCannotStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.set(fails, nil, nil)
	w.log.Record(t.Context(), event("lost"))
	l := w.log
	wantCode(t, l.Close(t.Context()), countersign.Unavailable)
	w.log = nil
	if err := w.disk.Store.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenOnAFailingStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.set(nil, nil, fails)
	_, err := audit.Open(t.Context(), audit.Config{Store: w.disk, Replica: "r2", Signer: w.signer})
	wantCode(t, err, countersign.Unavailable)
}

// A signer that fails stops no commit: the head comes when it works again.
func TestSignerFailure(t *testing.T) {
	t.Parallel()
	w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: &moodySigner{signer: newSigner(1)}}
	w.start()
	t.Cleanup(w.stop)
	mood, _ := w.signer.(*moodySigner)
	mood.set(errors.New("no key"))
	w.commit(3)
	mood.set(nil)
	eventually(t, "the chain is signed", func() bool { return w.log.StoredHead() == 3 })
	w.clean()
}

type moodySigner struct {
	signer
	mu  sync.Mutex
	err error
}

func (m *moodySigner) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *moodySigner) SignHead(message []byte) (string, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", nil, m.err
	}
	return m.signer.SignHead(message)
}
