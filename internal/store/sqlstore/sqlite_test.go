package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

func appendBlock(ctx context.Context, s store.Store, seq int64, size int) error {
	block := store.AuditBlock{Replica: "r", Seq: seq, Count: 1, Events: bytes.Repeat([]byte("e"), size), Hash: []byte("h"), Prev: []byte("p")}
	return s.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.AppendAuditBlock(ctx, block) })
}

func TestFilesAreOursAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openStore(t, path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", info.Name(), info.Mode())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no folder":      filepath.Join(dir, "missing", "countersign.db"),
		"a folder":       dir,
		"not a database": garbage,
	} {
		s, err := sqlstore.OpenSQLite(t.Context(), path, sqlstore.Options{})
		if !errors.Is(err, countersign.Unavailable) || countersign.ReasonOf(err) != countersign.ReasonStoreUnavailable {
			t.Errorf("%s: %v, %v; want Unavailable", name, s, err)
		}
	}
	if content, _ := os.ReadFile(garbage); !bytes.HasPrefix(content, []byte("no database ")) {
		t.Error("a file that is no database was changed")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlstore.OpenSQLite(cancelled, filepath.Join(dir, "c.db"), sqlstore.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A path is a path, whatever characters it has; no option can be smuggled in.
func TestOpenTakesThePathLiterally(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "a?mode=memory", "a%41.db", "a#b.db", "a&_pragma=foreign_keys(0).db", ":memory:", "file:x.db", "é.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := openStore(t, path)
		if err := appendBlock(t.Context(), s, 1, 10); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if _, err := openStore(t, path).AuditTail(t.Context(), "r"); err != nil {
			t.Errorf("%q: the block is not in the file: %v", name, err)
		}
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	for seq := range int64(5) {
		s := openStore(t, path)
		if err := appendBlock(t.Context(), s, seq+1, 100); err != nil {
			t.Fatal(err)
		}
		if s.Reads() != 0 {
			t.Errorf("a fresh store has counted %d reads", s.Reads())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	blocks, err := openStore(t, path).AuditBlocks(t.Context(), store.AuditRange{Replica: "r"})
	if err != nil || len(blocks) != 5 {
		t.Fatalf("%d blocks, %v; want 5", len(blocks), err)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) > 3 {
		t.Errorf("files: %v", files)
	}
}

// Somebody with the sqlite3 program can read the events.
func TestEventsAreText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	s := openStore(t, path)
	if err := appendBlock(t.Context(), s, 1, 3); err != nil {
		t.Fatal(err)
	}
	raw(t, path, `CREATE TEMP TABLE is_text (ok INTEGER CHECK (ok = 1))`)
	raw(t, path, `SELECT 1/(SELECT COUNT(*) FROM audit_block WHERE typeof(events) = 'text' AND events = 'eee')`)
}

// A full disk refuses the write, loses nothing, and is over when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "countersign.db"))
	if err := appendBlock(t.Context(), s, 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := s.OnWriter(t.Context(), `PRAGMA max_page_count = 1`); err != nil { // SQLite makes that the present size
		t.Fatal(err)
	}
	for range 3 {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			if err := tx.CreateService(ctx, store.Service{UID: "u", Name: "small"}); err != nil {
				t.Errorf("a row for which there is room: %v", err)
			}
			return tx.AppendAuditBlock(ctx, store.AuditBlock{Replica: "r", Seq: 2, Events: bytes.Repeat([]byte("e"), 100_000)})
		})
		if !errors.Is(err, countersign.Unavailable) || countersign.ReasonOf(err) != countersign.ReasonStoreUnavailable {
			t.Fatalf("on a full disk: %v, want Unavailable", err)
		}
		if strings.Contains(countersign.MessageOf(err), "disk") {
			t.Errorf("the caller is told of the disk: %q", countersign.MessageOf(err))
		}
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_ = tx.AppendAuditBlock(ctx, store.AuditBlock{Replica: "r", Seq: 2, Events: bytes.Repeat([]byte("e"), 100_000)})
		return tx.CreateService(ctx, store.Service{UID: "u", Name: "small"})
	})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("a function that went on after it: %v, want Unavailable", err)
	}
	if _, err := s.Service(t.Context(), "small"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("half a transaction is there: %v", err)
	}
	if tail, err := s.AuditTail(t.Context(), "r"); err != nil || tail.Seq != 1 {
		t.Errorf("block %d, %v; want 1", tail.Seq, err)
	}
	if err := s.OnWriter(t.Context(), `PRAGMA max_page_count = 100000`); err != nil {
		t.Fatal(err)
	}
	if err := appendBlock(t.Context(), s, 2, 100_000); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// A write that fails for good with its connection does not take the store along.
func TestLostWriterConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "countersign.db"))
	if err := appendBlock(t.Context(), s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.BreakWriter(); err != nil {
		t.Fatal(err)
	}
	if err := appendBlock(t.Context(), s, 2, 10); err != nil && !errors.Is(err, countersign.Unavailable) {
		t.Fatal(err)
	}
	if err := appendBlock(t.Context(), s, 3, 10); err != nil {
		t.Fatalf("the store did not recover: %v", err)
	}
}

func TestReadOnlyFileIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "countersign.db"))
	if err := appendBlock(t.Context(), s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.OnWriter(t.Context(), `PRAGMA query_only = 1`); err != nil {
		t.Fatal(err)
	}
	if err := appendBlock(t.Context(), s, 2, 10); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
}

// Two handles on one file are not what the server does, but they wait for each
// other and lose nothing.
func TestTwoHandles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	handles := []*sqlstore.Store{openStore(t, path), openStore(t, path)}
	const each = 20
	var group sync.WaitGroup
	for i, s := range handles {
		group.Go(func() {
			for n := range each {
				err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					_, err := tx.PutRevocation(ctx, store.Revocation{JTI: fmt.Sprint(i, n)})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	all, err := handles[0].Revocations(t.Context(), 0, time.Time{}, store.MaxLimit)
	if err != nil || len(all) != 2*each || all[len(all)-1].Seq != 2*each {
		t.Fatalf("%d revocations, %v", len(all), err)
	}
}

func TestLockedByAnotherHandle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	first := openStore(t, path)
	second, err := sqlstore.OpenSQLite(t.Context(), path, sqlstore.Options{BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	patient := openStore(t, path)
	err = first.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := appendBlock(ctx, second, 1, 10); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("locked beyond the busy timeout: %v, want Unavailable", err)
		}
		// The wait for the lock ends with the context.
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if err := appendBlock(short, patient, 1, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want DeadlineExceeded", err)
		}
		if waited := time.Since(begun); waited > storetest.Patience/2 {
			t.Errorf("waited %v", waited)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []*sqlstore.Store{first, second, patient} {
		if err := appendBlock(t.Context(), s, int64(i+1), 10); err != nil {
			t.Errorf("after the lock was given back: %v", err)
		}
	}
}
