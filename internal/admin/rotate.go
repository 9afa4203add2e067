package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Rotation says what becomes of the secret before the new one. The older of two
// live secrets ends at once when a third is made (RULES B3).
type Rotation struct {
	// Grace is how long the newest old secret stays; 0 = it ends now; at most 30 days.
	Grace time.Duration
}

// RotateSecret makes a new secret.
//
// Errors: countersign.NotFound, Conflict (another revision), Invalid (the grace),
// Denied, Unavailable.
func (a *Admin) RotateSecret(ctx context.Context, actor Actor, name string, revision int64, r Rotation) (ServiceDetail, Credentials, error) {
	c := &change{actor: actor, action: "service.rotate", name: name}
	if r.Grace < 0 || r.Grace > MaxGrace {
		return ServiceDetail{}, Credentials{}, a.refused(ctx, c,
			invalid(countersign.ReasonParameterInvalid, "the grace is at most 30 days"))
	}
	var made ServiceDetail
	var value countersign.Secret
	err := a.update(ctx, c, revision, func(ctx context.Context, tx store.Tx, s *store.Service) error {
		if err := mayProve(actor, *s); err != nil {
			return err
		}
		old, err := tx.ClientSecrets(ctx, s.UID)
		if err != nil {
			return err
		}
		now := a.clock()
		plan := endOld(old, now, r.Grace)
		for _, secret := range plan.ended {
			if err := tx.PutClientSecret(ctx, secret); err != nil {
				return err
			}
		}
		for _, id := range plan.removed {
			if err := tx.DeleteClientSecret(ctx, id); err != nil {
				return err
			}
		}
		var secret store.ClientSecret
		value, secret = a.newSecret(s.UID, plan.createdAt)
		c.detail = "secret=" + secret.ID + " grace=" + r.Grace.String()
		return tx.PutClientSecret(ctx, secret)
	}, &made)
	if err != nil {
		return ServiceDetail{}, Credentials{}, err
	}
	return made, Credentials{ClientID: name, ClientSecret: value}, nil
}

// rotationPlan is what a rotation does to the secrets that are there.
type rotationPlan struct {
	ended   []store.ClientSecret // with their new end
	removed []string             // ended so long ago that nobody asks any more
	// createdAt of the new secret: later than all others, also when the clock stands.
	createdAt time.Time
}

// endOld decides about the secrets before the new one; old is oldest first. The
// newest live one stays for grace, and never longer than it would have; any other
// live one ends now (RULES B3).
func endOld(old []store.ClientSecret, now time.Time, grace time.Duration) rotationPlan {
	plan := rotationPlan{createdAt: now}
	newest := true
	for i := len(old) - 1; i >= 0; i-- {
		secret := old[i]
		if !secret.CreatedAt.Before(plan.createdAt) {
			plan.createdAt = secret.CreatedAt.Add(time.Microsecond)
		}
		if !live(secret, now) {
			if secret.ExpiresAt.Before(now.Add(-keepExpired)) {
				plan.removed = append(plan.removed, secret.ID)
			}
			continue
		}
		end := now
		if newest {
			end = now.Add(grace)
			newest = false
		}
		if secret.ExpiresAt.IsZero() || end.Before(secret.ExpiresAt) {
			secret.ExpiresAt = end
			plan.ended = append(plan.ended, secret)
		}
	}
	return plan
}

// live reports whether the secret can be used at that time.
func live(s store.ClientSecret, at time.Time) bool {
	return s.ExpiresAt.IsZero() || at.Before(s.ExpiresAt)
}
