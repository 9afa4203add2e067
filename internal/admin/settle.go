package admin

import (
	"context"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// settleTimeout bounds how long one waits for another who settles: a disk that hangs
// must not line up the requests of everybody who revokes.
const settleTimeout = 5 * time.Second

// Settle stores the revocations that could not be stored when they were asked for.
// Nobody may be told that a token is revoked already before this has returned nil: a
// client that was told to try again relies on it (vulnerabilities 22; see CatchUp).
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
	var stored []store.Revocation
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		if err := tx.Serialize(ctx); err != nil {
			return nil, err
		}
		var events []audit.Event
		for _, c := range changes {
			numbered, late, err := a.storeLate(ctx, tx, c)
			if err != nil {
				return nil, err
			}
			stored, events = append(stored, numbered...), slices.Concat(events, late, c.ended)
		}
		return events, nil
	})
	if err != nil {
		return describe(err)
	}
	for _, r := range stored { // they have numbers now, by which receivers get them
		a.registry.Revoke(r)
	}
	for _, c := range changes {
		for _, object := range c.objects { // access keys that ended with them
			a.registry.ForgetObject(object[0], object[1])
		}
	}
	if err := a.unsettled.drop(len(changes)); err != nil {
		return describe(err)
	}
	return nil
}

// CatchUp is Settle, and after it the view knows everything that was committed before: until
// then it may hold a token for dead that lives, such as one of a service that was enabled or
// made anew at another replica a moment ago. Who finds a token revoked already, and is about
// to say so, calls CatchUp and looks again.
//
// Errors: countersign.Unavailable.
func (a *Admin) CatchUp(ctx context.Context) error {
	if err := a.Settle(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return describe(a.registry.CatchUp(ctx))
}

// storeLate stores the revocations of c that still hit something.
func (a *Admin) storeLate(ctx context.Context, tx store.Tx, c *change) (stored []store.Revocation, events []audit.Event, err error) {
	c.ended = nil // of an earlier try
	for _, r := range c.revocations {
		if !r.ExpiresAt.After(a.clock()) {
			continue
		}
		if r.Seq, err = tx.PutRevocation(ctx, r); err != nil {
			return nil, nil, err
		}
		if err := a.endAccessKeys(ctx, tx, c, r); err != nil {
			return nil, nil, err
		}
		stored = append(stored, r)
		told := &change{actor: c.actor, action: "revoke", name: r.Service, tokenID: c.tokenID, detail: "stored late"}
		told.actor.RequestID = "" // that request was refused
		e := a.event(told, audit.Changed, countersign.ReasonOK)
		e.UserIssuer, e.User, e.Role, e.Session = r.Issuer, r.Subject, r.Role, r.Session
		events = append(events, e)
	}
	return stored, events, nil
}
