package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/countersign/countersign"
)

// session runs statements: of the readers' pool, or of one write transaction.
type session struct {
	dialect dialect
	stmts   *statements
	reads   *atomic.Int64
	// writing: a statement is not interrupted once it runs. They are short, and one
	// that took effect must not be reported as failed.
	writing bool
	// outage is the first statement of the transaction that had no answer: what it did
	// is not known, and SQLite may have rolled back by itself: a statement after it would
	// stand alone. So none is sent any more, and nothing is committed.
	outage error
}

// prepared returns the statement, the context to run it with, and what to call when
// its answer is read.
func (s *session) prepared(ctx context.Context, text string) (context.Context, *sql.Stmt, context.CancelFunc, error) {
	if s.writing {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		if s.outage != nil {
			return nil, nil, nil, s.outage
		}
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := s.dialect.bounded(ctx)
	stmt, err := s.stmts.get(ctx, text)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return ctx, stmt, cancel, nil
}

// bounded limits how long the answer to a statement is waited for.
func (d dialect) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.limit)
}

// fail gives an error its meaning and remembers an outage. A context that ended
// before its statement was sent is none.
func (s *session) fail(what string, err error) error {
	err = s.dialect.fail(what, err)
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if s.writing && s.outage == nil && !ended && errors.Is(err, countersign.Unavailable) {
		s.outage = err
	}
	return err
}

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// query is a SELECT: what it is for (a verb phrase for the log), its text, and how
// a row of it becomes a value.
type query[T any] struct {
	what, sql string
	scan      func(row) (T, error)
}

// one runs q for a single row.
func (q query[T]) one(ctx context.Context, s *session, args ...any) (T, error) {
	var none T
	if !storable(args) {
		return none, notFound(q.what) // no row has such a value
	}
	s.reads.Add(1)
	value, err := retry(ctx, s, func() (T, error) { return q.tryOne(ctx, s, args) })
	if err != nil {
		return none, s.fail(q.what, err)
	}
	return value, nil
}

func (q query[T]) tryOne(ctx context.Context, s *session, args []any) (value T, err error) {
	ctx, stmt, done, err := s.prepared(ctx, q.sql) //nolint:sqlclosecheck // statements keeps it
	if err != nil {
		return value, err
	}
	defer done()
	return q.scan(stmt.QueryRowContext(ctx, args...))
}

// retry runs a read again, once, when its connection was lost on the way: it was idle
// for long, or its server has just gone and another is there already.
func retry[T any](ctx context.Context, s *session, read func() (T, error)) (T, error) {
	value, err := read()
	if err == nil || s.writing || ctx.Err() != nil || s.dialect.lost == nil || !s.dialect.lost(err) {
		return value, err
	}
	return read()
}

// list runs q for any number of rows.
func (q query[T]) list(ctx context.Context, s *session, args ...any) ([]T, error) {
	if !storable(args) {
		return nil, unstorable()
	}
	s.reads.Add(1)
	values, err := retry(ctx, s, func() ([]T, error) { return q.tryList(ctx, s, args) })
	if err != nil {
		return nil, s.fail(q.what, err)
	}
	return values, nil
}

func (q query[T]) tryList(ctx context.Context, s *session, args []any) ([]T, error) {
	ctx, stmt, done, err := s.prepared(ctx, q.sql) //nolint:sqlclosecheck // statements keeps it
	if err != nil {
		return nil, err
	}
	defer done()
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, q.scan)
}

func collect[T any](rows *sql.Rows, scan func(row) (T, error)) (values []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		value, err := scan(rows)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}

// exec runs a statement that writes and returns how many rows it changed.
func (s *session) exec(ctx context.Context, what, text string, args ...any) (int64, error) {
	if !storable(args) {
		return 0, unstorable()
	}
	ctx, stmt, done, err := s.prepared(ctx, text) //nolint:sqlclosecheck // statements keeps it
	if err != nil {
		return 0, s.fail(what, err)
	}
	defer done()
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, s.fail(what, err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, s.fail(what, err)
	}
	return changed, nil
}

// returning runs a statement that writes one row and returns a column of it.
func returning[T any](ctx context.Context, s *session, what, text string, args ...any) (T, error) {
	var value T
	if !storable(args) {
		return value, unstorable()
	}
	ctx, stmt, done, err := s.prepared(ctx, text) //nolint:sqlclosecheck // statements keeps it
	if err != nil {
		return value, s.fail(what, err)
	}
	defer done()
	if err := stmt.QueryRowContext(ctx, args...).Scan(&value); err != nil {
		return value, s.fail(what, err)
	}
	return value, nil
}
