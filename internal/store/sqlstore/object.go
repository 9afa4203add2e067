package sqlstore

import (
	"context"

	"github.com/countersign/countersign/internal/store"
)

const objectColumns = `uid, kind, name, tenant, owner, spec, revision, created_at, updated_at`

const (
	insertObject = `INSERT INTO object (` + objectColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)` + unlessTaken

	// Kind and name belong to a uid for ever, so they are conditions here.
	updateObject = `UPDATE object SET tenant = $5, owner = $6, spec = $7, revision = $4, updated_at = $8
WHERE uid = $1 AND kind = $2 AND name = $3 AND revision = CAST($4 AS BIGINT) - 1`

	deleteObject = `DELETE FROM object WHERE uid = $1`
)

var selectObject = query[store.Object]{"read an object", `SELECT ` + objectColumns + ` FROM object WHERE kind = $1 AND name = $2`, scanObject}

var selectObjects = query[store.Object]{"list objects", `SELECT ` + objectColumns + ` FROM object WHERE kind = $1 AND name > $2 ORDER BY name LIMIT $3`, scanObject}

var selectTenantObjects = query[store.Object]{"list a tenant's objects", `SELECT ` + objectColumns + ` FROM object WHERE kind = $1 AND tenant = $4 AND name > $2 ORDER BY name LIMIT $3`, scanObject}

var selectObjectUID = query[store.Object]{"change an object", `SELECT ` + objectColumns + ` FROM object WHERE uid = $1`, scanObject}

func scanObject(r row) (store.Object, error) {
	var (
		o                store.Object
		spec             string
		created, updated int64
	)
	if err := r.Scan(&o.UID, &o.Kind, &o.Name, &o.Tenant, &o.Owner, &spec, &o.Revision, &created, &updated); err != nil {
		return store.Object{}, err
	}
	o.Spec = bytesOf([]byte(spec))
	o.CreatedAt, o.UpdatedAt = moment(created), moment(updated)
	return o, nil
}

// Object implements store.Objects.
func (s *session) Object(ctx context.Context, kind, name string) (store.Object, error) {
	return selectObject.one(ctx, s, kind, name)
}

// Objects implements store.Objects.
func (s *session) Objects(ctx context.Context, kind string, page store.Page) ([]store.Object, error) {
	n, err := limit(page.Limit)
	if err != nil {
		return nil, err
	}
	if page.Tenant != "" || page.Platform {
		return selectTenantObjects.list(ctx, s, kind, page.After, n, page.Tenant)
	}
	return selectObjects.list(ctx, s, kind, page.After, n)
}

// CreateObject implements store.ObjectWriter.
func (t *tx) CreateObject(ctx context.Context, o store.Object) error {
	if o.UID == "" || o.Kind == "" || o.Name == "" {
		return invalid("an object needs a uid, a kind and a name")
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	err := t.create(ctx, "create an object", insertObject, o.UID, o.Kind, o.Name, o.Tenant, o.Owner, string(o.Spec),
		int64(1), micros(o.CreatedAt), micros(o.UpdatedAt))
	if err != nil {
		return err
	}
	return t.note(ctx, o.Kind, o.Name)
}

// UpdateObject implements store.ObjectWriter.
func (t *tx) UpdateObject(ctx context.Context, o store.Object) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.exec(ctx, "change an object", updateObject, o.UID, o.Kind, o.Name, o.Revision, o.Tenant, o.Owner,
		string(o.Spec), micros(o.UpdatedAt))
	if err != nil {
		return err
	}
	if changed == 1 {
		return t.note(ctx, o.Kind, o.Name)
	}
	if _, err := selectObjectUID.one(ctx, &t.session, o.UID); err != nil {
		return err // NotFound: no such uid
	}
	return conflict("change an object: another revision or name")
}

// DeleteObject implements store.ObjectWriter.
func (t *tx) DeleteObject(ctx context.Context, uid string) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	o, err := selectObjectUID.one(ctx, &t.session, uid)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete an object", deleteObject, uid); err != nil {
		return err
	}
	return t.note(ctx, o.Kind, o.Name)
}
