package sqlstore

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const keyColumns = `kid, purpose, algorithm, public, sealed, created_at, publish_at, use_from, use_until, keep_until`

const (
	insertKey = `INSERT INTO signing_key (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)` + unlessTaken

	scheduleKey = `UPDATE signing_key SET use_until = $2, keep_until = $3 WHERE kid = $1`

	resealKey = `UPDATE signing_key SET sealed = $2 WHERE kid = $1`
)

var selectKeys = query[store.SigningKey]{"list signing keys", `SELECT ` + keyColumns + ` FROM signing_key WHERE purpose = $1 ORDER BY created_at, kid`, scanKey}

func scanKey(r row) (store.SigningKey, error) {
	var (
		k                                store.SigningKey
		public                           string
		created, publish, from, til, end int64
	)
	err := r.Scan(&k.KID, &k.Purpose, &k.Algorithm, &public, &k.Sealed, &created, &publish, &from, &til, &end)
	if err != nil {
		return store.SigningKey{}, err
	}
	k.Public, k.Sealed = bytesOf([]byte(public)), bytesOf(k.Sealed)
	k.CreatedAt, k.PublishAt = moment(created), moment(publish)
	k.UseFrom, k.UseUntil, k.KeepUntil = moment(from), moment(til), moment(end)
	return k, nil
}

// SigningKeys implements store.SigningKeys.
func (s *session) SigningKeys(ctx context.Context, purpose string) ([]store.SigningKey, error) {
	return selectKeys.list(ctx, s, purpose)
}

// CreateSigningKey implements store.KeyWriter.
func (t *tx) CreateSigningKey(ctx context.Context, k store.SigningKey) error {
	if k.KID == "" || k.Purpose == "" {
		return invalid("a signing key needs a kid and a purpose")
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	err := t.create(ctx, "create a signing key", insertKey, k.KID, k.Purpose, k.Algorithm, string(k.Public), blob(k.Sealed),
		micros(k.CreatedAt), micros(k.PublishAt), micros(k.UseFrom), micros(k.UseUntil), micros(k.KeepUntil))
	if err != nil {
		return err
	}
	return t.note(ctx, kindSigningKey, k.KID)
}

// ScheduleSigningKey implements store.KeyWriter.
func (t *tx) ScheduleSigningKey(ctx context.Context, kid string, useUntil, keepUntil time.Time) error {
	return t.changeKey(ctx, "schedule a signing key", kid, scheduleKey, micros(useUntil), micros(keepUntil))
}

// ResealSigningKey implements store.KeyWriter.
func (t *tx) ResealSigningKey(ctx context.Context, kid string, sealed []byte) error {
	return t.changeKey(ctx, "reseal a signing key", kid, resealKey, blob(sealed))
}

func (t *tx) changeKey(ctx context.Context, what, kid, text string, args ...any) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.exec(ctx, what, text, append([]any{kid}, args...)...)
	if err != nil {
		return err
	}
	if changed == 0 {
		return notFound(what)
	}
	return t.note(ctx, kindSigningKey, kid)
}
