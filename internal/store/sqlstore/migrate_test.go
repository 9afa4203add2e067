package sqlstore_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	s := openStore(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, `INSERT INTO schema_version (version_id, is_applied) VALUES (9999, 1)`)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err = sqlstore.OpenSQLite(t.Context(), path, sqlstore.Options{})
	if !errors.Is(err, countersign.Invalid) {
		t.Fatalf("got %v, %v; want Invalid", s, err)
	}
	if message := countersign.MessageOf(err); !strings.Contains(message, "9999") {
		t.Errorf("the message does not say which version: %q", message)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a database that was refused was changed (%v)", err)
	}
}

// raw changes the file behind the store's back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Migrations only go forward, and one that ran is not run again.
func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "countersign.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for range 2 {
		if err := sqlstore.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	var applied int
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM schema_version WHERE version_id > 0`).Scan(&applied); err != nil {
		t.Fatal(err)
	}
	if want := migrationFiles(t, "sqlite"); applied != want {
		t.Errorf("%d rows for %d migrations", applied, want)
	}
}

func migrationFiles(t *testing.T, folder string) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join("migrations", folder))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
