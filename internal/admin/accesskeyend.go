package admin

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// endAccessKeys marks the access keys that a revocation hits, for ever: the revocation itself is
// kept only as long as sessions live, and they live longer. Until, where it is set, leaves out
// those that were made later. An event tells of each.
func (a *Admin) endAccessKeys(ctx context.Context, tx store.Tx, c *change, r store.Revocation, until time.Time) error {
	if r.Session != "" {
		return a.endAccessKey(ctx, tx, c, r)
	}
	if r.Service == "" && r.Role == "" && !r.All {
		return nil // a key is no token, and nobody's login has proven it
	}
	filter := store.AccessKeyFilter{ServiceUID: r.ServiceUID, RoleUID: r.RoleUID}
	for after := ""; ; {
		page, err := tx.AccessKeys(ctx, filter, store.Page{After: after, Limit: store.MaxLimit})
		if err != nil {
			return err
		}
		for _, key := range page {
			after = key.Name
			hit := r.All || r.Service != "" && key.Service == r.Service || r.Role != "" && key.Role == r.Role
			if !hit || !until.IsZero() && key.CreatedAt.After(until) {
				continue
			}
			if err := a.markRevoked(ctx, tx, c, key); err != nil {
				return err
			}
		}
		if len(page) < store.MaxLimit {
			return nil
		}
	}
}

// lastCovered is when the youngest access key was made that the view holds for dead by r: what
// is not marked would live again when r is over (RULES E3). Zero = whenever it was made.
func lastCovered(r store.Revocation) time.Time {
	if r.Before.IsZero() {
		return time.Time{}
	}
	return r.Before.Add(registry.BeforeSlack)
}

func (a *Admin) endAccessKey(ctx context.Context, tx store.Tx, c *change, r store.Revocation) error {
	if !keys.ValidAccessKeyID(r.Session) {
		return nil // a session's
	}
	key, err := tx.AccessKeyByID(ctx, r.Session)
	if errors.Is(err, countersign.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return a.markRevoked(ctx, tx, c, key)
}

func (a *Admin) markRevoked(ctx context.Context, tx store.Tx, c *change, key store.AccessKey) error {
	now := a.clock()
	if !key.RevokedAt.IsZero() || !now.Before(key.ExpiresAt) {
		return nil
	}
	if err := tx.RevokeAccessKey(ctx, key.UID, now); err != nil {
		return err
	}
	c.objects = append(c.objects, [2]string{resource.KindAccessKey, key.ID})
	e := a.accessKeyEvent(c, &key, ApplyChanged)
	e.Action, e.ID = "access-key.revoke", countersign.NewRequestID(now) // the request's is that of the revocation
	c.ended = append(c.ended, e)
	return nil
}

// unknownAccessKey is for who names one by its id.
func unknownAccessKey(cause error) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonAccessKeyUnknown, "there is no such access key", cause)
}
