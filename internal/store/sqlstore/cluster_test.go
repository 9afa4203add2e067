package sqlstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store/storetest"
)

// holdCluster makes the test binary one that starts PostgreSQL and is going to be killed.
const holdCluster = "SQLSTORE_TEST_HOLD_CLUSTER"

func TestHoldCluster(t *testing.T) {
	t.Parallel()
	if os.Getenv(holdCluster) == "" {
		return // it is for TestKilledTestsLeaveNoServer alone
	}
	fmt.Printf("\ndata %s\n", rawPostgres(t, storetest.Postgres(t).NewDatabase(t), `SHOW data_directory`))
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed
}

// However a test process ends, its server ends too, and its folder is removed.
func TestKilledTestsLeaveNoServer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldCluster$")
	child.Env = append(os.Environ(), holdCluster+"=1")
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	var data string
	for lines := bufio.NewScanner(out); data == "" && lines.Scan(); {
		data, _ = strings.CutPrefix(lines.Text(), "data ")
		if data == lines.Text() {
			data = ""
		}
	}
	if _, err := os.Stat(data); err != nil {
		t.Fatalf("the child's server: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is still there", data)
		}
	}
}
