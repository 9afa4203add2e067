package sqlstore_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// crashPath makes the test binary a writer that is going to be killed.
const crashPath = "SQLSTORE_TEST_CRASH_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		writeUntilKilled(path)
		return
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints each sequence number after it was committed.
func writeUntilKilled(path string) {
	ctx := context.Background()
	s, err := sqlstore.OpenSQLite(ctx, path, sqlstore.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	tail, _ := s.AuditTail(ctx, "r")
	for seq := tail.Seq + 1; ; seq++ {
		err := s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if _, err := tx.PutRevocation(ctx, store.Revocation{JTI: strconv.FormatInt(seq, 10)}); err != nil {
				return err
			}
			return tx.AppendAuditBlock(ctx, store.AuditBlock{Replica: "r", Seq: seq, Events: bytes.Repeat([]byte("e"), 5000)})
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(seq)
	}
}

// After kill -9 every acknowledged commit is there, whole, and the store goes on.
func TestKillLosesNoAcknowledgedCommit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "countersign.db")
	var acknowledged int64
	for round := range 3 {
		acknowledged = killAfter(t, path, acknowledged+int64(20+7*round))
		s := openStore(t, path)
		tail, err := s.AuditTail(t.Context(), "r")
		if err != nil || tail.Seq < acknowledged {
			t.Fatalf("round %d: the last block is %d (%v), but %d was acknowledged", round, tail.Seq, err, acknowledged)
		}
		all, err := s.Revocations(t.Context(), 0, tail.First, store.MaxLimit)
		if err != nil || int64(len(all)) != tail.Seq {
			t.Fatalf("round %d: %d revocations beside %d blocks: a transaction came back in part", round, len(all), tail.Seq)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter kills a writer when it has acknowledged seq, and returns the last
// number that it acknowledged.
func killAfter(t *testing.T, path string, seq int64) (last int64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashPath+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	lines := bufio.NewScanner(out)
	for killed := false; lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			break // a line that was cut by the kill, or an error of the child
		}
		last = n
		if n >= seq && !killed {
			killed = true
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last < seq {
		t.Fatalf("the writer ended at %d of %d: %q", last, seq, lines.Text())
	}
	return last
}
