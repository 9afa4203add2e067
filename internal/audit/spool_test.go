package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// spooledWorld is a world that ended in an outage, with n commits in its spool. It
// returns the spool and how long it was after each commit.
func spooledWorld(t *testing.T, n int) (w *world, spool []byte, ends []int) {
	t.Helper()
	w = &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1), noFile: true}
	w.spool = filepath.Join(w.folder, "spool")
	w.start()
	w.commit(1)
	w.down()
	for i := range n {
		w.mustCommit(fmt.Sprint("s", i))
		info, err := os.Stat(w.spoolFiles()[0])
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(info.Size()))
	}
	if err := w.log.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.disk.Store.Close(); err != nil {
		t.Error(err)
	}
	w.log = nil
	spool, err := os.ReadFile(w.spoolFiles()[0])
	if err != nil {
		t.Fatal(err)
	}
	return w, spool, ends
}

// again is a copy of an ended world with another spool.
func (w *world) again(t *testing.T, spool []byte) *world {
	t.Helper()
	n := &world{t: t, folder: t.TempDir(), replica: w.replica, signer: w.signer, noFile: true}
	n.spool = filepath.Join(n.folder, "spool")
	text, err := os.ReadFile(w.database())
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(w.spoolFiles()[0])
	for path, text := range map[string][]byte{n.database(): text, filepath.Join(n.spool, name): spool} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.start()
	t.Cleanup(n.stop)
	return n
}

// RULES E5: wherever a crash cuts the spool, what was acknowledged is there once, and
// a record that was half-written is not.
func TestRuleE5EveryTruncationOfTheSpool(t *testing.T) {
	t.Parallel()
	w, spool, ends := spooledWorld(t, 4)
	name := filepath.Base(w.spoolFiles()[0])
	folder := t.TempDir()
	for length := range len(spool) + 1 {
		if err := os.WriteFile(filepath.Join(folder, name), spool[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		numbers, err := audit.SpoolNumbers(folder, w.replica)
		if err != nil {
			t.Fatal(err)
		}
		var want []int64
		for i, end := range ends {
			if end <= length {
				want = append(want, int64(i+2))
			}
		}
		if !slices.Equal(numbers, want) {
			t.Fatalf("%d bytes: blocks %v, want %v", length, numbers, want)
		}
	}
	lengths := []int{0, 1}
	for _, end := range ends {
		lengths = append(lengths, end-1, end, min(end+7, len(spool)), min(end+200, len(spool)))
	}
	for _, length := range lengths {
		n := w.again(t, spool[:length])
		n.mustCommit("after")
		ids := n.ids(audit.Query{})
		for i, end := range ends {
			want := 0
			if end <= length {
				want = 1
			}
			if got := ids[fmt.Sprint("s", i)]; got != want {
				t.Errorf("%d bytes: s%d is there %d times, want %d", length, i, got, want)
			}
		}
		n.clean()
		n.stop()
	}
}

// Room that the file got and that was never filled is a torn end too.
func TestRuleE5UnfilledEndOfTheSpool(t *testing.T) {
	t.Parallel()
	w, spool, _ := spooledWorld(t, 2)
	n := w.again(t, append(slices.Clone(spool), make([]byte, 4096)...))
	n.wantOnce("s0", "s1")
	n.clean()
}

// A damaged record is an alarm and a finding for ever; the others are stored.
func TestRuleE5DamagedSpoolIsAFinding(t *testing.T) {
	t.Parallel()
	w, spool, ends := spooledWorld(t, 4)
	for name, at := range map[string]int{
		"header in the middle": ends[0] + 9, "magic": ends[0], "payload in the middle": ends[1] - 3, "hash in the middle": ends[0] + 70,
		"first header": 2, "last header": ends[2] + 17, "last payload": len(spool) - 2,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := slices.Clone(spool)
			bad[at] ^= 0x20
			lost := 0
			for ends[lost] <= at {
				lost++
			}
			n := w.again(t, bad)
			n.mustCommit("after")
			ids := n.ids(audit.Query{})
			for i := range ends {
				want := 1
				if i == lost {
					want = 0
				}
				if got := ids[fmt.Sprint("s", i)]; got != want {
					t.Errorf("s%d is there %d times, want %d", i, got, want)
				}
			}
			if n.verify().OK {
				t.Error("no finding")
			}
			if len(n.all(audit.Query{Action: audit.ActionChain})) == 0 {
				t.Error("no alarm in the chain")
			}
			kept, err := filepath.Glob(filepath.Join(n.spool, "*.bad"))
			if err != nil || len(kept) != 1 {
				t.Errorf("kept %v, %v", kept, err)
			}
			n.restart()
			if n.verify().OK {
				t.Error("the next process finds nothing")
			}
		})
	}
}

// Blocks that another process put in the place of spooled ones: theirs and ours are
// all there, and the break is found.
func TestRuleE5SpooledNumbersAreTaken(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"same process": false, "next process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSpoolWorld(t, 0)
			w.commit(2)
			w.down()
			for i := range 4 {
				w.mustCommit(fmt.Sprint("s", i))
			}
			s, err := sqlstore.OpenSQLite(t.Context(), w.database(), sqlstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			other, err := audit.Open(t.Context(), audit.Config{Store: s, Replica: w.replica, Signer: w.signer})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				if err := other.Commit(t.Context(), event(fmt.Sprint("foreign", i))); err != nil {
					t.Error(err)
				}
			}
			if err := other.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if restart {
				w.restart()
			} else {
				w.up()
			}
			w.mustCommit("after")
			w.wantOnce("s0", "s1", "s2", "s3", "foreign0", "foreign1", "after")
			if w.verify().OK {
				t.Error("no finding")
			}
		})
	}
}

// RULES E5: the end of the spool is kept for commits, and a full one refuses them.
func TestRuleE5FullSpool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 256 << 10
		w := newSpoolWorld(t, limit)
		w.down()
		w.mustCommit("c")
		for i := range audit.MaxQueueEvents {
			w.log.Record(t.Context(), event(fmt.Sprint("r", i)))
		}
		// Many blocks: each takes recorded events while there is room for them.
		acknowledged := []string{"c"}
		reserved := false
		for i := 0; ; i++ {
			id := fmt.Sprint("c", i)
			err := w.log.Commit(t.Context(), event(id))
			if err != nil {
				wantCode(t, err, countersign.Unavailable)
				if countersign.ReasonOf(err) != countersign.ReasonAuditUnavailable {
					t.Errorf("reason %q", countersign.ReasonOf(err))
				}
				break
			}
			acknowledged = append(acknowledged, id)
			info, err := os.Stat(w.spoolFiles()[0])
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > limit {
				t.Fatalf("%d bytes", info.Size())
			}
			reserved = reserved || info.Size() > limit/5*4
		}
		if !reserved || len(acknowledged) < 50 {
			t.Errorf("%d commits before the spool was full", len(acknowledged))
		}
		queued := w.log.Queued()
		for i := 0; i < 3 || w.log.Queued() < audit.MaxQueueEvents; i++ {
			w.log.Record(t.Context(), event("late")) // must not wait
		}
		if queued < audit.MaxQueueEvents/2 {
			t.Errorf("%d events wait, the others are in the spool", queued)
		}
		w.log.Record(t.Context(), event("no room"))
		w.up()
		ids := w.ids(audit.Query{Limit: 1000})
		for _, id := range acknowledged {
			if ids[id] != 1 {
				t.Errorf("%s is there %d times", id, ids[id])
			}
		}
		for i := range audit.MaxQueueEvents {
			if id := fmt.Sprint("r", i); ids[id] != 1 {
				t.Errorf("%s is there %d times", id, ids[id])
			}
		}
		if ids["no room"] != 0 || len(w.all(audit.Query{Action: audit.ActionDropped})) == 0 {
			t.Error("the dropped events are not counted")
		}
		w.clean()
	})
}

// Where the spool can't be written commits are refused, and nothing else is lost.
func TestRuleE5UnwritableSpool(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	w.commit(1)
	if err := os.Remove(w.spool); err != nil {
		t.Fatal(err)
	}
	w.down()
	w.log.Record(t.Context(), event("recorded"))
	for range 3 {
		wantCode(t, w.log.Commit(t.Context(), event("refused")), countersign.Unavailable)
	}
	wantCode(t, w.change("refused"), countersign.Unavailable)
	w.up()
	w.mustCommit("after")
	w.wantOnce("e1", "recorded", "after")
	if n := w.ids(audit.Query{})["refused"]; n != 0 {
		t.Errorf("%d refused events", n)
	}
	w.clean()
	_, err := audit.Open(t.Context(), audit.Config{Store: w.disk, Replica: "r2", Signer: w.signer, Spool: w.database()})
	wantCode(t, err, countersign.Unavailable)
	_, err = audit.Open(t.Context(), audit.Config{Store: w.disk, Replica: "r2", Signer: w.signer, SpoolMax: -1})
	wantCode(t, err, countersign.Invalid)
}

// Nothing but events gets into the spool, and of a change whose fate is not known not
// even those.
func TestRuleE5SpoolHoldsEventsAlone(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	w.disk.set(nil, fails, fails)
	wantCode(t, w.change("canary"), countersign.Unavailable)
	w.mustCommit("spooled")
	text, err := os.ReadFile(w.spoolFiles()[0])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("canary")) || !bytes.Contains(text, []byte("spooled")) {
		t.Errorf("the spool holds %q", text)
	}
	w.up()
	w.wantOnce("canary", "spooled")
	w.clean()
}

// Two processes on one store, one of them cut off: the chains don't touch each other.
func TestRuleE5TwoReplicas(t *testing.T) {
	t.Parallel()
	w := newSpoolWorld(t, 0)
	second := &disk{Store: w.disk.Store}
	other, err := audit.Open(t.Context(), audit.Config{Store: second, Replica: "r2", Signer: w.signer, Spool: w.spool})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	w.down()
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				w.mustCommit(fmt.Sprintf("a%d-%d", g, i))
				if err := other.Commit(context.Background(), event(fmt.Sprintf("b%d-%d", g, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if report, err := other.Verify(t.Context()); err != nil || !report.OK {
		t.Errorf("the other's Verify: %+v, %v", report, err)
	}
	w.up()
	if err := other.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if ids := w.ids(audit.Query{Limit: 1000}); len(ids) != 400 {
		t.Errorf("%d events", len(ids))
	}
	w.clean()
	if report := w.verify(); report.Chains != 2 || report.Events != 400 {
		t.Errorf("Verify: %+v", report)
	}
}
