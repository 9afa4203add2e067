package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// EndAllIn ends every key for a database that was restored (RULES E6), and returns how many
// those were. What signs or seals for a token or a session is dropped at once, with all that
// it made; the others sign no more and stay known for what they have signed. Whoever opens the
// ring next makes new ones. Access keys are revoked: which of them were, since the backup, nobody
// knows any more. It needs no master key.
//
// Errors: countersign.Unavailable.
func EndAllIn(ctx context.Context, tx store.Tx, now time.Time) (count int, err error) {
	for _, p := range purposes {
		rows, err := tx.SigningKeys(ctx, string(p))
		if err != nil {
			return 0, fmt.Errorf("read %s keys: %w", p, err)
		}
		for _, row := range rows {
			until, keep := earlier(row.UseUntil, now), now
			if p == Audit || p == Revocation || p == Policy {
				keep = schedule{purpose: p}.keep(until)
			}
			keep = earlier(row.KeepUntil, keep)
			if until.Equal(row.UseUntil) && keep.Equal(row.KeepUntil) {
				continue
			}
			if err := tx.ScheduleSigningKey(ctx, row.KID, until, keep); err != nil {
				return 0, fmt.Errorf("end %s key %s: %w", p, row.KID, err)
			}
			count++
		}
	}
	ended, err := endAccessKeysIn(ctx, tx, now)
	return count + ended, err
}

// earlier returns the first of two times, the zero time being never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
