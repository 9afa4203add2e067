package admin

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// unsettled are the changes whose revocation holds in this process although its commit
// failed: a restart would forget it, unless it is stored in the meantime. There is at
// most one for each change that failed so.
type unsettled struct {
	turn chan struct{} // holds one token: who has it settles

	mu      sync.Mutex
	changes []*change
}

func newUnsettled() *unsettled {
	u := &unsettled{turn: make(chan struct{}, 1)}
	u.turn <- struct{}{}
	return u
}

func (u *unsettled) add(c *change) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes = append(u.changes, c)
}

// all returns what is there; it stays until it is dropped.
func (u *unsettled) all() []*change {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.changes)
}

// drop forgets the first n.
func (u *unsettled) drop(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes = slices.Clone(u.changes[n:])
}

// settleTimeout bounds how long one waits for another who settles: a disk that hangs
// must not line up the requests of everybody who revokes.
const settleTimeout = 5 * time.Second

// Settle stores the revocations that could not be stored when they were asked for.
// Nobody may be told that a token is revoked already before this has returned nil: a
// client that was told to try again relies on it (vulnerabilities 22).
//
// Errors: countersign.Unavailable.
func (a *Admin) Settle(ctx context.Context) error {
	if len(a.unsettled.all()) == 0 {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	select {
	case <-a.unsettled.turn:
		defer func() { a.unsettled.turn <- struct{}{} }()
	case <-wait.Done():
		return describe(wait.Err())
	}
	// They stay until the disk has them: nobody hears "all stored" before.
	changes := a.unsettled.all()
	if len(changes) == 0 {
		return nil
	}
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		if err := tx.Serialize(ctx); err != nil {
			return nil, err
		}
		var events []audit.Event
		for _, c := range changes {
			late, err := a.storeLate(ctx, tx, c)
			if err != nil {
				return nil, err
			}
			events = append(events, late...)
		}
		return events, nil
	})
	if err != nil {
		return describe(err)
	}
	a.unsettled.drop(len(changes))
	return nil
}

// storeLate stores the revocations of c that still hit something.
func (a *Admin) storeLate(ctx context.Context, tx store.Tx, c *change) ([]audit.Event, error) {
	var events []audit.Event
	for _, r := range c.revocations {
		if !r.ExpiresAt.After(a.clock()) {
			continue
		}
		if _, err := tx.PutRevocation(ctx, r); err != nil {
			return nil, err
		}
		told := &change{actor: c.actor, action: "revoke", name: r.Service, tokenID: c.tokenID, detail: "stored late"}
		told.actor.RequestID = "" // that request was refused
		e := a.event(told, audit.Changed, countersign.ReasonOK)
		e.UserIssuer, e.User = r.Issuer, r.Subject
		events = append(events, e)
	}
	return events, nil
}
