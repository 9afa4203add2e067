package admin

import (
	"context"
	"sync"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// unsettled are the changes whose revocation holds in this process although its commit
// failed: a restart would forget it, unless it is stored in the meantime. There is at
// most one for each live token and service.
type unsettled struct {
	mu      sync.Mutex
	changes []*change
}

func (u *unsettled) add(c *change) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes = append(u.changes, c)
}

// Settle stores the revocations that could not be stored when they were asked for.
// Nobody may be told that a token is revoked already before this has returned nil: a
// client that was told to try again relies on it (vulnerabilities 22).
//
// Errors: countersign.Unavailable.
func (a *Admin) Settle(ctx context.Context) error {
	// Held until the disk has them: whoever comes in between must not hear "all stored".
	a.unsettled.mu.Lock()
	defer a.unsettled.mu.Unlock()
	if len(a.unsettled.changes) == 0 {
		return nil
	}
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		var events []audit.Event
		for _, c := range a.unsettled.changes {
			r := *c.revocation
			if !r.ExpiresAt.After(a.clock()) {
				continue
			}
			if _, err := tx.PutRevocation(ctx, r); err != nil {
				return nil, err
			}
			told := &change{actor: c.actor, action: "revoke", name: c.name, tokenID: c.tokenID, detail: "stored late"}
			told.actor.RequestID = "" // that request was refused
			events = append(events, a.event(told, audit.Changed, countersign.ReasonOK))
		}
		return events, nil
	})
	if err != nil {
		return describe(err)
	}
	a.unsettled.changes = nil
	return nil
}
