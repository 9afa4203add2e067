package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/countersign/countersign"
)

// schemaTable is where goose notes which migrations ran.
const schemaTable = "schema_version"

// migrationLock is the advisory lock under which one process migrates. It only has to
// differ from those of others in the same database.
const migrationLock = 0x636f756e74657273 // "counters"

const (
	migrationPause    = 100 * time.Millisecond
	migrationPatience = 2 * time.Minute
)

// migrateAlone migrates while no other process does. The lock is that of a session, so
// it is gone with the connection, however this process ends.
func migrateAlone(ctx context.Context, d dialect, writers, readers *sql.DB) error {
	if !d.shared {
		return migrate(ctx, d, writers)
	}
	return alone(ctx, readers, func() error { return migrate(ctx, d, writers) })
}

// lockSchema takes the lock of the migrations on a connection; it waits for who has it.
func lockSchema(ctx context.Context, conn *sql.Conn) error {
	patience, cancel := context.WithTimeout(ctx, migrationPatience)
	defer cancel()
	for locked := false; ; {
		if err := conn.QueryRowContext(patience, `SELECT pg_try_advisory_lock($1)`, int64(migrationLock)).Scan(&locked); err != nil {
			return unavailable("lock the schema", err)
		}
		if locked {
			return nil
		}
		timer := time.NewTimer(migrationPause)
		select {
		case <-timer.C:
		case <-patience.Done():
			timer.Stop()
			return unavailable("lock the schema", patience.Err())
		}
	}
}

// migrate brings the schema up to date, each migration in its own transaction. A
// schema that is newer than ours is refused: we would not know what its rows mean.
func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	provider, err := d.provider(db)
	if err != nil {
		return err
	}
	have, know, err := provider.GetVersions(ctx)
	if err != nil {
		return unavailable("read the schema version", err)
	}
	if have > know {
		return countersign.NewError(countersign.Invalid, countersign.ReasonStoreUnavailable, fmt.Sprintf(
			"the database has schema version %d and this program knows version %d: use a newer countersign, or restore a backup",
			have, know))
	}
	if have == know {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return unavailable("migrate the schema", err)
	}
	return nil
}

// provider returns what runs the migrations on db.
func (d dialect) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := d.migrations()
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	provider, err := goose.NewProvider(d.goose, db, files,
		goose.WithTableName(schemaTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}
