package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const revocationColumns = `seq, jti, service, service_uid, before_at, expires_at, created_at,
issuer, subject, kid, every_token, role, role_uid, session_id`

const (
	insertRevocation = `INSERT INTO revocation (` + revocationColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`

	deleteRevocations = `DELETE FROM revocation WHERE expires_at <> 0 AND expires_at < $1`
)

// keepDead is how long a revocation stays in the table after it has ended, so that
// no replica with a slow clock loses one that it still needs.
const keepDead = 24 * time.Hour

var selectRevocations = query[store.Revocation]{"list revocations", `SELECT ` + revocationColumns + ` FROM revocation
WHERE seq > $1 AND (expires_at = 0 OR expires_at > $2) ORDER BY seq LIMIT $3`, scanRevocation}

func scanRevocation(r row) (store.Revocation, error) {
	var (
		v                        store.Revocation
		before, expires, created int64
	)
	if err := r.Scan(&v.Seq, &v.JTI, &v.Service, &v.ServiceUID, &before, &expires, &created,
		&v.Issuer, &v.Subject, &v.KID, &v.All, &v.Role, &v.RoleUID, &v.Session); err != nil {
		return store.Revocation{}, err
	}
	v.Before, v.ExpiresAt, v.CreatedAt = moment(before), moment(expires), moment(created)
	return v, nil
}

// Revocations implements store.Revocations.
func (s *session) Revocations(ctx context.Context, after int64, alive time.Time, max int) ([]store.Revocation, error) {
	n, err := limit(max)
	if err != nil {
		return nil, err
	}
	return selectRevocations.list(ctx, s, after, micros(alive), n)
}

// PutRevocation implements store.Tx. It also forgets revocations that ended more
// than a day before r.CreatedAt: the table is bounded by what is alive.
func (t *tx) PutRevocation(ctx context.Context, r store.Revocation) (int64, error) {
	selectors := 0
	for _, set := range []bool{r.JTI != "", r.Service != "", r.Issuer != "", r.KID != "", r.All, r.Role != "", r.Session != ""} {
		if set {
			selectors++
		}
	}
	if selectors != 1 || r.Subject != "" && r.Issuer == "" || r.ServiceUID != "" && r.Service == "" || r.RoleUID != "" && r.Role == "" {
		return 0, invalid("a revocation names exactly one thing")
	}
	seq, err := t.nextSeq(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, "put a revocation", insertRevocation, seq, r.JTI, r.Service, r.ServiceUID,
		micros(r.Before), micros(r.ExpiresAt), micros(r.CreatedAt), r.Issuer, r.Subject, r.KID, flag(r.All),
		r.Role, r.RoleUID, r.Session); err != nil {
		return 0, err
	}
	if err := t.forgetChanges(ctx); err != nil || r.CreatedAt.IsZero() {
		return seq, err
	}
	_, err = t.exec(ctx, "forget ended revocations", deleteRevocations, micros(r.CreatedAt.Add(-keepDead)))
	return seq, err
}
