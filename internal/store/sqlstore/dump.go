package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/store"
)

const selectSchema = `SELECT COALESCE(MAX(version_id), 0) FROM ` + schemaTable + ` WHERE is_applied`

// Dump implements store.Dumper: it reads every table in one transaction, so that all rows
// are of one moment. Writers go on meanwhile. It takes one of the readers' connections, and
// with SQLite the log that is folded into the file later grows until it ends.
//
// Errors: countersign.Unavailable, and those of begin and the sink as they are.
func (s *Store) Dump(ctx context.Context, begin func(schema int64) (store.DumpSink, error)) (err error) {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return unavailable("dump the database", err)
	}
	defer func() { _ = conn.Close() }()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return unavailable("dump the database", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range s.dialect.patient {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return unavailable("dump the database", err)
		}
	}
	var schema int64
	if err := tx.QueryRowContext(ctx, selectSchema).Scan(&schema); err != nil {
		return unavailable("read the schema version", err)
	}
	sink, err := begin(schema)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := dumpTable(ctx, tx, table, sink); err != nil {
			return err
		}
	}
	return nil
}

// dumpTable gives one table to the sink. The name is one of tables.
func dumpTable(ctx context.Context, tx *sql.Tx, table string, sink store.DumpSink) (err error) {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table) //nolint:gosec // G202: a name of ours
	if err != nil {
		return unavailable("dump table "+table, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return unavailable("dump table "+table, err)
	}
	if err := sink.Table(table, columns); err != nil {
		return err
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return unavailable("dump table "+table, err)
		}
		if err := sink.Row(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return unavailable("dump table "+table, err)
	}
	return nil
}

// loader is the sink that fills an empty database, in one transaction.
type loader struct {
	ctx     context.Context //nolint:containedctx // one call's: a sink is told rows only
	tx      *sql.Tx
	order   int // of the tables that began
	table   string
	columns []string
	pending []any
}

// loadRows is how many rows go into one statement at most: with loadColumns it stays below
// what every database takes as parameters.
const (
	loadRows    = 100
	loadColumns = 100
)

// Table implements store.DumpSink. Names that the database does not have are refused.
func (l *loader) Table(name string, columns []string) error {
	if err := l.flush(); err != nil {
		return err
	}
	at := slices.Index(tables, name)
	if at < l.order {
		return invalid("a table of the backup is unknown, doubled or out of order")
	}
	l.order = at + 1
	have, err := columnsOf(l.ctx, l.tx, name)
	if err != nil {
		return unavailable("read the columns of "+name, err)
	}
	asked := slices.Sorted(slices.Values(columns))
	slices.Sort(have)
	if !slices.Equal(asked, have) || len(columns) > loadColumns {
		return invalid("the columns of a table of the backup are not those of its schema")
	}
	l.table, l.columns = name, slices.Clone(columns)
	return nil
}

// columnsOf returns the columns of one of tables.
func columnsOf(ctx context.Context, tx *sql.Tx, table string) (columns []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table+` WHERE 1 = 0`) //nolint:gosec // G202: a name of ours
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	return rows.Columns()
}

// Row implements store.DumpSink.
func (l *loader) Row(values []any) error {
	if l.table == "" || len(values) != len(l.columns) {
		return invalid("a row of the backup does not fit its table")
	}
	l.pending = append(l.pending, values...)
	if len(l.pending) < loadRows*len(l.columns) {
		return nil
	}
	return l.flush()
}

func (l *loader) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	var text strings.Builder
	// The names are those of the database: Table has compared them.
	_, _ = fmt.Fprintf(&text, "INSERT INTO %s (%s) VALUES ", l.table, strings.Join(l.columns, ", "))
	for i := range l.pending {
		switch {
		case i == 0:
			text.WriteString("(")
		case i%len(l.columns) == 0:
			text.WriteString("), (")
		default:
			text.WriteString(", ")
		}
		_, _ = fmt.Fprintf(&text, "$%d", i+1)
	}
	text.WriteString(")")
	_, err := l.tx.ExecContext(l.ctx, text.String(), l.pending...)
	l.pending = l.pending[:0]
	if err != nil {
		return unavailable("fill table "+l.table, err)
	}
	return nil
}

// load fills an empty database, in one transaction.
func load(ctx context.Context, d dialect, db *sql.DB, source store.DumpSource) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable("begin a transaction", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range d.patient {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return unavailable("begin a transaction", err)
		}
	}
	l := &loader{ctx: ctx, tx: tx}
	if err := source(ctx, l); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insertUnfinished, MetaUnfinished, "yes"); err != nil {
		return unavailable("mark the restore", err)
	}
	if err := tx.Commit(); err != nil {
		return unavailable("commit", err)
	}
	return nil
}

// MetaUnfinished is set while a database is being restored: a server refuses it.
const MetaUnfinished = "restore_unfinished"

const (
	insertUnfinished = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	deleteUnfinished = `DELETE FROM meta WHERE key = $1`
)
