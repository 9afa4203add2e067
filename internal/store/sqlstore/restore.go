package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Restore is what fills a database.
type Restore struct {
	// Schema is the version of the dump's schema, Source its rows.
	Schema int64
	Source store.DumpSource
	// Finish runs in the transaction that makes the database fit for a server.
	Finish func(ctx context.Context, tx store.Tx) error
	// Force drops what the database has. Without it a database that a server has used is
	// refused.
	Force bool
}

// RestoreSQLite makes a new database at path, which must not exist. What it leaves behind
// when it fails is worth nothing: no server takes it.
//
// Errors: countersign.Invalid (the dump does not fit, or is of a newer program), Unavailable;
// those of Source and Finish.
func RestoreSQLite(ctx context.Context, path string, r Restore) (err error) {
	if err := makePrivate(path); err != nil {
		return unavailable("make the database file", err)
	}
	opts := Options{}.withDefaults()
	writer, err := openPool(sqliteDSN(path, opts, false), 1)
	if err != nil {
		return unavailable("open the database", err)
	}
	readers, err := openPool(sqliteDSN(path, opts, true), opts.Readers)
	if err != nil {
		return errors.Join(unavailable("open the database", err), writer.Close())
	}
	s := assemble(sqliteDialect, writer, readers)
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.restore(ctx, writer, r)
}

// RestorePostgres fills the database that dsn names. It holds the lock of the migrations, so
// that a server which starts meanwhile waits, and refuses while one runs.
//
// Errors: countersign.Conflict (a server is connected, or the database is in use and
// Force is not set), and as [RestoreSQLite] and [OpenPostgres].
func RestorePostgres(ctx context.Context, dsn string, opts PostgresOptions, r Restore) (err error) {
	opts = opts.withDefaults()
	config, err := postgresConfig(dsn, opts)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = "countersign restore"
	writer, readers := postgresPool(*config, 1), postgresPool(*config, opts.Readers)
	d := postgresDialect
	d.limit = opts.StatementTimeout + time.Second
	s := assemble(d, writer, readers)
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.reach(ctx); err != nil {
		return openError(err)
	}
	return alone(ctx, readers, func() error {
		if err := clearPostgres(ctx, writer, r.Force); err != nil {
			return err
		}
		return s.restore(ctx, writer, r)
	})
}

// reach reports whether the server can be reached at all.
func (s *Store) reach(ctx context.Context) error {
	if err := s.readers.PingContext(ctx); err != nil {
		return unavailable("connect", err)
	}
	return nil
}

const (
	// A server's connections say who they are, unless the DSN has another name for them.
	countServers = `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
AND pid <> pg_backend_pid() AND application_name = 'countersign'`

	haveMeta  = `SELECT to_regclass('meta') IS NOT NULL`
	countUsed = `SELECT COUNT(*) FROM meta WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = $1)`
)

// clearPostgres drops our tables, if nobody uses them.
func clearPostgres(ctx context.Context, db *sql.DB, force bool) error {
	var servers, used int64
	var there bool
	if err := db.QueryRowContext(ctx, countServers).Scan(&servers); err != nil {
		return unavailable("look for servers", err)
	}
	if servers > 0 {
		return inUse("a countersign server is connected to the database: stop every replica first")
	}
	if err := db.QueryRowContext(ctx, haveMeta).Scan(&there); err != nil {
		return unavailable("look into the database", err)
	}
	if there {
		if err := db.QueryRowContext(ctx, countUsed, MetaUnfinished).Scan(&used); err != nil {
			return unavailable("look into the database", err)
		}
	}
	if used > 0 && !force {
		return inUse("the database is in use: restore into an empty one, or say --force to drop what it has")
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable("begin a transaction", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range slices.Concat(postgresDialect.patient, []string{`DROP TABLE IF EXISTS ` + schemaTable + `, ` + strings.Join(tables, ", ")}) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return unavailable("drop the tables", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return unavailable("drop the tables", err)
	}
	return nil
}

func inUse(why string) error {
	return countersign.NewError(countersign.Conflict, countersign.ReasonStoreUnavailable, why)
}

// alone runs fn while this process holds the lock of the migrations.
func alone(ctx context.Context, db *sql.DB, fn func() error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return unavailable("connect", err)
	}
	// The pool closes the connection, and the server gives the lock back.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	if err := lockSchema(ctx, conn); err != nil {
		return err
	}
	return fn()
}

// restore fills the database at the dump's schema, brings it up to date, and finishes.
// Until the last step a server refuses it.
func (s *Store) restore(ctx context.Context, db *sql.DB, r Restore) error {
	if err := migrateTo(ctx, s.dialect, db, r.Schema); err != nil {
		return err
	}
	if err := load(ctx, s.dialect, db, r.Source); err != nil {
		return err
	}
	if err := migrate(ctx, s.dialect, db); err != nil {
		return err
	}
	return s.update(ctx, func(ctx context.Context, t *tx) error {
		if err := r.Finish(ctx, t); err != nil {
			return err
		}
		_, err := t.exec(ctx, "finish the restore", deleteUnfinished, MetaUnfinished)
		return err
	})
}

// migrateTo makes the schema of a version.
func migrateTo(ctx context.Context, d dialect, db *sql.DB, version int64) error {
	provider, err := d.provider(db)
	if err != nil {
		return err
	}
	_, know, err := provider.GetVersions(ctx)
	if err != nil {
		return unavailable("read the schema version", err)
	}
	if version < 1 || version > know {
		return countersign.NewError(countersign.Invalid, countersign.ReasonStoreUnavailable, fmt.Sprintf(
			"the backup has schema version %d and this program knows version %d: use a newer countersign", version, know))
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return unavailable("make the schema", err)
	}
	return nil
}
