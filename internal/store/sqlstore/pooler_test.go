package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// pgbouncer starts Debian's pooler before a database and returns the DSN through it.
func pgbouncer(t *testing.T, dsn, mode, more string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !executable(program) {
			fixture.MissingTool(t, "pgbouncer")
		}
	}
	at, err := url.Parse(dsn)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, errors.Join(err, listener.Close()))
	folder, err := os.MkdirTemp("", "pgbouncer")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	must(t, os.Chmod(folder, 0o755)) // the pooler runs as another user
	file := filepath.Join(folder, "pgbouncer.ini")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `[databases]
* = host=%s port=%s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = 20
max_client_conn = 200
%s
`, at.Hostname(), at.Port(), port, mode, more), 0o644))
	args := []string{file}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "postgres"}, args...) // it refuses to be root
	}
	command := exec.Command(program, args...)
	var log strings.Builder
	command.Stderr, command.Stdout = &log, &log
	must(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	at.Host = net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", at.Host)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("pgbouncer does not start: %s", log.String())
		}
	}
	return at.String()
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

const ignoring = "ignore_startup_parameters = extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout"

// A pooler that shares sessions is refused, and told why; it is not found out under load.
func TestPgBouncerInTransactionModeIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ mode, more, says string }{
		"as Debian ships it":                       {"transaction", "", "refuses settings of a session"},
		"in session mode, as Debian ships it":      {"session", "", "refuses settings of a session"},
		"in transaction mode, told to ignore them": {"transaction", ignoring, "each transaction another session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			through := pgbouncer(t, storetest.Postgres(t).NewDatabase(t), c.mode, c.more)
			s, err := sqlstore.OpenPostgres(t.Context(), through, sqlstore.PostgresOptions{})
			if !errors.Is(err, countersign.Invalid) || !strings.Contains(countersign.MessageOf(err), c.says) || strings.Count(err.Error(), c.says) != 1 {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

// Also while others use the same pooler, who take its idle connections.
func TestPgBouncerInTransactionModeIsRefusedUnderLoad(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	through := pgbouncer(t, dsn, "transaction", ignoring)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			for ctx.Err() == nil {
				_ = tryRaw(ctx, through)
			}
		})
	}
	for range 5 {
		if s, err := sqlstore.OpenPostgres(t.Context(), through, sqlstore.PostgresOptions{}); !errors.Is(err, countersign.Invalid) {
			t.Errorf("got %v, %v", s, err)
		}
	}
	stop()
	wait.Wait()
}

// In session mode it works, hints included.
func TestPgBouncerInSessionMode(t *testing.T) {
	t.Parallel()
	through := pgbouncer(t, storetest.Postgres(t).NewDatabase(t), "session", ignoring)
	a, b := openPostgres(t, through), openPostgres(t, through)
	at := time.Now()
	must(t, a.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateService(ctx, store.Service{UID: "u1", Name: "s1", Revision: 1, CreatedAt: at, UpdatedAt: at})
	}))
	if _, err := b.Service(t.Context(), "s1"); err != nil {
		t.Error(err)
	}
	select {
	case <-b.Hints():
	case <-time.After(10 * time.Second):
		t.Error("no hint came through the pooler")
	}
	must(t, errors.Join(a.Close(), b.Close()))
}

// tryRaw runs one statement over a connection of its own.
func tryRaw(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, `SELECT pg_sleep(0.002)`, pgx.QueryExecModeSimpleProtocol)
	return err
}
