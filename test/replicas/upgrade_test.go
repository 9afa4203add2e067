package replicas

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
)

// git runs git in the tree that is tested.
func git(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// programBefore builds the program as it was before the newest migration was made.
func programBefore(t *testing.T) string {
	t.Helper()
	root, err := git(t, "rev-parse", "--show-toplevel")
	if err != nil {
		t.Skip("there is no history to build the version before from: ", err)
	}
	const migrations = "internal/store/sqlstore/migrations/postgres"
	files, err := filepath.Glob(filepath.Join(root, migrations, "*.sql"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	slices.Sort(files)
	newest := migrations + "/" + filepath.Base(files[len(files)-1])
	made, err := git(t, "-C", root, "log", "--diff-filter=A", "--format=%H", "-1", "--", newest)
	if err != nil || made == "" {
		t.Skip("the newest migration is in no commit: ", err)
	}
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	// Not a work tree of git's own: nothing is left behind in the repository.
	unpack := exec.CommandContext(t.Context(), "sh", "-c", `git -C "$1" archive "$2^" | tar -x -C "$3"`, "sh", root, made, tree)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Skipf("the version before %s is not in this clone: %v: %s", made, err, out)
	}
	program := filepath.Join(folder, "countersign-before")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/countersign")
	build.Dir = tree
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the version before: %v: %s", err, out)
	}
	t.Logf("the version before %s, which made %s", made, filepath.Base(newest))
	return program
}

// TestRollingUpgrade: servers of the version before go on while the schema is brought up to
// date and while newer ones come, one by one. No request for a token fails.
func TestRollingUpgrade(t *testing.T) {
	if !*full {
		t.Skip("builds a second program: make faults does")
	}
	before := programBefore(t)
	dsn, master := storetest.Postgres(t).NewDatabase(t), newMaster(t)
	var replicas []*replica
	for range 3 {
		replicas = append(replicas, startProgram(t, before, dsn, master, issuer))
	}
	made, err := replicas[0].admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "all know the service", func() bool {
		for _, r := range replicas {
			if status, _ := r.token(t.Context(), http.DefaultClient, made.ClientSecret); status != http.StatusOK {
				return false
			}
		}
		return true
	})
	var rolling atomic.Pointer[replica]
	l := startLoad(t, made.ClientSecret, replicas, func(r *replica) bool { return rolling.Load() != r })
	eventually(t, 60*time.Second, "the load runs", func() bool { return l.count() > 60 })

	migrate := exec.CommandContext(t.Context(), binary, "migrate", "--data", filepath.Join(t.TempDir(), "data"))
	migrate.Env = append(os.Environ(), "COUNTERSIGN_STORE="+dsn, "COUNTERSIGN_KEYS_MASTER_FILE="+master)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	for i, r := range replicas { // the old ones write, too
		if _, err := r.admin.CreateService(t.Context(), iamclient.CreateService{Name: fmt.Sprint("after-", i)}); err != nil {
			t.Errorf("replica %d, of the version before, after the migration: %v", i, err)
		}
	}
	for i, r := range replicas {
		rolling.Store(r)
		r.retire(t)
		r.again(t, binary)
		rolling.Store(nil)
		// What one of the other version changes is known here, and the other way round.
		name := fmt.Sprint("rolled-", i)
		if _, err := r.admin.CreateService(t.Context(), iamclient.CreateService{Name: name}); err != nil {
			t.Fatal(err)
		}
		for j, other := range replicas {
			if _, err := other.admin.Service(t.Context(), name); err != nil {
				t.Errorf("replica %d does not know %s: %v", j, name, err)
			}
		}
		seen := l.count()
		eventually(t, 60*time.Second, "tokens are issued", func() bool { return l.count() > seen+60 })
	}
	l.end()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d token requests failed, the first: %s", len(l.failed), len(l.failed)+len(l.issued), l.failed[0])
	}
	if missing := missingEvents(t, replicas[0], l.issued); len(missing) > 0 {
		t.Errorf("%d tokens have no audit event", len(missing))
	}
	report, err := replicas[0].admin.VerifyAudit(t.Context())
	if err != nil || !report.OK {
		t.Errorf("audit verify: %+v, %v", report, err)
	}
	figure(t, "rolling upgrade of three replicas from the schema before", fmt.Sprint(len(l.issued), " tokens"), "none failed")
}

// retire ends the process in good order and leaves the folder.
func (r *replica) retire(t *testing.T) {
	t.Helper()
	if err := r.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := r.command.Wait(); err != nil {
		t.Errorf("stop: %v\n%s", err, r.log)
	}
}
