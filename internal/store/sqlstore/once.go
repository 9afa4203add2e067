package sqlstore

import (
	"context"
	"time"
)

const (
	insertOnce = `INSERT INTO single_use (key, expires_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`

	// So many at a time that it takes no time. Rows that another process is about to
	// forget are left to it.
	deleteOnce = `DELETE FROM single_use WHERE key IN (SELECT key FROM single_use WHERE expires_at < $1 LIMIT 1000`

	// An old window makes room for the next. A process whose clock is behind takes its
	// share from the newer window, so that no window ever gives more than its limit; one
	// that lies more than an hour ahead was a clock that went wrong, and is forgotten.
	leaseQuota = `INSERT INTO quota_use (service_uid, window_at, used) VALUES ($1, $2, $3)
ON CONFLICT (service_uid) DO UPDATE SET
used = CASE WHEN quota_use.window_at BETWEEN excluded.window_at AND excluded.window_at + 3600000000
THEN quota_use.used + excluded.used ELSE excluded.used END,
window_at = CASE WHEN quota_use.window_at BETWEEN excluded.window_at AND excluded.window_at + 3600000000
THEN quota_use.window_at ELSE excluded.window_at END
RETURNING used`

	returnQuota = `UPDATE quota_use SET used = $2 WHERE service_uid = $1`
)

const maxOnceKey = 128

// UseOnce implements store.SingleUse.
func (s *Store) UseOnce(ctx context.Context, key string, until, now time.Time) (first bool, err error) {
	if key == "" || len(key) > maxOnceKey {
		return false, invalid("a key for single use has 1 to 128 bytes")
	}
	err = s.update(ctx, func(ctx context.Context, t *tx) error {
		changed, err := t.exec(ctx, "use a value once", insertOnce, key, micros(until))
		if err != nil || changed == 0 {
			return err
		}
		first = true
		_, err = t.exec(ctx, "forget used values", deleteOnce+t.dialect.skipLocked+`)`, micros(now))
		return err
	})
	return first && err == nil, err
}

// LeaseQuota implements store.Quotas.
func (s *Store) LeaseQuota(ctx context.Context, serviceUID string, window time.Time, want, most int64) (got int64, err error) {
	if serviceUID == "" || want <= 0 || most < 0 {
		return 0, invalid("a lease names a service and asks for something")
	}
	err = s.update(ctx, func(ctx context.Context, t *tx) error {
		used, err := returning[int64](ctx, &t.session, "lease a quota", leaseQuota, serviceUID, micros(window), want)
		if err != nil {
			return err
		}
		over := min(max(used-most, 0), want)
		if got = want - over; over == 0 {
			return nil
		}
		_, err = t.exec(ctx, "return a part of a quota", returnQuota, serviceUID, used-over)
		return err
	})
	if err != nil {
		return 0, err
	}
	return got, nil
}
