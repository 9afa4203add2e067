package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/countersign/countersign/internal/store"
)

//go:embed migrations
var migrations embed.FS

// fault is what an error of the database means.
type fault int

const (
	faultOther     fault = iota // can't answer now: full disk, lock, I/O, closed
	faultUnique                 // a unique or primary key is taken
	faultReference              // a foreign key points to nothing
)

// dialect is all that differs between databases, except for how one is opened.
type dialect struct {
	// name is the folder of the migrations.
	name  string
	goose goose.Dialect
	// begin starts a write transaction that can't fail later for want of the lock.
	begin string
	// classify says what an error of the driver means.
	classify func(error) fault
	// control sends BEGIN, COMMIT or ROLLBACK, and fails if a COMMIT did not commit;
	// nil = a prepared statement.
	control func(ctx context.Context, conn *sql.Conn, text string) error
	// shared: behind a network, and other processes write too.
	shared bool
	// skipLocked ends a SELECT of rows to delete, so that it waits for nobody.
	skipLocked string
	// insertInWith: a WITH may insert.
	insertInWith bool
	// savepoint: a statement that fails ends the transaction, unless there is one.
	savepoint bool
	// lost reports whether an error says that the connection is no more, soon enough to
	// try another; nil = that does not happen.
	lost func(error) bool
	// limit is how long the answer to a statement may take; 0 = as long as it takes.
	limit time.Duration
	// snapshot is the isolation in which a transaction that reads sees one moment; patient
	// are statements that let one take its time.
	snapshot sql.IsolationLevel
	patient  []string
	// feedHead reads the feed's last number and the clock.
	feedHead query[store.FeedHead]
}

// migrations returns the forward-only migrations of the dialect.
func (d dialect) migrations() (fs.FS, error) { return fs.Sub(migrations, "migrations/"+d.name) }
