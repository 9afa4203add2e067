package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/jackc/pgx/v5"
)

// poolerTries is how often a pooler is given the chance to show that it shares sessions. Where
// nobody else is there, the one that was used last is handed out next; where others are, ours
// is soon another one.
const poolerTries = 10

// checkPooler refuses a pooler that gives each transaction another session (PgBouncer's
// pool_mode transaction, and its like): LISTEN is not heard there, the lock of the migrations is
// not held, and prepared statements are another's. It would work for a while, and fail under
// load. One that keeps a session for as long as we are connected is as good as the server.
//
// Errors: *unusable, and those of the connections.
func checkPooler(ctx context.Context, config *pgx.ConnConfig) error {
	here, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return plainConnectError(err)
	}
	defer func() { _ = here.Close(context.WithoutCancel(ctx)) }()
	first, err := processOf(ctx, here)
	if err != nil {
		return err
	}
	if first == int64(here.PgConn().PID()) {
		return nil // who answers is who was connected to
	}
	for range poolerTries {
		shared, err := sharesSessions(ctx, config, here)
		if err != nil {
			return err
		}
		now, err := processOf(ctx, here)
		if err != nil {
			return err
		}
		if shared || now != first {
			return &unusable{"the database is behind a pooler that gives each transaction another session (pool_mode transaction): " +
				"connect to it directly, or in session mode"}
		}
	}
	return nil
}

// processOf returns the id of the server's process that answers.
func processOf(ctx context.Context, conn *pgx.Conn) (id int64, err error) {
	err = conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeExec).Scan(&id)
	return id, err
}

// sharesSessions reports whether what one connection sets is set on another one.
func sharesSessions(ctx context.Context, config *pgx.ConnConfig, here *pgx.Conn) (shared bool, err error) {
	mark, seen := rand.Text(), ""
	if _, err := here.Exec(ctx, `SELECT set_config('countersign.session', $1, false)`, pgx.QueryExecModeExec, mark); err != nil {
		return false, err
	}
	// It must not stay with a session that others get.
	defer func() {
		_, reset := here.Exec(context.WithoutCancel(ctx), `RESET countersign.session`, pgx.QueryExecModeSimpleProtocol)
		err = errors.Join(err, reset)
	}()
	there, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, plainConnectError(err)
	}
	defer func() { _ = there.Close(context.WithoutCancel(ctx)) }()
	err = there.QueryRow(ctx, `SELECT COALESCE(current_setting('countersign.session', true), '')`, pgx.QueryExecModeExec).Scan(&seen)
	return seen == mark, err
}
