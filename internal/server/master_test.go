package server_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/server"
)

// RULES B8: the master key is made automatically, but never a second time: a lost one is
// an error, and nothing takes its place before the right one is put back.
func TestRuleB8LostMasterKeyIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	r := start(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.data, "master.key")
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(t.Context(), server.Options{Config: load(t, r.data)}); !errors.Is(err, countersign.NotFound) {
		t.Errorf("started, or failed otherwise: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is another master key: %v", err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	startIn(t, r.data)
}
