package replicas

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/iamclient"
)

// RULES B2 and B3: a client's keys come from its jwks_uri, over TLS; a new one is found
// when it is first used, and one that is gone proves nothing.
func TestRuleB3ClientKeysByURI(t *testing.T) {
	t.Parallel()
	var published atomic.Pointer[string]
	client := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(*published.Load()))
	}))
	defer client.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate().Raw})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	old, fresh := newSigner(t, "k1"), newSigner(t, "k2")
	published.Store(&old.jwks)
	r := start(t, "", newMaster(t), issuer, "SSL_CERT_FILE="+roots)
	apply := func(uri string) {
		t.Helper()
		_, err := r.admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "f.yaml",
			Content: fmt.Sprintf("kind: Service\nname: signing-service\naudiences: [parse-service]\njwks_uri: %s\n", uri)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply(client.URL + "/jwks")
	first := old.assertion(t, "first")
	if status, answer := r.send(t, first); status != http.StatusOK {
		t.Fatal(status, answer, r.log)
	}
	for name, assertion := range map[string]string{
		"again": first, "another key of that id": newSigner(t, "k1").assertion(t, "a"), "a key that is not published": fresh.assertion(t, "b"),
	} {
		if status, answer := r.send(t, assertion); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	published.Store(&fresh.jwks)
	tries := 0
	eventually(t, 30*time.Second, "the new key is found", func() bool {
		tries++
		status, _ := r.send(t, fresh.assertion(t, fmt.Sprint("c", tries)))
		if status == http.StatusTooManyRequests { // failed attempts are limited
			time.Sleep(time.Second)
		}
		return status == http.StatusOK
	})
	if status, answer := r.send(t, old.assertion(t, "d")); status == http.StatusOK {
		t.Errorf("the old key: %d %s", status, answer)
	}
	// Keys that can't be had are no wrong proof, and no proof.
	client.Close()
	apply(strings.Replace(client.URL, "127.0.0.1", "localhost", 1) + "/jwks")
	if status, answer := r.send(t, fresh.assertion(t, "e")); status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		t.Errorf("keys that can't be had: %d %s", status, answer)
	}
}
