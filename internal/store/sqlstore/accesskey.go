package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// kindAccessKey is the kind of changes of access keys; their name is the access key id.
const kindAccessKey = "AccessKey"

const accessKeyColumns = `uid, id, name, tenant, service, service_uid, role, role_uid, trust, sealed, revision, created_at, expires_at, revoked_at`

const (
	insertAccessKey = `INSERT INTO access_key (` + accessKeyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)` + unlessTaken

	revokeAccessKey = `UPDATE access_key SET revoked_at = $2, revision = revision + 1 WHERE uid = $1 AND revoked_at = 0 RETURNING id`

	resealAccessKey = `UPDATE access_key SET sealed = $2 WHERE uid = $1 RETURNING id`

	deleteAccessKey = `DELETE FROM access_key WHERE uid = $1 RETURNING id`

	selectAccessKeyFrom = `SELECT ` + accessKeyColumns + ` FROM access_key WHERE `
)

var (
	selectAccessKey   = query[store.AccessKey]{"read an access key", selectAccessKeyFrom + `name = $1`, scanAccessKey}
	selectAccessKeyID = query[store.AccessKey]{"read an access key", selectAccessKeyFrom + `id = $1`, scanAccessKey}

	// A filter that is not set leaves nothing out.
	selectAccessKeys = query[store.AccessKey]{"list access keys", selectAccessKeyFrom + `name > $1 AND (CAST($3 AS TEXT) = '' OR service_uid = $3)
AND (CAST($4 AS TEXT) = '' OR role_uid = $4) AND (CAST($5 AS TEXT) = '' OR tenant = $5) ORDER BY name LIMIT $2`, scanAccessKey}
)

func scanAccessKey(r row) (store.AccessKey, error) {
	var (
		k                         store.AccessKey
		created, expires, revoked int64
	)
	err := r.Scan(&k.UID, &k.ID, &k.Name, &k.Tenant, &k.Service, &k.ServiceUID, &k.Role, &k.RoleUID, &k.Trust, &k.Sealed,
		&k.Revision, &created, &expires, &revoked)
	if err != nil {
		return store.AccessKey{}, err
	}
	k.Sealed = bytesOf(k.Sealed)
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = moment(created), moment(expires), moment(revoked)
	return k, nil
}

// AccessKey implements store.AccessKeys.
func (s *session) AccessKey(ctx context.Context, name string) (store.AccessKey, error) {
	return selectAccessKey.one(ctx, s, name)
}

// AccessKeyByID implements store.AccessKeys.
func (s *session) AccessKeyByID(ctx context.Context, id string) (store.AccessKey, error) {
	return selectAccessKeyID.one(ctx, s, id)
}

// AccessKeys implements store.AccessKeys.
func (s *session) AccessKeys(ctx context.Context, f store.AccessKeyFilter, page store.Page) ([]store.AccessKey, error) {
	n, err := limit(page.Limit)
	if err != nil {
		return nil, err
	}
	return selectAccessKeys.list(ctx, s, page.After, n, f.ServiceUID, f.RoleUID, page.Tenant)
}

// CreateAccessKey implements store.AccessKeyWriter.
func (t *tx) CreateAccessKey(ctx context.Context, k store.AccessKey) error {
	if k.UID == "" || k.ID == "" || k.Name == "" || k.ExpiresAt.IsZero() {
		return invalid("an access key needs a uid, an id, a name and an end")
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.attempt(ctx, "create an access key", insertAccessKey, k.UID, k.ID, k.Name, k.Tenant, k.Service, k.ServiceUID,
		k.Role, k.RoleUID, k.Trust, blob(k.Sealed), int64(1), micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt))
	if err != nil {
		return err
	}
	if changed == 0 {
		return conflict("create an access key")
	}
	return t.note(ctx, kindAccessKey, k.ID)
}

// RevokeAccessKey implements store.AccessKeyWriter.
func (t *tx) RevokeAccessKey(ctx context.Context, uid string, at time.Time) error {
	return t.changeAccessKey(ctx, "revoke an access key", revokeAccessKey, uid, micros(at))
}

// ResealAccessKey implements store.AccessKeyWriter.
func (t *tx) ResealAccessKey(ctx context.Context, uid string, sealed []byte) error {
	return t.changeAccessKey(ctx, "reseal an access key", resealAccessKey, uid, blob(sealed))
}

// DeleteAccessKey implements store.AccessKeyWriter.
func (t *tx) DeleteAccessKey(ctx context.Context, uid string) error {
	return t.changeAccessKey(ctx, "delete an access key", deleteAccessKey, uid)
}

// changeAccessKey runs a statement that returns the access key id.
func (t *tx) changeAccessKey(ctx context.Context, what, text string, args ...any) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	id, err := returning[string](ctx, &t.session, what, text, args...)
	if err != nil {
		return err
	}
	return t.note(ctx, kindAccessKey, id)
}
