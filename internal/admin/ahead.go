package admin

import (
	"context"

	"github.com/countersign/countersign/internal/store"
)

// SettleAhead stores the revocations that wait for Settle while the audit log still stores what
// it recorded in an outage, which takes minutes after a long one: nothing else is changed then,
// but what somebody revoked here in the outage must not be alive elsewhere that long. Settle
// stores them once more, with their events, when those have their place in the log. It does
// nothing while changes are possible, or the store is away.
//
// Errors: countersign.Unavailable.
func (a *Admin) SettleAhead(ctx context.Context) error {
	if !a.onlyAhead() || len(a.unsettled.all()) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	select {
	case <-a.unsettled.turn:
		defer func() { a.unsettled.turn <- struct{}{} }()
	case <-ctx.Done():
		return describe(ctx.Err())
	}
	var changes []*change
	var owed []store.Revocation
	for _, c := range a.unsettled.all() {
		if !c.ahead {
			changes, owed = append(changes, c), append(owed, c.revocations...)
		}
	}
	if len(changes) == 0 {
		return nil // others who change something wait for the lock
	}
	if err := a.storeAhead(ctx, owed); err != nil {
		return err
	}
	for _, c := range changes {
		c.ahead = true
	}
	return nil
}

// StoreAhead is for StoreOwed what SettleAhead is for Settle: stored tells that it was done.
//
// Errors: countersign.Unavailable.
func (a *Admin) StoreAhead(ctx context.Context, owed []store.Revocation) (stored bool, err error) {
	if !a.onlyAhead() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	err = a.storeAhead(ctx, owed)
	return err == nil, err
}

// onlyAhead: the store answers, and takes no change yet.
func (a *Admin) onlyAhead() bool {
	_, away, _ := a.registry.Fresh()
	return a.audit.Degraded() && !away
}

// storeAhead stores revocations without their events.
func (a *Admin) storeAhead(ctx context.Context, owed []store.Revocation) error {
	var stored []store.Revocation
	now := a.clock()
	err := a.store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		if err := tx.Serialize(ctx); err != nil {
			return err
		}
		stored = nil // of an earlier try
		for _, r := range owed {
			if !r.ExpiresAt.After(now) {
				continue
			}
			if r.Seq, err = tx.PutRevocation(ctx, r); err != nil {
				return err
			}
			stored = append(stored, r)
		}
		return nil
	})
	if err != nil {
		return describe(err)
	}
	for _, r := range stored {
		a.registry.Revoke(r)
	}
	return nil
}
