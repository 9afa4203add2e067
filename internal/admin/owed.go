package admin

import (
	"context"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// StoreOwed stores revocations that this process holds to and that the store has not, or not
// any more, in one transaction with an event each, which says why. The actor is the server.
// Those that hit nothing any more are left out. Asked again after an error it may store some
// twice, which does no harm.
//
// Errors: countersign.Unavailable.
func (a *Admin) StoreOwed(ctx context.Context, owed []store.Revocation, why string) error {
	c := &change{actor: Actor{ID: "server"}, action: "revoke", revocations: owed}
	var stored []store.Revocation
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) (events []audit.Event, err error) {
		if err := tx.Serialize(ctx); err != nil {
			return nil, err
		}
		if stored, events, err = a.storeLate(ctx, tx, c); err != nil {
			return nil, err
		}
		for i := range events {
			events[i].Detail = why
		}
		return append(events, c.ended...), nil
	})
	if err != nil {
		return describe(err)
	}
	for _, r := range stored {
		a.registry.Revoke(r)
	}
	for _, object := range c.objects { // access keys that ended with them
		a.registry.ForgetObject(object[0], object[1])
	}
	return nil
}
