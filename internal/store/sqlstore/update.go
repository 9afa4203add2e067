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

	// outages counts the begins that failed, lastOutage is the last of them.
	outages    atomic.Int64
	lastOutage error
}

func newWriter(d dialect, pool *sql.DB, reads *atomic.Int64) *writer {
	w := &writer{dialect: d, pool: pool, reads: reads, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	return w
}

// tx is a write transaction.
type tx struct {
	session
	seq    int64 // the last number that this transaction took from the feed; 0 = none
	forgot bool  // old changes were dropped
	// ordered: it holds the counter's row without a number.
	ordered bool
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
	outages := w.outages.Load()
	select {
	case <-w.turn:
	case <-ctx.Done():
		return unavailable("wait for the writer", ctx.Err())
	}
	defer func() { w.turn <- struct{}{} }()

	if w.dialect.shared && w.outages.Load() != outages {
		// The one before us found nobody there while we waited: to ask again, one after
		// another, would make the last one wait for minutes.
		return unavailable("begin a transaction", w.lastOutage)
	}
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
	if committed, err = w.commit(ctx, t); err != nil {
		return err
	}
	return nil
}

// commit ends the transaction. An error after COMMIT was sent says that the outcome is
// not known: the caller must take it as not done, and bear it if it was.
func (w *writer) commit(ctx context.Context, t *tx) (committed bool, err error) {
	if t.outage != nil {
		return false, t.outage
	}
	if t.seq != 0 && w.dialect.shared {
		if _, err := t.exec(ctx, "announce changes", notify); err != nil {
			return false, err
		}
	}
	if err := ctx.Err(); err != nil {
		return false, unavailable("commit", err)
	}
	if err := w.run(context.WithoutCancel(ctx), commit); err != nil {
		return false, unavailable("commit", err)
	}
	return true, nil
}

// begin makes sure of a connection and starts the transaction. A connection that died
// while nobody used it is replaced: once, so that an outage is reported soon.
func (w *writer) begin(ctx context.Context) error {
	if w.closed {
		return sql.ErrConnDone
	}
	used := w.conn != nil
	err := w.tryBegin(ctx)
	if err != nil && used && w.dialect.shared && ctx.Err() == nil {
		err = w.tryBegin(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.lastOutage = err
		w.outages.Add(1)
	}
	return err
}

func (w *writer) tryBegin(ctx context.Context) error {
	if w.conn == nil {
		bounded, cancel := w.dialect.bounded(ctx)
		defer cancel()
		conn, err := w.pool.Conn(bounded)
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
// fails and drops the connection. A connection to a server is dropped here: the server
// rolls back what is open on it.
func (w *writer) rollback(ctx context.Context) {
	if err := w.run(context.WithoutCancel(ctx), rollback); err != nil && w.dialect.shared {
		_ = w.drop()
	}
}

// run sends BEGIN, COMMIT or ROLLBACK. BEGIN and ROLLBACK take no time: where a network
// is in between, no answer soon is an outage.
func (w *writer) run(ctx context.Context, text string) error {
	ctx, cancel := w.dialect.bounded(ctx)
	defer cancel()
	if w.dialect.control != nil {
		if text != commit {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, w.dialect.limit/2)
			defer stop()
		}
		return w.dialect.control(ctx, w.conn, text)
	}
	stmt, err := w.stmts.get(ctx, text) //nolint:sqlclosecheck // statements keeps it
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

// finish waits for the running transaction; there is none after it.
func (w *writer) finish() {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
}

// close waits for the running transaction.
func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
	return errors.Join(w.drop(), w.pool.Close())
}
