package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/countersign/countersign"
)

// Options of a database. The zero value is what serve uses.
type Options struct {
	// Readers is how many reads run at once; 0 = 4.
	Readers int
	// BusyTimeout is how long a write waits for another handle of the same file;
	// 0 = 5 s.
	BusyTimeout time.Duration
}

var sqliteDialect = dialect{
	name:  "sqlite",
	goose: goose.DialectSQLite3,
	// The lock is taken at once: a transaction that reads first and then finds the
	// lock taken could only fail.
	begin:    "BEGIN IMMEDIATE",
	classify: classifySQLite,
	feedHead: selectOwnHead,
}

// classifySQLite tells the constraints apart; any other error is an outage.
func classifySQLite(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return faultOther
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return faultUnique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return faultReference
	default:
		return faultOther
	}
}

// OpenSQLite opens the SQLite database at path, creates it (mode 0600) where there
// is none, and brings its schema up to date. The folder must exist.
//
// Errors: countersign.Invalid for a schema that is newer than this program knows,
// countersign.Unavailable for everything else (no folder, not ours, not a database).
func OpenSQLite(ctx context.Context, path string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("find the database file", err)
	}
	if err := makePrivate(path); err != nil {
		return nil, unavailable("open the database file", err)
	}
	writer, err := openPool(sqliteDSN(path, opts, false), 1)
	if err != nil {
		return nil, unavailable("open the database", err)
	}
	readers, err := openPool(sqliteDSN(path, opts, true), opts.Readers)
	if err != nil {
		return nil, errors.Join(unavailable("open the database", err), writer.Close())
	}
	return open(ctx, sqliteDialect, writer, readers)
}

func (o Options) withDefaults() Options {
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 5 * time.Second
	}
	return o
}

// makePrivate creates the file with mode 0600, or takes the rights of others away.
// SQLite gives the files that it puts beside it (-wal, -shm) the same mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = file.Chmod(0o600)
	}
	return errors.Join(err, file.Close())
}

// sqliteDSN returns the name under which the driver opens path. Pragmas in it hold
// for every connection that the pool makes.
func sqliteDSN(path string, opts Options, readOnly bool) string {
	query := url.Values{
		// FULL: a commit is on disk before it returns. fullfsync does on macOS what
		// fsync does elsewhere.
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", opts.BusyTimeout.Milliseconds()),
			"journal_mode(WAL)", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)",
			"foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)", "wal_autocheckpoint(4000)",
		},
		"_defensive": {"1"},
		"_txlock":    {"immediate"},
	}
	if readOnly {
		query["_txlock"] = []string{"deferred"}
		query["_pragma"] = append(query["_pragma"], "query_only(1)")
	}
	// A path with ? or % in it stays one path.
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + query.Encode()
}

func openPool(dsn string, size int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("data source name: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

func unavailable(what string, err error) error {
	return countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
		"the store is not available", fmt.Errorf("%s: %w", what, err))
}
