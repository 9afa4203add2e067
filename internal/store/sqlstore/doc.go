// Package sqlstore keeps the records of package store in a SQL database: the embedded
// SQLite (https://www.sqlite.org/wal.html), which needs no cgo, or a PostgreSQL server
// that many processes share.
//
// It decides how a record becomes a row, how a write becomes durable, in which order
// writers run, and what an error of the database means to the layers above. It does not
// decide what may be written.
//
// There is one SQL text for every database: constants beside the methods that use
// them, with $1 placeholders and ON CONFLICT … DO UPDATE … RETURNING. What differs
// between databases (opening, migrations, how a write transaction begins, error
// numbers) is a [dialect]; migrations lie in migrations/DIALECT and only go forward,
// with the same numbers and tables in each.
//
// A row is: times as microseconds since 1970 in UTC with 0 for the zero time,
// durations as microseconds, lists as JSON text, events as text, so that a person
// with the database's own program can read them. Text is UTF-8 without NUL: no row is
// found by another, and none is written. Empty lists and byte strings come back as nil.
//
// # SQLite
//
// WAL with synchronous=FULL: a write is on disk when [Store.Update] returns. It does not
// stop a second process from opening the same file: the server holds a lock on the data
// folder. Two handles on one file wait for each other and never corrupt it.
//
// # PostgreSQL
//
// A process has one connection that writes, a few that read (all of the primary, never
// of a standby) and one that listens. A write transaction is READ COMMITTED; all that
// write what others write too take the counter's row first. So they commit in the order
// of their numbers (RULES E2), each sees what the one before it has written, and none
// waits for another in a circle.
//
// A statement without an answer is an outage, and its transaction can't commit any more.
// So is a COMMIT without an answer, though it may have happened: the caller takes it as
// not done. Connections are made anew by themselves. A write is never sent twice; BEGIN
// and a read are, once, where the connection turns out to be dead. Nothing waits longer
// than a few seconds for a server that is gone.
//
// synchronous_commit is never "off", whatever the database or the DSN say. sslmode is what
// the DSN says, and "prefer" where it says nothing: over a network it should say
// verify-full.
//
// Entry points: [OpenSQLite], [OpenPostgres]. Layer 2.
package sqlstore
