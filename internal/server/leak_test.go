package server_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/countersign/countersign/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Not parallel: it counts the goroutines of the whole process.
func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	data := t.TempDir() + "/data"
	s, err := server.New(t.Context(), server.Options{Config: load(t, data)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before) // a cold start that never ran

	r := startIn(t, data)
	secret := r.create(t, "document-service", "parse-service")
	r.token(t, "document-service", secret, "parse-service")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)

	if _, err := server.New(t.Context(), server.Options{Config: load(t, data, "COUNTERSIGN_LISTEN_OPS=192.0.2.1:1")}); err == nil {
		t.Fatal("an address that is not ours was bound")
	}
	goleak.VerifyNone(t, before) // a start that failed
}
