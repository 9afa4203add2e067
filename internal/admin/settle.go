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

// commitSlack is how long a commit may take before what it revokes "until now" has to end
// later: what a revocation covers beyond its time, without the time that a poll takes and a
// second by which clocks may differ (RULES E3).
const commitSlack = 500 * time.Millisecond

// take takes what c revoked into the view, and reports whether the store is yet to learn that
// it ends later, because the commit was slow: a token may have been minted meanwhile. Until
// Settle has stored that, other replicas let such a token live.
func (a *Admin) take(c *change, committed bool) (widened bool) {
	wide := a.widen(c)
	// First: who finds it revoked asks Settle whether it will stay so. That the file can't be
	// written is nothing to tell: the caller hears "unavailable" unless the store takes it.
	switch {
	case !committed:
		_ = a.unsettled.add(c.late(c.revocations))
	case len(wide) > 0:
		late := c.late(wide)
		late.widened = true
		_ = a.unsettled.add(late)
	}
	for _, r := range c.revocations {
		if committed {
			a.registry.Revoke(r)
		} else {
			a.hold(r)
		}
	}
	return committed && len(wide) > 0
}

// widen moves the end of what c revoked until now, where the commit was slow, to the time when
// it was over, and returns what it moved.
func (a *Admin) widen(c *change) (wide []store.Revocation) {
	if c.exact {
		return nil
	}
	now := a.untilNow()
	for i := range c.revocations {
		r := &c.revocations[i]
		took := now.Sub(r.Before)
		if r.Before.IsZero() || took <= commitSlack {
			continue
		}
		r.Before, r.ExpiresAt = now, r.ExpiresAt.Add(took)
		wide = append(wide, *r)
	}
	return wide
}

// late is what is left to store of a change. It shares nothing with c, which others may go
// on with.
func (c *change) late(revocations []store.Revocation) *change {
	return &change{actor: c.actor, action: "revoke", tokenID: c.tokenID, revocations: slices.Clone(revocations)}
}

// hold takes a revocation that is not stored yet into the view. Access keys are marked only
// when it is: until then it holds for as long as they can live.
func (a *Admin) hold(r store.Revocation) {
	r.Seq = 0
	if !r.Before.IsZero() && (r.Service != "" || r.Role != "" || r.All) {
		r.ExpiresAt = r.CreatedAt.Add(MaxAccessKeyLifetime + RevocationSlack)
	}
	a.registry.Revoke(r)
}

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

// storeLate stores the revocations of c that still hit a token or a session, and ends the
// access keys that they hit, however late it is.
func (a *Admin) storeLate(ctx context.Context, tx store.Tx, c *change) (stored []store.Revocation, events []audit.Event, err error) {
	c.ended, c.objects = nil, nil // of an earlier try
	for _, r := range c.revocations {
		// Those that were made since are none of them.
		if err := a.endAccessKeys(ctx, tx, c, r, lastCovered(r)); err != nil {
			return nil, nil, err
		}
		if !r.ExpiresAt.After(a.clock()) {
			continue
		}
		if r.Seq, err = tx.PutRevocation(ctx, r); err != nil {
			return nil, nil, err
		}
		stored = append(stored, r)
		told := &change{actor: c.actor, action: "revoke", name: r.Service, tokenID: c.tokenID, detail: "stored late"}
		if c.widened {
			told.detail = "until the end of a slow commit"
		}
		told.actor.RequestID = "" // that request has its event
		e := a.event(told, audit.Changed, countersign.ReasonOK)
		e.UserIssuer, e.User, e.Role, e.Session = r.Issuer, r.Subject, r.Role, r.Session
		events = append(events, e)
	}
	return stored, events, nil
}
