package sqlstore

import (
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
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
}

// migrations returns the forward-only migrations of the dialect.
func (d dialect) migrations() (fs.FS, error) { return fs.Sub(migrations, "migrations/"+d.name) }
