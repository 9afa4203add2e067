package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/countersign/countersign"
)

// schemaTable is where goose notes which migrations ran.
const schemaTable = "schema_version"

// migrate brings the schema up to date, each migration in its own transaction. A
// schema that is newer than ours is refused: we would not know what its rows mean.
func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	files, err := d.migrations()
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	provider, err := goose.NewProvider(d.goose, db, files,
		goose.WithTableName(schemaTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
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
