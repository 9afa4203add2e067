package sqlstore

import (
	"context"
	"database/sql"
)

// OnWriter runs a statement on the writer's connection, for settings that are those
// of a connection.
func (s *Store) OnWriter(ctx context.Context, query string) error {
	w := s.writer
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	_, err := w.conn.ExecContext(ctx, query)
	return err
}

// BreakWriter closes the writer's connection under the store.
func (s *Store) BreakWriter() error {
	w := s.writer
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	return w.conn.Close()
}

// Migrate brings db to the newest schema of SQLite.
func Migrate(ctx context.Context, db *sql.DB) error { return migrate(ctx, sqliteDialect, db) }

// Show returns a setting of the writer's connection to PostgreSQL.
func (s *Store) Show(ctx context.Context, name string) (value string, err error) {
	w := s.writer
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	err = w.pool.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(&value)
	return value, err
}

// Tables are those that a dump has.
func Tables() []string { return tables }

// SchemaTable is where the migrations are noted.
const SchemaTable = schemaTable
