package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const secretColumns = `id, service_uid, hash, created_at, expires_at, last_used_at` //nolint:gosec // column names

const (
	// A secret never moves to another service.
	upsertSecret = `INSERT INTO client_secret (` + secretColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at,
expires_at = excluded.expires_at, last_used_at = excluded.last_used_at
WHERE client_secret.service_uid = excluded.service_uid`

	deleteSecret = `DELETE FROM client_secret WHERE id = $1`

	// A late flush of an old use does not turn the clock back.
	touchSecret = `UPDATE client_secret SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2` //nolint:gosec // a statement
)

var selectSecrets = query[store.ClientSecret]{"list client secrets", `SELECT ` + secretColumns + ` FROM client_secret WHERE service_uid = $1 ORDER BY created_at, id`, scanSecret}

func scanSecret(r row) (store.ClientSecret, error) {
	var (
		c                      store.ClientSecret
		created, expires, used int64
	)
	if err := r.Scan(&c.ID, &c.ServiceUID, &c.Hash, &created, &expires, &used); err != nil {
		return store.ClientSecret{}, err
	}
	c.Hash = bytesOf(c.Hash)
	c.CreatedAt, c.ExpiresAt, c.LastUsedAt = moment(created), moment(expires), moment(used)
	return c, nil
}

// ClientSecrets implements store.Services.
func (s *session) ClientSecrets(ctx context.Context, serviceUID string) ([]store.ClientSecret, error) {
	return selectSecrets.list(ctx, s, serviceUID)
}

// PutClientSecret implements store.ServiceWriter.
func (t *tx) PutClientSecret(ctx context.Context, c store.ClientSecret) error {
	if c.ID == "" {
		return invalid("a client secret needs an id")
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.attempt(ctx, "put a client secret", upsertSecret, c.ID, c.ServiceUID, blob(c.Hash),
		micros(c.CreatedAt), micros(c.ExpiresAt), micros(c.LastUsedAt))
	if err == nil && changed == 0 {
		return conflict("put a client secret: the id is another service's")
	}
	return err
}

// DeleteClientSecret implements store.ServiceWriter.
func (t *tx) DeleteClientSecret(ctx context.Context, id string) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	_, err := t.exec(ctx, "delete a client secret", deleteSecret, id)
	return err
}

// TouchClientSecret implements store.ServiceWriter.
func (t *tx) TouchClientSecret(ctx context.Context, id string, at time.Time) error {
	if err := t.order(ctx); err != nil {
		return err
	}
	_, err := t.exec(ctx, "note the use of a client secret", touchSecret, id, micros(at))
	return err
}
