package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// The process that is killed gets its folder and the prefix of its ids here.
const (
	crashFolder = "COUNTERSIGN_TEST_CRASH_FOLDER"
	crashPrefix = "COUNTERSIGN_TEST_CRASH_PREFIX"
	crashOutage = "COUNTERSIGN_TEST_CRASH_OUTAGE" // "down": no database for commits
)

// TestCrashProcess is no test: it is the process that TestCrash kills. It prints the
// id of every event and change after it was told that it is stored.
func TestCrashProcess(t *testing.T) {
	folder := os.Getenv(crashFolder)
	if folder == "" {
		t.Skip("only as a child of TestCrash")
	}
	w := &world{t: t, folder: folder, replica: "r1", signer: newSigner(1)}
	outage := os.Getenv(crashOutage) != ""
	if outage {
		w.spool = filepath.Join(folder, "spool")
	}
	w.start()
	if outage {
		w.down()
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv(crashPrefix), g, i)
				var err error
				if i%10 == 9 && !outage {
					err = w.log.Transact(context.Background(), func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
						return []audit.Event{event(id)}, tx.CreateService(ctx, store.Service{UID: id, Name: id})
					})
				} else {
					err = w.log.Commit(context.Background(), event(id))
				}
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("stored %s\n", id)
			}
		})
	}
	wg.Wait()
}

// kill -9 in the middle of the load: what was acknowledged is there, changes and
// their events stand together, the chain is whole, and the next process goes on.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stored := map[string]bool{}
	for round := range 3 {
		killAfter(t, folder, fmt.Sprint("c", round), "", 300, stored)
		w := &world{t: t, folder: folder, replica: "r1", signer: newSigner(1)}
		w.start()
		w.clean()
		ids := w.ids(audit.Query{Limit: 1000})
		for id := range stored {
			if ids[id] != 1 {
				t.Errorf("round %d: %s is there %d times", round, id, ids[id])
			}
		}
		for id := range ids {
			change := strings.HasSuffix(id, "9") && len(id) > 2
			if _, err := w.disk.Service(t.Context(), id); change && err != nil {
				t.Errorf("round %d: the event of %s without the change: %v", round, id, err)
			}
		}
		w.clean()
		w.stop()
	}
}

// RULES E5: kill -9 in an outage, again and again: what was acknowledged is stored by
// the next process that has a database.
func TestRuleE5KillInAnOutage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stored := map[string]bool{}
	for round := range 3 {
		killAfter(t, folder, fmt.Sprint("k", round), "down", 300, stored)
	}
	w := &world{t: t, folder: folder, replica: "r1", signer: newSigner(1), spool: filepath.Join(folder, "spool")}
	w.start()
	defer w.stop()
	ids := w.ids(audit.Query{Limit: 1000})
	for id := range stored {
		if ids[id] != 1 {
			t.Errorf("%s is there %d times", id, ids[id])
		}
	}
	w.clean()
}

// killAfter starts a process, kills it after n lines and adds what it had stored.
func killAfter(t *testing.T, folder, prefix, outage string, n int, stored map[string]bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashProcess$")
	child.Env = append(os.Environ(), crashFolder+"="+folder, crashPrefix+"="+prefix, crashOutage+"="+outage)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for reader := bufio.NewReader(output); ; {
		text, err := reader.ReadString('\n')
		if err != nil {
			break // the last line may be half of one
		}
		id, ok := strings.CutPrefix(strings.TrimSpace(text), "stored ")
		if !ok {
			t.Fatalf("the process says %q", text)
		}
		stored[id] = true
		if lines++; lines == n {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil || lines < n {
		t.Errorf("the process ended by itself after %d lines", lines)
	}
}
