package sqlstore

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
)

const (
	// The update changes nothing; it is there so that RETURNING answers with the row
	// that was there first.
	insertMeta = `INSERT INTO meta (key, value) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET value = meta.value RETURNING value`

	upsertMeta = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
)

var selectMeta = query[string]{"read a setting of the deployment", `SELECT value FROM meta WHERE key = $1`, scanText}

// Meta implements store.Meta.
func (s *session) Meta(ctx context.Context, key string) (string, error) {
	return selectMeta.one(ctx, s, key)
}

// SetMetaIfAbsent implements store.Meta.
func (s *Store) SetMetaIfAbsent(ctx context.Context, key, value string) (string, error) {
	stored, err := s.Meta(ctx, key)
	if !errors.Is(err, countersign.NotFound) {
		return stored, err
	}
	err = s.update(ctx, func(ctx context.Context, t *tx) error {
		stored, err = returning[string](ctx, &t.session, "write a setting of the deployment", insertMeta, key, value)
		return err
	})
	if err != nil {
		return "", err
	}
	return stored, nil
}

// SetMeta implements store.Tx.
func (t *tx) SetMeta(ctx context.Context, key, value string) error {
	if err := t.order(ctx); err != nil {
		return err
	}
	_, err := t.exec(ctx, "set a setting of the deployment", upsertMeta, key, value)
	return err
}
