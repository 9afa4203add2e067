package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const serviceColumns = `uid, name, tenant, owner, scopes, audiences, token_lifetime, disabled, revision, created_at, updated_at,
jwks, jwks_uri, tokens_per_minute, trust, shared_with`

const (
	insertService = `INSERT INTO service (` + serviceColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)` + unlessTaken

	// A name and a uid belong together for ever, so the name is a condition here.
	updateService = `UPDATE service SET tenant = $4, owner = $5, scopes = $6, audiences = $7, token_lifetime = $8,
disabled = $9, revision = $3, updated_at = $10, jwks = $11, jwks_uri = $12, tokens_per_minute = $13,
trust = $14, shared_with = $15
WHERE uid = $1 AND name = $2 AND revision = CAST($3 AS BIGINT) - 1`

	deleteService = `DELETE FROM service WHERE uid = $1 RETURNING name`
)

var selectService = query[store.Service]{"read a service", `SELECT ` + serviceColumns + ` FROM service WHERE name = $1`, scanService}

var selectServices = query[store.Service]{"list services", `SELECT ` + serviceColumns + ` FROM service WHERE name > $1 ORDER BY name LIMIT $2`, scanService}

var selectTenantServices = query[store.Service]{"list a tenant's services", `SELECT ` + serviceColumns + ` FROM service WHERE tenant = $3 AND name > $1 ORDER BY name LIMIT $2`, scanService}

var selectServiceUID = query[string]{"change a service", `SELECT uid FROM service WHERE uid = $1`, scanText}

func scanService(r row) (store.Service, error) {
	var (
		s                          store.Service
		scopes, audiences, shared  string
		jwks, trust                string
		lifetime, created, updated int64
	)
	err := r.Scan(&s.UID, &s.Name, &s.Tenant, &s.Owner, &scopes, &audiences, &lifetime, &s.Disabled, &s.Revision, &created, &updated,
		&jwks, &s.JWKSURI, &s.TokensPerMinute, &trust, &shared)
	if err != nil {
		return store.Service{}, err
	}
	if s.Scopes, err = wordsOf(scopes); err != nil {
		return store.Service{}, err
	}
	if s.Audiences, err = wordsOf(audiences); err != nil {
		return store.Service{}, err
	}
	if s.SharedWith, err = wordsOf(shared); err != nil {
		return store.Service{}, err
	}
	s.JWKS, s.Trust = bytesOf([]byte(jwks)), bytesOf([]byte(trust))
	s.TokenLifetime = time.Duration(lifetime) * time.Microsecond
	s.CreatedAt, s.UpdatedAt = moment(created), moment(updated)
	return s, nil
}

// Service implements store.Services.
func (s *session) Service(ctx context.Context, name string) (store.Service, error) {
	return selectService.one(ctx, s, name)
}

// Services implements store.Services.
func (s *session) Services(ctx context.Context, page store.Page) ([]store.Service, error) {
	n, err := limit(page.Limit)
	if err != nil {
		return nil, err
	}
	if page.Tenant != "" || page.Platform {
		return selectTenantServices.list(ctx, s, page.After, n, page.Tenant)
	}
	return selectServices.list(ctx, s, page.After, n)
}

// CreateService implements store.ServiceWriter.
func (t *tx) CreateService(ctx context.Context, s store.Service) error {
	if s.UID == "" || s.Name == "" {
		return invalid("a service needs a uid and a name")
	}
	scopes, audiences, shared, err := serviceLists(s)
	if err != nil {
		return err
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	err = t.create(ctx, "create a service", insertService, s.UID, s.Name, s.Tenant, s.Owner, scopes, audiences,
		s.TokenLifetime.Microseconds(), flag(s.Disabled), int64(1), micros(s.CreatedAt), micros(s.UpdatedAt),
		string(s.JWKS), s.JWKSURI, s.TokensPerMinute, string(s.Trust), shared)
	if err != nil {
		return err
	}
	return t.note(ctx, kindService, s.Name)
}

// UpdateService implements store.ServiceWriter.
func (t *tx) UpdateService(ctx context.Context, s store.Service) error {
	scopes, audiences, shared, err := serviceLists(s)
	if err != nil {
		return err
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.exec(ctx, "change a service", updateService, s.UID, s.Name, s.Revision, s.Tenant, s.Owner,
		scopes, audiences, s.TokenLifetime.Microseconds(), flag(s.Disabled), micros(s.UpdatedAt),
		string(s.JWKS), s.JWKSURI, s.TokensPerMinute, string(s.Trust), shared)
	if err != nil {
		return err
	}
	if changed == 1 {
		return t.note(ctx, kindService, s.Name)
	}
	if _, err := selectServiceUID.one(ctx, &t.session, s.UID); err != nil {
		return err // NotFound: no such uid
	}
	return conflict("change a service: another revision or name")
}

// DeleteService implements store.ServiceWriter. The secrets go by the foreign key.
func (t *tx) DeleteService(ctx context.Context, uid string) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	name, err := returning[string](ctx, &t.session, "delete a service", deleteService, uid)
	if err != nil {
		return err
	}
	return t.note(ctx, kindService, name)
}

func serviceLists(s store.Service) (scopes, audiences, shared string, err error) {
	if scopes, err = words(s.Scopes); err != nil {
		return "", "", "", err
	}
	if audiences, err = words(s.Audiences); err != nil {
		return "", "", "", err
	}
	shared, err = words(s.SharedWith)
	return scopes, audiences, shared, err
}

func scanText(r row) (string, error) {
	var text string
	err := r.Scan(&text)
	return text, err
}
