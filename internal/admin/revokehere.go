package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// HereSelector says what ends in this process. Exactly one of JTI, Service and those of
// RevokeSelector is set.
type HereSelector struct {
	// JTI is a token's id; ExpiresAt, beside it, when that token ends (zero = not known).
	JTI       string
	ExpiresAt time.Time
	// Service ends the tokens of that name, whatever its uid, that were issued until now.
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
	c := &change{actor: actor, action: "revoke", name: s.Service, tokenID: s.JTI}
	if err := mayChange(actor); err != nil {
		return false, a.refused(ctx, c, err)
	}
	r, err := a.hereRevocation(s)
	if err != nil {
		c.tokenID = "" // whatever was typed there stays out of the log
		return false, a.refused(ctx, c, err)
	}
	c.revocations = []store.Revocation{r}
	kept := a.unsettled.add(c)
	a.registry.Revoke(r)
	c.detail = "here, stored later"
	event := a.event(c, audit.Changed, countersign.ReasonOK)
	event.UserIssuer, event.User = r.Issuer, r.Subject
	if err := a.audit.Commit(ctx, event); err != nil {
		return false, describe(err)
	}
	if err := a.Settle(ctx); err != nil {
		return false, kept
	}
	return true, nil
}

func (a *Admin) hereRevocation(s HereSelector) (store.Revocation, error) {
	now := a.clock()
	r := store.Revocation{JTI: s.JTI, Service: s.Service, Issuer: s.Issuer, Subject: s.Subject, KID: s.KID, All: s.All, CreatedAt: now}
	ends := now.Add(MaxTokenLifetime + RevocationSlack)
	switch {
	case s.JTI != "" && s.Service != "", (s.JTI != "" || s.Service != "") && s.RevokeSelector != (RevokeSelector{}):
		return r, invalid(countersign.ReasonParameterInvalid, "say exactly one of: a token, a service, a user, an issuer, all")
	case s.JTI != "":
		if !wellFormedTokenID(s.JTI) {
			return r, invalid(countersign.ReasonParameterInvalid, "this is not the id of a token")
		}
		r.ExpiresAt = ends
		if alive := s.ExpiresAt.Add(RevocationSlack); !s.ExpiresAt.IsZero() && alive.Before(ends) {
			r.ExpiresAt = alive
		}
		return r, nil
	case s.Service != "":
		if !countersign.ValidName(s.Service) {
			return r, unknownService(nil)
		}
		r.Before, r.ExpiresAt = now, ends
		return r, nil
	}
	if err := s.check(now); err != nil {
		return r, err
	}
	if r.Before = s.Before.UTC().Truncate(time.Microsecond); s.Before.IsZero() {
		r.Before = now
	}
	r.ExpiresAt = a.revocationEnds(r)
	return r, nil
}
