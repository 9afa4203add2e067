//go:build clients

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// whileUp is what is tried while three replicas are up: each answers, what is made at one is known
// at the others, one that is killed is not missed, and the balancer repeats no POST.
const whileUp = `
set -e
made=$(countersign service create document-service --audience parse-service --output json 2>/dev/null)
secret=$(printf %s "$made" | sed -n 's/.*"client_secret": *"\([^"]*\)".*/\1/p')
get() { curl -s -m 20 -o /dev/null -w '%{http_code}\n' -u "document-service:$secret" -d grant_type=client_credentials -d audience=parse-service "$1/oauth2/token"; }
for n in 1 2 3; do
  url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$REPLICAS_FOLDER/replica-$n/listen.json")
  echo "replica $n: $(get "$url")"
done
for i in $(seq 9); do get "$REPLICAS_URL"; done | sort | uniq -c
kill -KILL "$(cat "$REPLICAS_FOLDER/replica-3/lock")"
ok=0; for i in $(seq 30); do [ "$(get "$REPLICAS_URL")" = 200 ] && ok=$((ok + 1)); done
echo "with one killed: $ok of 30"
countersign audit verify
echo "folder $REPLICAS_FOLDER"
`

func TestThreeReplicasBehindNginx(t *testing.T) {
	script, err := filepath.Abs("../../scripts/three-replicas.sh")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), script, "bash", "-c", whileUp)
	command.Env = append(os.Environ(), "TMPDIR="+shortTemp(t))
	out, err := command.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{"replica 1: 200", "replica 2: 200", "replica 3: 200", "9 200", "ok: every chain is whole"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// The first request to the dead one may be a POST that was sent already: it is not repeated.
	if !strings.Contains(text, "with one killed: 30 of 30") && !strings.Contains(text, "with one killed: 29 of 30") {
		t.Errorf("a killed replica is missed:\n%s", text)
	}
	_, folder, _ := strings.Cut(text, "\nfolder ")
	folder, _, _ = strings.Cut(folder, "\n")
	if _, err := os.Stat(folder); folder == "" || !os.IsNotExist(err) {
		t.Errorf("it left %q behind: %v", folder, err)
	}
}

// shortTemp is a folder whose path leaves room for the names of sockets.
func shortTemp(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "cs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}
