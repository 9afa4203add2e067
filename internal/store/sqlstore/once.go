package sqlstore

import (
	"context"
	"time"
)

const (
	insertOnce = `INSERT INTO single_use (key, expires_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`

	deleteOnce = `DELETE FROM single_use WHERE expires_at < $1`

	// Windows of one service are few: an old one makes room for the next.
	leaseQuota = `INSERT INTO quota_use (service_uid, window_at, used) VALUES ($1, $2, $3)
ON CONFLICT (service_uid) DO UPDATE SET
used = CASE WHEN quota_use.window_at = excluded.window_at THEN quota_use.used + excluded.used ELSE excluded.used END,
window_at = excluded.window_at
RETURNING used`

	returnQuota = `UPDATE quota_use SET used = $3 WHERE service_uid = $1 AND window_at = $2`
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
		_, err = t.exec(ctx, "forget used values", deleteOnce, micros(now))
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
		_, err = t.exec(ctx, "return a part of a quota", returnQuota, serviceUID, micros(window), used-over)
		return err
	})
	if err != nil {
		return 0, err
	}
	return got, nil
}
