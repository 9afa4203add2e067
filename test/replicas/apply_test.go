package replicas

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store/storetest"
)

// manyResources writes documents of several kinds into a folder.
func manyResources(t *testing.T, count int) string {
	t.Helper()
	folder := t.TempDir()
	var text strings.Builder
	files := 0
	flush := func() {
		files++
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%03d.yaml", files)), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		text.Reset()
	}
	for i := range count {
		switch i % 4 {
		case 0, 1:
			fmt.Fprintf(&text, "---\nkind: Service\nname: service-%d\nscopes: [docs:read]\naudiences: [service-0, sts]\n", i)
		case 2:
			fmt.Fprintf(&text, "---\nkind: Role\nname: role-%d\ntrust:\n  - service: {names: [service-0, \"service-%d\"]}\npermissions:\n  - {bucket: documents, prefixes: [\"%d/\"], actions: [get_object]}\n", i, i-1, i)
		default:
			fmt.Fprintf(&text, "---\nkind: RoutePolicy\nname: policy-%d\nservice: service-%d\nrules:\n  - name: may-read\n    from: {services: [service-0]}\n    to: {methods: [GET], paths: [\"/v1/**\"]}\n", i, i-3)
		}
		if i%100 == 99 {
			flush()
		}
	}
	if text.Len() > 0 {
		flush()
	}
	return folder
}

// command runs the program against a replica.
func (r *replica) run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary, append(args, "--data", r.data)...)
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+r.data)
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// TestApplyIsSeenAtEveryReplica: what is applied at one is no difference at any.
func TestApplyIsSeenAtEveryReplica(t *testing.T) {
	t.Parallel()
	count := 100
	if *full {
		count = 1000
	}
	dsn, master := storetest.Postgres(t).NewDatabase(t), newMaster(t)
	replicas := []*replica{start(t, dsn, master, issuer), start(t, dsn, master, issuer), start(t, dsn, master, issuer)}
	folder := manyResources(t, count)
	began := time.Now()
	if code, out := replicas[0].run(t, "apply", "-f", folder); code != 0 {
		t.Fatalf("apply: exit %d\n%s", code, out)
	}
	figure(t, fmt.Sprintf("apply of %d resources on three replicas", count), milliseconds(time.Since(began)), "")
	for i, r := range replicas {
		began := time.Now()
		if code, out := r.run(t, "diff", "-f", folder); code != 0 || strings.TrimSpace(out) != "" {
			t.Errorf("replica %d: diff: exit %d\n%s", i, code, out)
		}
		figure(t, fmt.Sprintf("  diff at replica %d", i), milliseconds(time.Since(began)), "empty")
	}
	if code, out := replicas[2].run(t, "apply", "-f", folder); code != 0 || strings.Contains(out, " created\n") || strings.Contains(out, " changed\n") {
		t.Errorf("apply again: exit %d\n%s", code, tail(out))
	}
}
