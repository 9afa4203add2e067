package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// change is one administrative change on its way.
type change struct {
	actor  Actor
	action string // of the audit event
	// name of the service that it is about; "" = none.
	name string
	// tokenID is the jti of a token that it is about.
	tokenID string
	// detail is filled in by the transaction: what was done, as safe words.
	detail string
	// revocations are filled in by the transaction: what it revoked.
	revocations []store.Revocation
	// exact tells that what is revoked ends at a time that was asked for, not now.
	exact bool
	// widened tells that what it revokes is stored, and that only its later end is not.
	widened bool
	// ahead tells that SettleAhead has stored what it revokes. Who has the turn of unsettled
	// reads and writes it.
	ahead bool
	// several tells that the change has one event for each object instead of one: those
	// in events, and that names are the services whose view is dropped beside name.
	several bool
	events  []audit.Event
	names   []string
	// objects are those of other kinds, by kind and name; of access keys by the id.
	objects [][2]string
	// ended are the events of the access keys that a revocation took along.
	ended []audit.Event
}

// run makes a change: fn and the event that tells of it in one transaction, which runs
// alone among the changes of all processes, so that what fn has read is still true when
// it commits; then the registry's view. A change that fails is recorded as refused.
func (a *Admin) run(ctx context.Context, c *change, fn func(ctx context.Context, tx store.Tx) error) error {
	done := false
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		if err := tx.Serialize(ctx); err != nil {
			return nil, err
		}
		c.revocations, c.ended = nil, nil // of an earlier try
		if err := a.again(ctx, c.actor); err != nil {
			return nil, err
		}
		if err := fn(ctx, tx); err != nil {
			return nil, err
		}
		done = true
		if !c.several {
			c.events = []audit.Event{a.event(c, audit.Changed, countersign.ReasonOK)}
		}
		return slices.Concat(c.events, c.ended), nil
	})
	// When fn was done and the commit failed nobody knows which state is on the disk.
	// The view is dropped then too, and a revocation is taken as made: that is the safe
	// side. When fn was not done because the store was away, nothing is on the disk, and the
	// view stays: it could not be read again, and a write that was refused in an outage
	// would end the tokens of its service until the store is back (RULES E4).
	widened := false
	if done && len(c.revocations) > 0 {
		widened = a.take(c, err == nil)
	}
	if done || !errors.Is(describe(err), countersign.Unavailable) {
		a.forget(c)
	}
	if err != nil {
		return a.refused(ctx, c, err)
	}
	// The disk takes writes again; what it doesn't take stays unsettled.
	if err := a.Settle(ctx); err != nil && widened {
		return err // the change is done, and does not end everywhere what it is to end
	}
	return nil
}

// forget drops the views of what c is about.
func (a *Admin) forget(c *change) {
	if c.name != "" {
		a.registry.Forget(c.name)
	}
	for _, name := range c.names {
		a.registry.Forget(name)
	}
	for _, object := range c.objects {
		a.registry.ForgetObject(object[0], object[1])
	}
	a.registry.Poke() // whoever listens to changes of other kinds hears of them now
}

// refused records that c did not happen and returns why, in words for the caller.
func (a *Admin) refused(ctx context.Context, c *change, err error) error {
	err = describe(err)
	c.detail = ""
	a.audit.RecordDetached(ctx, a.event(c, audit.Refused, countersign.ReasonOf(err)))
	return err
}

func (a *Admin) event(c *change, decision audit.Decision, reason countersign.Reason) audit.Event {
	now := a.clock()
	id := c.actor.RequestID
	if id == "" {
		id = countersign.NewRequestID(now)
	}
	target := c.name
	if !countersign.ValidName(target) {
		target = "" // whatever was typed there stays out of the log
	}
	return audit.Event{
		ID: id, Time: now, Action: c.action, Decision: decision, Reason: string(reason),
		Actor: c.actor.ID, UserIssuer: c.actor.UserIssuer, User: c.actor.User,
		Service: c.actor.Service, ServiceUID: c.actor.ServiceUID, Proof: c.actor.Proof, ClientAddr: c.actor.ClientAddr,
		Target: target, TokenID: c.tokenID, Detail: c.detail,
	}
}

// describe gives the store's errors words for the caller; those that have some pass.
func describe(err error) error {
	var known *countersign.Error
	if errors.As(err, &known) && known.Reason != "" {
		return err
	}
	switch {
	case errors.Is(err, countersign.NotFound):
		return unknownService(err)
	case errors.Is(err, countersign.Conflict):
		return changedMeanwhile(err)
	case errors.Is(err, countersign.Unavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
			"the change could not be stored now; look whether it happened before you try again", err)
	default:
		return err
	}
}

func invalid(reason countersign.Reason, msg string) error {
	return countersign.NewError(countersign.Invalid, reason, msg)
}

func unknownService(cause error) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such service", cause)
}

func changedMeanwhile(cause error) error {
	return countersign.WrapError(countersign.Conflict, countersign.ReasonRevisionMismatch,
		"the service was changed meanwhile: read it again", cause)
}
