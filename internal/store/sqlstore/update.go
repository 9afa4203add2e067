package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

// writer owns the one connection that writes. Transactions of this process run one
// after another, in the order in which they came.
type writer struct {
	dialect dialect
	pool    *sql.DB
	reads   *atomic.Int64

	// turn holds one token; who holds it owns the fields below.
	turn   chan struct{}
	conn   *sql.Conn // nil before the first use and after a failed begin
	stmts  *statements
	closed bool
}

func newWriter(d dialect, pool *sql.DB, reads *atomic.Int64) *writer {
	w := &writer{dialect: d, pool: pool, reads: reads, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	return w
}

// tx is a write transaction.
type tx struct {
	session
	seq int64 // the last number that this transaction took from the feed; 0 = none
}

const (
	commit   = "COMMIT"
	rollback = "ROLLBACK"
)

// update runs fn in a write transaction. Waiting, for our turn and for another
// handle's lock, ends with ctx. A context that ended before the commit rolls back;
// after that point it is too late.
func (s *Store) update(ctx context.Context, fn func(context.Context, *tx) error) (err error) {
	w := s.writer
	select {
	case <-w.turn:
	case <-ctx.Done():
		return unavailable("wait for the writer", ctx.Err())
	}
	defer func() { w.turn <- struct{}{} }()

	if err := w.begin(ctx); err != nil {
		return w.dialect.fail("begin a transaction", err)
	}
	t := &tx{session: session{dialect: w.dialect, stmts: w.stmts, reads: w.reads, writing: true}}
	committed := false
	defer func() {
		t.stmts = newStatements(ended{})
		if !committed { // an error, or a panic of fn on its way up
			w.rollback(ctx)
		}
	}()
	if err := fn(ctx, t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return unavailable("commit", err)
	}
	if err := w.run(context.WithoutCancel(ctx), commit); err != nil {
		return w.dialect.fail("commit", err)
	}
	committed = true
	return nil
}

// begin makes sure of a connection and starts the transaction.
func (w *writer) begin(ctx context.Context) error {
	if w.closed {
		return sql.ErrConnDone
	}
	if w.conn == nil {
		conn, err := w.pool.Conn(ctx)
		if err != nil {
			return err
		}
		w.conn, w.stmts = conn, newStatements(conn)
	}
	err := w.run(ctx, w.dialect.begin)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		// The driver may say "cancelled" of a BEGIN that took effect.
		w.rollback(ctx)
	default:
		// Whatever is wrong with the connection, the next Update gets another one.
		_ = w.drop()
	}
	return err
}

// rollback ends the transaction. That it fails is the rule where the database has
// rolled back by itself (a full disk); if one stayed open after all, the next begin
// fails and drops the connection.
func (w *writer) rollback(ctx context.Context) {
	_ = w.run(context.WithoutCancel(ctx), rollback)
}

func (w *writer) run(ctx context.Context, query string) error {
	stmt, err := w.stmts.get(ctx, query) //nolint:sqlclosecheck // statements keeps it
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx)
	return err
}

// drop closes the connection; SQLite rolls back what was open on it.
func (w *writer) drop() error {
	if w.conn == nil {
		return nil
	}
	w.stmts.close()
	// ErrBadConn makes the pool close the connection instead of keeping it.
	err := w.conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) {
		err = nil
	}
	if e := w.conn.Close(); e != nil && !errors.Is(e, sql.ErrConnDone) {
		err = errors.Join(err, e)
	}
	w.conn, w.stmts = nil, nil
	return err
}

// close waits for the running transaction.
func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
	return errors.Join(w.drop(), w.pool.Close())
}
