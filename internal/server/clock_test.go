package server_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store/storetest"
)

// RULES E3: a replica that is more than a second off the store's clock is not ready, and
// says why; when its clock is right again it is.
func TestRuleE3ReplicaWithAWrongClockIsNotReady(t *testing.T) {
	t.Parallel()
	master := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(master, []byte(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, "COUNTERSIGN_STORE="+storetest.Postgres(t).PatientDatabase(t), "COUNTERSIGN_KEYS_MASTER_FILE="+master)
	ready := func(status int, holds string) func() bool {
		return func() bool {
			a := r.get(t, r.ops+"/readyz")
			return a.status == status && strings.Contains(a.text, holds)
		}
	}
	eventually(t, "it is ready", ready(200, `"clock":"ok"`))
	for _, off := range []time.Duration{3 * time.Second, -3 * time.Second} {
		r.clock.advance(off)
		eventually(t, "it is not ready with a clock that is off by "+off.String(), ready(503, `"clock":`))
		r.clock.advance(-off)
		eventually(t, "it is ready again", ready(200, `"clock":"ok"`))
	}
}
