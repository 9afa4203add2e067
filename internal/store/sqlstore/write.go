package sqlstore

import (
	"context"
)

// unlessTaken makes an INSERT change nothing where the row, or another with the same
// unique columns, is there. It would be an error otherwise, and in PostgreSQL an error
// of a statement ends the transaction.
const unlessTaken = ` ON CONFLICT DO NOTHING`

// create runs an INSERT that ends with unlessTaken. Errors: Conflict if the row is there.
func (t *tx) create(ctx context.Context, what, text string, args ...any) error {
	changed, err := t.exec(ctx, what, text, args...)
	if err == nil && changed == 0 {
		return conflict(what)
	}
	return err
}

// attempt is exec for a statement that may break a constraint: the transaction goes on
// after that, on every database.
func (t *tx) attempt(ctx context.Context, what, text string, args ...any) (int64, error) {
	if !t.dialect.savepoint {
		return t.exec(ctx, what, text, args...)
	}
	if _, err := t.exec(ctx, what, `SAVEPOINT attempt`); err != nil {
		return 0, err
	}
	changed, failed := t.exec(ctx, what, text, args...)
	if failed != nil {
		// Of no use, and harmless, after an outage.
		if _, err := t.exec(ctx, what, `ROLLBACK TO SAVEPOINT attempt`); err != nil {
			return 0, err
		}
	}
	if _, err := t.exec(ctx, what, `RELEASE SAVEPOINT attempt`); err != nil {
		return 0, err
	}
	return changed, failed
}
