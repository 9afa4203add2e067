package audit_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// rewrite replaces block seq by what change makes of it, with a hash that fits, and
// hangs every later block onto it: the work of somebody who knows the format.
func (w *world) rewrite(seq int64, change func(b *store.AuditBlock)) {
	w.t.Helper()
	blocks, err := w.disk.AuditBlocks(context.Background(), store.AuditRange{Replica: w.replica, After: seq - 1, Limit: 1000})
	if err != nil || len(blocks) == 0 {
		w.t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	change(&blocks[0])
	for i := range blocks {
		b := &blocks[i]
		if i > 0 {
			b.Prev = blocks[i-1].Hash
		}
		b.Hash = audit.BlockHash(b)
		w.tamper(`UPDATE audit_block SET event_count = ?, prev = ?, hash = ?, events = ? WHERE replica = ? AND seq = ?`,
			b.Count, b.Prev, b.Hash, string(b.Events), b.Replica, b.Seq)
	}
}

// resign stores a head by another key.
func (w *world) resign(seq int64) {
	forged := newSigner(2)
	w.tamper(`UPDATE audit_head SET signature = ? WHERE seq = ?`, ed25519.Sign(forged.key, []byte("message")), seq)
}

func problems(r audit.Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, f.Problem)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Each case starts from a chain of ten blocks; heads cover block 5 and block 10.
// "live" is what Verify says in the process that wrote them, "restarted" what a new
// process says, and again after it wrote more. nil = the same as live.
var tamperings = []struct {
	name            string
	tamper          func(w *world)
	live, restarted []string
}{
	{name: "nothing", tamper: func(*world) {}, live: []string{}},
	{name: "events", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET events = replace(events, 'document', 'backend') WHERE seq = 4`)
	}},
	{name: "event count", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET event_count = 2 WHERE seq = 4`)
	}},
	{name: "first time", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET first_at = first_at - 1 WHERE seq = 4`)
	}},
	{name: "last time", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET last_at = last_at + 1 WHERE seq = 10`)
	}},
	{name: "prev", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET prev = zeroblob(32) WHERE seq = 4`)
	}},
	{name: "hash", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET hash = zeroblob(32) WHERE seq = 4`)
	}},
	{name: "hash of the last block", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET hash = zeroblob(32) WHERE seq = 10`)
	}},
	{name: "number", live: []string{"cut", "edited"}, restarted: []string{"edited", "removed"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET seq = 11 WHERE seq = 10`)
	}},
	{name: "replica", live: []string{"edited", "removed"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET replica = 'r2' WHERE seq = 4`)
	}},
	{name: "removed in the middle", live: []string{"removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block WHERE seq = 4`)
	}},
	{name: "removed at the start", live: []string{"removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block WHERE seq <= 3`)
	}},
	{name: "removed, a signed one", live: []string{"removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block WHERE seq = 5`)
	}},
	{name: "swapped", live: []string{"edited"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET seq = -3 WHERE seq = 3`)
		w.tamper(`UPDATE audit_block SET seq = 3 WHERE seq = 4`)
		w.tamper(`UPDATE audit_block SET seq = 4 WHERE seq = -3`)
	}},
	{name: "hidden below zero", live: []string{"removed"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_block SET seq = -seq WHERE seq = 3`)
	}},
	{name: "cut", live: []string{"cut"}, restarted: []string{"cut", "removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block WHERE seq > 8`)
	}},
	{name: "cut with all heads", live: []string{"cut", "removed"}, restarted: []string{"cut", "removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block WHERE seq > 8`)
		w.tamper(`DELETE FROM audit_head`)
	}},
	{name: "cut with all heads but the old ones and the file", live: []string{"cut", "head_mismatch"}, restarted: []string{"cut", "removed"},
		tamper: func(w *world) {
			w.tamper(`DELETE FROM audit_block WHERE seq > 8`)
			if err := os.Remove(w.headFile()); err != nil {
				w.t.Fatal(err)
			}
		}},
	{name: "a whole chain", live: []string{"cut", "removed"}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_block`)
		w.tamper(`DELETE FROM audit_head`)
	}},
	{name: "rewritten with fitting hashes", live: []string{"edited", "head_mismatch"}, restarted: []string{"edited", "head_mismatch", "removed"},
		tamper: func(w *world) {
			w.rewrite(4, func(b *store.AuditBlock) { b.Events = audit.Encode(event("another")) })
		}},
	{name: "the last block rewritten, all heads removed", live: []string{"edited", "head_mismatch", "removed"},
		tamper: func(w *world) {
			w.rewrite(10, func(b *store.AuditBlock) { b.Events = audit.Encode(event("another")) })
			w.tamper(`DELETE FROM audit_head`)
		}},
	{name: "one rewritten, the next ones left", live: []string{"removed"}, tamper: func(w *world) {
		b := audit.Encode(event("another"))
		blocks, err := w.disk.AuditBlocks(context.Background(), store.AuditRange{Replica: "r1", After: 3, Limit: 1})
		if err != nil {
			w.t.Fatal(err)
		}
		blocks[0].Events = b
		w.tamper(`UPDATE audit_block SET events = ?, hash = ? WHERE seq = 4`, string(b), audit.BlockHash(&blocks[0]))
	}},
	{name: "unreadable events", live: []string{"edited", "head_mismatch", "unreadable"},
		restarted: []string{"edited", "head_mismatch", "removed", "unreadable"}, tamper: func(w *world) {
			w.rewrite(4, func(b *store.AuditBlock) { b.Events = []byte("{\"id\":\n") })
		}},
	{name: "wrong count with a fitting hash", live: []string{"edited", "head_mismatch", "unreadable"},
		restarted: []string{"edited", "head_mismatch", "removed", "unreadable"}, tamper: func(w *world) {
			w.rewrite(4, func(b *store.AuditBlock) { b.Count = 5 })
		}},
	{name: "a head by another key", live: []string{"head_forged"}, tamper: func(w *world) { w.resign(5) }},
	{name: "a head for another block", live: []string{"head_forged"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_head SET seq = 50 WHERE seq = 5`)
	}},
	{name: "a head with another hash", live: []string{"head_forged"}, tamper: func(w *world) {
		w.tamper(`UPDATE audit_head SET hash = zeroblob(32) WHERE seq = 5`)
	}},
	{name: "a head far ahead", live: []string{"head_forged"}, tamper: func(w *world) {
		w.tamper(`INSERT INTO audit_head SELECT replica, 9000000, hash, signed_at, kid, signature FROM audit_head WHERE seq = 10`)
	}},
	{name: "the newest head row removed", live: []string{"removed"}, restarted: []string{}, tamper: func(w *world) {
		w.tamper(`DELETE FROM audit_head WHERE seq = 10`) // the file puts it back
	}},
	{name: "a damaged head file", live: []string{"head_forged"}, tamper: func(w *world) { w.writeHeadFile("{}") }},
	{name: "a head file by another key", live: []string{"head_forged"}, tamper: func(w *world) {
		w.writeHeadFile(`{"replica":"r1","seq":99,"hash":"AA==","at":"2026-07-01T12:00:00Z","kid":"k1","signature":"AA=="}`)
	}},
	{name: "no head file", live: []string{"head_mismatch"}, restarted: []string{}, tamper: func(w *world) {
		if err := os.Remove(w.headFile()); err != nil {
			w.t.Fatal(err)
		}
	}},
}

func (w *world) writeHeadFile(text string) {
	if err := os.WriteFile(w.headFile(), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// tenBlocks makes the chain that the cases start from.
func tenBlocks(t *testing.T) *world {
	w := newWorld(t)
	w.commit(5)
	w.restart() // signs block 5
	w.commit(5)
	w.restart() // signs block 10
	return w
}

func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	for _, test := range tamperings {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := tenBlocks(t)
			test.tamper(w)
			report := w.verify()
			if got := problems(report); !slices.Equal(got, test.live) || report.OK != (len(test.live) == 0) {
				t.Errorf("live: %q, want %q: %+v", got, test.live, report)
			}
		})
	}
}

// A process that is stopped, tampered with and started again finds it too, and so
// does the one after it: what is wrong with the chain stays a finding.
func TestVerifyFindsTamperingAfterRestart(t *testing.T) {
	t.Parallel()
	for _, test := range tamperings {
		want := test.restarted
		if want == nil {
			want = test.live
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := tenBlocks(t)
			l := w.log
			w.log = nil
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.tamper(w)
			if err := w.disk.Store.Close(); err != nil {
				t.Fatal(err)
			}
			w.start()
			for round := range 2 {
				report := w.verify()
				got := problems(report)
				if report.OK != (len(want) == 0) {
					t.Errorf("round %d: %q, want of %q: %+v", round, got, want, report)
				}
				for _, p := range got {
					if !slices.Contains(want, p) {
						t.Errorf("round %d: %q, want of %q: %+v", round, got, want, report)
					}
				}
				w.commit(2)
			}
			if test.name == "a damaged head file" || test.name == "a head file by another key" {
				if n := len(w.all(audit.Query{Action: audit.ActionChain})); n != 1 {
					t.Errorf("%d events tell of it", n)
				}
				return // the file was replaced; the event and the .bad file stay
			}
			w.restart()
			if report := w.verify(); report.OK != (len(want) == 0) {
				t.Errorf("after another restart: %+v", report)
			}
		})
	}
}

// Only the head file tells of the cut: the hole stays for ever.
func TestCutTailLeavesAHole(t *testing.T) {
	t.Parallel()
	w := tenBlocks(t)
	w.stop()
	w.tamper(`DELETE FROM audit_block WHERE seq > 8`)
	w.tamper(`DELETE FROM audit_head`)
	w.start()
	w.commit(1)
	report := w.verify()
	if len(report.Findings) != 1 || report.Findings[0].Problem != "removed" || report.Findings[0].Seq != 9 {
		t.Errorf("%+v", report)
	}
	if n := len(w.all(audit.Query{Action: audit.ActionChain})); n != 1 {
		t.Errorf("%d events tell of it", n)
	}
}

// Somebody else writes to our chain: we go on, and the break is found.
func TestForeignBlockIsFound(t *testing.T) {
	t.Parallel()
	w := tenBlocks(t)
	tail, err := w.disk.AuditTail(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	tail.Seq, tail.Prev = 11, tail.Hash
	tail.Hash = audit.BlockHash(&tail)
	if err := w.disk.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.AppendAuditBlock(ctx, tail)
	}); err != nil {
		t.Fatal(err)
	}
	if got := problems(w.verify()); !slices.Equal(got, []string{"edited"}) {
		t.Errorf("%q", got)
	}
	_ = w.log.Commit(t.Context(), event("collides"))
	w.commit(2)
	if got := problems(w.verify()); !slices.Equal(got, []string{"removed"}) {
		t.Errorf("%q", got)
	}
}

// The process gets another name: its old chain is held against the head file.
func TestRenamedReplica(t *testing.T) {
	t.Parallel()
	w := tenBlocks(t)
	w.stop()
	w.tamper(`DELETE FROM audit_block WHERE seq > 8`)
	w.tamper(`DELETE FROM audit_head`)
	w.replica = "r2"
	w.start()
	w.commit(3)
	report := w.verify()
	if len(report.Findings) != 1 || report.Findings[0].Problem != "cut" || report.Findings[0].Replica != "r1" || report.Chains != 2 {
		t.Errorf("%+v", report)
	}
	w.restart()
	if got := problems(w.verify()); !slices.Equal(got, []string{"cut"}) {
		t.Errorf("%q", got)
	}
}

func TestVerifyWithoutHeadFile(t *testing.T) {
	t.Parallel()
	w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1), noFile: true}
	w.start()
	t.Cleanup(w.stop)
	w.commit(3)
	w.clean()
	w.restart()
	w.clean()
	w.stop()
	w.tamper(`DELETE FROM audit_block WHERE seq > 1`)
	w.start()
	if got := problems(w.verify()); !slices.Equal(got, []string{"cut"}) && !slices.Equal(got, []string{"removed"}) {
		t.Errorf("%q", got)
	}
}

func TestVerifyReturnsAtMost100Findings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(130)
	w.tamper(`UPDATE audit_block SET event_count = 7`)
	report := w.verify()
	if len(report.Findings) != 100 || report.OK || report.Blocks != 130 {
		t.Errorf("%d findings, %d blocks", len(report.Findings), report.Blocks)
	}
}

func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	w := tenBlocks(t)
	report := w.verify()
	if !report.OK || report.Chains != 1 || report.Blocks != 10 || report.Events != 10 || report.Heads < 2 {
		t.Errorf("%+v", report)
	}
	text, err := json.Marshal(report)
	if err != nil || !json.Valid(text) || report.Findings == nil {
		t.Errorf("%s, %v", text, err)
	}
}

// No false alarm while the chain grows and heads are signed.
func TestVerifyWhileWriting(t *testing.T) {
	t.Parallel()
	for name, noFile := range map[string]bool{"head file": false, "no head file": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1), noFile: noFile}
			w.start()
			t.Cleanup(w.stop)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for ctx.Err() == nil {
						if err := w.log.Commit(ctx, event("x")); err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
					}
				})
			}
			for deadline := time.Now().Add(2500 * time.Millisecond); time.Now().Before(deadline); {
				w.clean()
			}
			cancel()
			wg.Wait()
			w.restart()
			w.clean()
		})
	}
}
