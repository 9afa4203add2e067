package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const loginColumns = `id, public, label, created_by, created_at, expires_at`

const (
	insertLoginCode = `INSERT INTO login_code (hash, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4)` + unlessTaken
	// One statement finds the code and takes it away: nobody else can in between.
	useLoginCode     = `DELETE FROM login_code WHERE hash = $1 AND expires_at > $2 RETURNING created_by`
	deleteLoginCodes = `DELETE FROM login_code WHERE expires_at <= $1`
	deleteAllCodes   = `DELETE FROM login_code`

	insertLogin     = `INSERT INTO login (` + loginColumns + `) VALUES ($1, $2, $3, $4, $5, $6)` + unlessTaken
	deleteLogin     = `DELETE FROM login WHERE id = $1`
	deleteLogins    = `DELETE FROM login WHERE expires_at <= $1`
	deleteAllLogins = `DELETE FROM login`
)

var (
	selectLogin     = query[store.Login]{"read a login", `SELECT ` + loginColumns + ` FROM login WHERE id = $1`, scanLogin}
	selectLogins    = query[store.Login]{"list logins", `SELECT ` + loginColumns + ` FROM login WHERE expires_at > $1 ORDER BY created_at, id LIMIT $2`, scanLogin}
	findLoginCode   = query[int64]{"look for a login code", `SELECT COUNT(*) FROM login_code WHERE hash = $1 AND expires_at > $2`, scanNumber}
	countLogins     = query[int64]{"count logins", `SELECT COUNT(*) FROM login`, scanNumber}
	countLoginCodes = query[int64]{"count login codes", `SELECT COUNT(*) FROM login_code`, scanNumber}
)

func scanNumber(r row) (n int64, err error) { return n, r.Scan(&n) }

func scanLogin(r row) (store.Login, error) {
	var (
		l            store.Login
		created, end int64
	)
	if err := r.Scan(&l.ID, &l.Public, &l.Label, &l.CreatedBy, &created, &end); err != nil {
		return store.Login{}, err
	}
	l.CreatedAt, l.ExpiresAt = moment(created), moment(end)
	return l, nil
}

// Login implements store.Logins.
func (s *session) Login(ctx context.Context, id string) (store.Login, error) {
	return selectLogin.one(ctx, s, id)
}

// Logins implements store.Logins.
func (s *session) Logins(ctx context.Context, now time.Time) ([]store.Login, error) {
	return selectLogins.list(ctx, s, micros(now), store.MaxLogins)
}

// LoginCodeKnown implements store.Logins.
func (s *session) LoginCodeKnown(ctx context.Context, hash []byte, now time.Time) (bool, error) {
	n, err := findLoginCode.one(ctx, s, hash, micros(now))
	return n > 0, err
}

// PutLoginCode implements store.LoginWriter.
func (t *tx) PutLoginCode(ctx context.Context, c store.LoginCode) error {
	if err := t.room(ctx, deleteLoginCodes, countLoginCodes, c.CreatedAt); err != nil {
		return err
	}
	return t.create(ctx, "store a login code", insertLoginCode, c.Hash, c.CreatedBy, micros(c.CreatedAt), micros(c.ExpiresAt))
}

// UseLoginCode implements store.LoginWriter.
func (t *tx) UseLoginCode(ctx context.Context, hash []byte, now time.Time) (store.LoginCode, error) {
	if err := t.claim(ctx); err != nil {
		return store.LoginCode{}, err
	}
	by, err := returning[string](ctx, &t.session, "use a login code", useLoginCode, hash, micros(now))
	return store.LoginCode{Hash: hash, CreatedBy: by}, err
}

// CreateLogin implements store.LoginWriter.
func (t *tx) CreateLogin(ctx context.Context, l store.Login) error {
	if err := t.room(ctx, deleteLogins, countLogins, l.CreatedAt); err != nil {
		return err
	}
	return t.create(ctx, "store a login", insertLogin, l.ID, l.Public, l.Label, l.CreatedBy, micros(l.CreatedAt), micros(l.ExpiresAt))
}

// room forgets what has ended and refuses when there is no room for one more.
func (t *tx) room(ctx context.Context, forget string, count query[int64], now time.Time) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "forget ended logins", forget, micros(now)); err != nil {
		return err
	}
	have, err := count.one(ctx, &t.session)
	if err == nil && have >= store.MaxLogins {
		return countersign.NewError(countersign.Throttled, countersign.ReasonRateLimited, "there are too many already: end some first")
	}
	return err
}

// DeleteLogin implements store.LoginWriter.
func (t *tx) DeleteLogin(ctx context.Context, id string) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.exec(ctx, "end a login", deleteLogin, id)
	if err == nil && changed == 0 {
		return notFound("end a login")
	}
	return err
}

// EndLogins implements store.LoginWriter.
func (t *tx) EndLogins(ctx context.Context, codesOnly bool) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "end login codes", deleteAllCodes); err != nil || codesOnly {
		return err
	}
	_, err := t.exec(ctx, "end logins", deleteAllLogins)
	return err
}
