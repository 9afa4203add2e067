// Package sqlstore keeps the records of package store in a SQL database: today the
// embedded SQLite (https://www.sqlite.org/wal.html), which needs no cgo.
//
// It decides how a record becomes a row, how a write becomes durable (WAL with
// synchronous=FULL: on disk when [Store.Update] returns), in which order writers
// run, and what an error of the database means to the layers above. It does not
// decide what may be written, and it does not stop a second process from opening
// the same file: the server holds a lock on the data folder. Two handles on one
// file wait for each other and never corrupt it.
//
// There is one SQL text for every database: constants beside the methods that use
// them, with $1 placeholders and ON CONFLICT … DO UPDATE … RETURNING. What differs
// between databases (opening, migrations, how a write transaction begins, error
// numbers) is a [dialect]; migrations lie in migrations/DIALECT and only go forward.
//
// A row is: times as microseconds since 1970 in UTC with 0 for the zero time,
// durations as microseconds, lists as JSON text, events as text, so that a person
// with the sqlite3 program can read them. Empty lists and byte strings come back
// as nil.
//
// Entry point: [OpenSQLite]. Layer 2.
package sqlstore
