package admin

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// HereSelector says what ends in this process. Exactly one of JTI, Service and those of
// RevokeSelector is set. A role is taken by its name, whatever its uid.
type HereSelector struct {
	// JTI is a token's id; ExpiresAt, beside it, when that token ends (zero = not known).
	JTI       string
	ExpiresAt time.Time
	// Service ends the tokens of that name, whatever its uid, that were issued until now or
	// Before, and the sessions that they proved.
	Service string
	RevokeSelector
}

// RevokeHere revokes in this process at once, without asking the store, which it may
// have lost (RULES E4). The store gets it as soon as it answers again, and by it the
// other replicas and the receivers; stored tells whether that was now.
//
// Errors: countersign.Invalid, Denied, Unavailable (it holds here, and a restart would
// forget it or its event).
func (a *Admin) RevokeHere(ctx context.Context, actor Actor, s HereSelector) (stored bool, err error) {
	c := &change{actor: actor, action: "revoke", name: s.Service, tokenID: s.JTI, exact: !s.Before.IsZero()}
	if err := mayChange(actor); err != nil {
		return false, a.refused(ctx, c, err)
	}
	r, err := a.hereRevocation(s)
	if err != nil {
		c.tokenID = "" // whatever was typed there stays out of the log
		return false, a.refused(ctx, c, err)
	}
	c.revocations = []store.Revocation{r}
	kept := a.unsettled.add(c.late(c.revocations))
	a.hold(r)
	c.detail = "here, stored later"
	event := a.event(c, audit.Changed, countersign.ReasonOK)
	event.UserIssuer, event.User, event.Role, event.Session = r.Issuer, r.Subject, r.Role, r.Session
	if err := a.audit.Commit(ctx, event); err != nil {
		return false, describe(err)
	}
	err = a.Settle(ctx)
	if wide := a.widen(c); len(wide) > 0 { // the store or the disk took its time: until now is until it is answered
		late := c.late(wide)
		late.widened = err == nil
		kept = errors.Join(kept, a.unsettled.add(late))
		for _, r := range wide {
			a.hold(r)
		}
		if err == nil {
			err = a.Settle(ctx)
		}
	}
	if err != nil {
		return false, kept
	}
	return true, nil
}

func (a *Admin) hereRevocation(s HereSelector) (store.Revocation, error) {
	now := a.clock()
	only := s.RevokeSelector
	only.Before = time.Time{}
	switch {
	case s.JTI != "" && (s.Service != "" || s.RevokeSelector != (RevokeSelector{})), s.Service != "" && only != (RevokeSelector{}):
		return store.Revocation{}, invalid(countersign.ReasonParameterInvalid,
			"say exactly one of: a token, a service, a user, an issuer, a role, a session, all")
	case s.JTI != "":
		return hereToken(s, now)
	case s.Service != "":
		switch {
		case !countersign.ValidName(s.Service):
			return store.Revocation{}, unknownService(nil)
		case s.Before.After(now):
			return store.Revocation{}, beforeLater()
		}
		r := a.revocation(s.RevokeSelector, now)
		r.Service = s.Service
		return r, nil
	}
	if err := s.check(now); err != nil {
		return store.Revocation{}, err
	}
	return a.revocation(s.RevokeSelector, now), nil
}

// hereToken: whether sessions were proven by the token is not known here.
func hereToken(s HereSelector, now time.Time) (store.Revocation, error) {
	t := Token{ID: s.JTI, ExpiresAt: s.ExpiresAt}
	if !wellFormedTokenID(t.ID) {
		return store.Revocation{}, invalid(countersign.ReasonParameterInvalid, "this is not the id of a token")
	}
	if latest := now.Add(MaxTokenLifetime); t.ExpiresAt.IsZero() || t.ExpiresAt.After(latest) {
		t.ExpiresAt = latest
	}
	return store.Revocation{JTI: t.ID, ExpiresAt: t.Over(), CreatedAt: now}, nil
}
