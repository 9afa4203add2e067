package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/countersign/countersign/internal/store"
)

// Store is one open database. Make one with [OpenSQLite] or [OpenPostgres]. Safe for concurrent use.
type Store struct {
	session // reads, over the readers' pool
	readers *sql.DB
	writer  *writer
	count   atomic.Int64
	// listener is nil where nobody else writes.
	listener *listener
	// sever cuts the connections; nil = each is closed in peace.
	sever   func()
	closing sync.Once
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Dumper = (*Store)(nil)
	_ store.Tx     = (*tx)(nil)
)

// open migrates and takes over both pools; it closes them when it fails.
func open(ctx context.Context, d dialect, writers, readers *sql.DB) (*Store, error) {
	s := assemble(d, writers, readers)
	err := migrateAlone(ctx, d, writers, readers)
	if err == nil {
		err = s.Ping(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// assemble takes over both pools.
func assemble(d dialect, writers, readers *sql.DB) *Store {
	s := &Store{readers: readers}
	s.session = session{dialect: d, stmts: newStatements(readers), reads: &s.count}
	s.writer = newWriter(d, writers, &s.count)
	return s
}

// Update implements store.Store. fn must not call Update, and must not use tx from
// more than one goroutine.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	return s.update(ctx, func(ctx context.Context, t *tx) error { return fn(ctx, t) })
}

// Reads implements store.Store. It counts every SELECT that a method of Store or Tx
// sent, the ones inside Update too; not Ping, migrations, or what RETURNING gives.
func (s *Store) Reads() int64 { return s.count.Load() }

const ping = `SELECT COUNT(*) FROM counter`

// Ping implements store.Store. It reads a row, so that a file that is gone or
// unreadable is noticed.
func (s *Store) Ping(ctx context.Context) error {
	_, err := returning[int64](ctx, &s.session, "ping the database", ping)
	return err
}

// Close implements store.Store. A second Close does nothing.
func (s *Store) Close() error {
	s.closing.Do(func() {
		if s.listener != nil {
			s.listener.close()
		}
		if s.sever != nil {
			s.writer.finish()
			s.sever()
		}
	})
	s.stmts.close()
	// The writer is closed last: as the last connection it folds the WAL into the
	// database file.
	err := s.readers.Close()
	err = errors.Join(err, s.writer.close())
	if err != nil {
		return unavailable("close the database", err)
	}
	return nil
}
