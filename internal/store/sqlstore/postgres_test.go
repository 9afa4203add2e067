package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// openPostgres waits for a server that is slow to answer because the machine is busy; for one
// that a test stops or freezes there is openPostgresWith.
func openPostgres(tb testing.TB, dsn string) *sqlstore.Store {
	tb.Helper()
	return openPostgresWith(tb, dsn, sqlstore.PostgresOptions{ConnectTimeout: storetest.Patience})
}

// openPatient is for what holds others up: a busy machine is slow at that, and no outage.
func openPatient(tb testing.TB, dsn string) *sqlstore.Store {
	tb.Helper()
	return openPostgresWith(tb, dsn, sqlstore.PostgresOptions{
		ConnectTimeout: storetest.Patience, StatementTimeout: storetest.Patience, LockTimeout: storetest.Patience, IdleTimeout: storetest.Patience,
	})
}

func openPostgresWith(tb testing.TB, dsn string, opts sqlstore.PostgresOptions) *sqlstore.Store {
	tb.Helper()
	s, err := sqlstore.OpenPostgres(tb.Context(), dsn, opts)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// rawPostgres runs a statement behind the store's back and returns its first value.
func rawPostgres(tb testing.TB, dsn, statement string) (value any) {
	tb.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, statement)
	if err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	if rows.Next() {
		values, err := rows.Values()
		if err != nil {
			tb.Fatal(err)
		}
		value = values[0]
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
	return value
}

func TestPostgresConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() store.Store {
		t.Helper()
		dsn := storetest.Postgres(t).NewDatabase(t)
		return func() store.Store { return openPatient(t, dsn) }
	})
}

func TestPostgresRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	if err := openPostgres(t, dsn).Close(); err != nil {
		t.Fatal(err)
	}
	rawPostgres(t, dsn, `INSERT INTO schema_version (version_id, is_applied) VALUES (9999, true)`)
	s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{})
	if !errors.Is(err, countersign.Invalid) {
		t.Fatalf("got %v, %v; want Invalid", s, err)
	}
	if message := countersign.MessageOf(err); !strings.Contains(message, "9999") {
		t.Errorf("the message does not say which version: %q", message)
	}
}

// Processes that start at once on an empty database all succeed, and each migration
// ran once.
func TestPostgresMigratesOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{Readers: 1})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := int64(migrationFiles(t, "postgres"))
	if n := rawPostgres(t, dsn, `SELECT COUNT(*) FROM schema_version WHERE version_id > 0`); n != want {
		t.Errorf("%v rows for %d migrations", n, want)
	}
}

// Nothing of a DSN is in an error, however wrong it is.
func TestPostgresErrorsDoNotQuoteTheDSN(t *testing.T) {
	t.Parallel()
	const password = "hunter2-correct-horse"
	server := strings.TrimPrefix(storetest.Postgres(t).NewDatabase(t), "postgres://postgres@")
	tests := map[string]struct {
		dsn  string
		code countersign.Code
	}{
		"wrong password":    {"postgres://" + storetest.Locked + ":" + password + "@" + server, countersign.Unavailable},
		"nobody there":      {"postgres://u:" + password + "@127.0.0.1:1/db?sslmode=disable", countersign.Unavailable},
		"no such host":      {"postgres://u:" + password + "@host.invalid/db", countersign.Unavailable},
		"no such database":  {"postgresql://postgres:" + password + "@" + strings.Replace(server, "/test_", "/none_", 1), countersign.Unavailable},
		"unknown scheme":    {"mysql://u:" + password + "@127.0.0.1/db", countersign.Invalid},
		"no scheme":         {"u:" + password + "@127.0.0.1/db", countersign.Invalid},
		"keywords":          {"host=127.0.0.1 user=u password=" + password, countersign.Invalid},
		"bad port":          {"postgres://u:" + password + "@127.0.0.1:port/db", countersign.Invalid},
		"bad escape":        {"postgres://u:" + password + "%zz@127.0.0.1/db", countersign.Invalid},
		"bad sslmode":       {"postgres://u:" + password + "@127.0.0.1/db?sslmode=perhaps", countersign.Invalid},
		"bad timeout":       {"postgres://u:" + password + "@127.0.0.1/db?connect_timeout=x" + password, countersign.Invalid},
		"no certificate":    {"postgres://u:" + password + "@127.0.0.1/db?sslrootcert=/none&sslmode=verify-full", countersign.Invalid},
		"password as query": {"postgres://127.0.0.1:1/db?sslmode=disable&password=" + password, countersign.Unavailable},
		"empty":             {"", countersign.Invalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := sqlstore.OpenPostgres(t.Context(), test.dsn, sqlstore.PostgresOptions{})
			if countersign.CodeOf(err) != test.code {
				t.Fatalf("%v, %v; want %s", s, err, test.code)
			}
			if message := countersign.MessageOf(err); (test.code == countersign.Invalid || strings.HasPrefix(name, "wrong")) && message == "the store is not available" {
				t.Errorf("the message does not say what to put right: %q", message)
			}
			for at := err; at != nil; at = errors.Unwrap(at) {
				for _, text := range []string{at.Error(), fmt.Sprintf("%+v", at), fmt.Sprintf("%#v", at), countersign.MessageOf(at)} {
					if strings.Contains(text, password) {
						t.Fatalf("the password is in %q", text)
					}
				}
			}
		})
	}
}

func TestPostgresRefusesUnusableDatabases(t *testing.T) {
	t.Parallel()
	cluster := storetest.Postgres(t)
	dsn, other := cluster.NewDatabase(t), cluster.NewDatabase(t)
	name := dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
	rawPostgres(t, dsn, `CREATE DATABASE `+name+`_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`)
	t.Cleanup(func() { rawPostgres(t, other, `DROP DATABASE `+name+`_latin1 WITH (FORCE)`) })
	if _, err := sqlstore.OpenPostgres(t.Context(), strings.Replace(dsn, name, name+"_latin1", 1), sqlstore.PostgresOptions{}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a database that is not UTF-8: %v", err)
	}

	// Like a standby after a failover: what it shows may be old.
	rawPostgres(t, dsn, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	if _, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("a server that takes no writes: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlstore.OpenPostgres(cancelled, other, sqlstore.PostgresOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	name := dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
	rawPostgres(t, dsn, `ALTER DATABASE `+name+` SET synchronous_commit = off`)
	tests := map[string]struct {
		dsn  string
		opts sqlstore.PostgresOptions
		want map[string]string
	}{
		"defaults": {dsn, sqlstore.PostgresOptions{}, map[string]string{
			"statement_timeout": "4s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "10s",
			"application_name": "countersign", "synchronous_commit": "on", "default_transaction_isolation": "read committed",
		}},
		"options": {dsn, sqlstore.PostgresOptions{StatementTimeout: 1234 * time.Millisecond, LockTimeout: time.Second, IdleTimeout: time.Minute},
			map[string]string{"statement_timeout": "1234ms", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "1min"}},
		"DSN that promises less": {dsn + "&synchronous_commit=off", sqlstore.PostgresOptions{}, map[string]string{"synchronous_commit": "on"}},
		"DSN": {dsn + "&statement_timeout=7000&application_name=other&synchronous_commit=remote_apply&options=-c%20lock_timeout%3D6000",
			sqlstore.PostgresOptions{}, map[string]string{
				"statement_timeout": "7s", "application_name": "other", "lock_timeout": "6s", "synchronous_commit": "remote_apply",
			}},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, err := sqlstore.OpenPostgres(t.Context(), test.dsn, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for name, want := range test.want {
				if got, err := s.Show(t.Context(), name); err != nil || got != want {
					t.Errorf("%s is %q (%v), want %q", name, got, err, want)
				}
			}
		})
	}
}

// Close leaves no connection behind, the listener's neither.
func TestPostgresCloseEndsEveryConnection(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	s := openPostgres(t, dsn)
	<-s.Hints() // it listens
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const left = `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	for range 200 { // the server takes a moment to notice
		if rawPostgres(t, dsn, left) == int64(0) {
			return
		}
	}
	t.Errorf("%v connections are left", rawPostgres(t, dsn, left))
}
