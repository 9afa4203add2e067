package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// SetServiceDisabled disables (all its live tokens end, and stay dead when it is
// enabled again) or enables. Disabled is an operator's lock: nothing else clears it
// (RULES A9). Enabling ends what was minted until then, too: a replica that was cut off
// from the store may have gone on for as long as it may be stale (RULES E4).
//
// Errors: countersign.NotFound, Conflict (another revision), Denied, Unavailable.
func (a *Admin) SetServiceDisabled(ctx context.Context, actor Actor, name string, revision int64, disabled bool) (ServiceDetail, error) {
	c := &change{actor: actor, action: "service.enable", name: name}
	if disabled {
		c.action = "service.disable"
	}
	var made ServiceDetail
	err := a.update(ctx, c, revision, func(ctx context.Context, tx store.Tx, s *store.Service) error {
		locked := disabled || s.Disabled
		s.Disabled = disabled
		c.detail = "uid=" + s.UID
		if !locked {
			return nil
		}
		return a.revokeService(ctx, tx, c, *s)
	}, &made)
	return made, err
}

// DeleteService removes the service and its secrets; its live tokens end. Its uid
// never comes back, so a service of the same name revives nothing (RULES A5).
//
// Errors: countersign.NotFound, Conflict (another revision), Denied, Unavailable.
func (a *Admin) DeleteService(ctx context.Context, actor Actor, name string, revision int64) error {
	c := &change{actor: actor, action: "service.delete", name: name}
	if err := actor.mayBegin(resource.KindService); err != nil {
		return a.refused(ctx, c, err)
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		s, err := current(ctx, tx, actor, name, revision)
		if err != nil {
			return err
		}
		if err := a.mayDropConfig(actor, resource.KindService, name, s.Owner); err != nil {
			return err
		}
		c.detail = "uid=" + s.UID
		if err := a.revokeService(ctx, tx, c, s); err != nil {
			return err
		}
		return tx.DeleteService(ctx, s.UID)
	})
}

// RevokeService ends all tokens of a service that were issued until now, and the sessions
// that they proved.
//
// Errors: countersign.NotFound, Denied, Unavailable.
func (a *Admin) RevokeService(ctx context.Context, actor Actor, name string) error {
	return a.RevokeServiceBefore(ctx, actor, name, time.Time{})
}

// RevokeServiceBefore is RevokeService for what was issued until a time; zero = now.
//
// Errors: countersign.Invalid (a time to come), NotFound, Denied, Unavailable.
func (a *Admin) RevokeServiceBefore(ctx context.Context, actor Actor, name string, before time.Time) error {
	c := &change{actor: actor, action: "revoke", name: name, exact: !before.IsZero()}
	if !actor.Anywhere(policy.RevocationsWrite) {
		return a.refused(ctx, c, notAdministrator())
	}
	if before.After(a.clock()) {
		return a.refused(ctx, c, beforeLater())
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		s, err := tx.Service(ctx, name)
		if err == nil && !actor.May(policy.RevocationsWrite, s.Tenant) {
			err = Unseen()
		}
		if err != nil {
			return err
		}
		c.detail = "uid=" + s.UID
		if before.IsZero() {
			return a.revokeService(ctx, tx, c, s)
		}
		before = before.UTC().Truncate(time.Microsecond)
		c.detail += " before=" + before.Format(time.RFC3339)
		return a.revokeServiceUntil(ctx, tx, c, s, before)
	})
}

// Token names a token of ours.
type Token struct {
	ID string
	// ExpiresAt is when it ends by itself.
	ExpiresAt time.Time
	// NoSessions tells that no session can have been proven by it: it is not for the STS.
	NoSessions bool
}

// Over returns from when on nothing of the token is alive: neither itself nor a session that
// it proved, maybe in its last moment.
func (t Token) Over() time.Time {
	if t.NoSessions {
		return t.ExpiresAt.Add(RevocationSlack)
	}
	return t.ExpiresAt.Add(keepRevocation)
}

// RevokeToken ends one token of ours, and the sessions that it proved. Where nothing of it is
// alive any more, nothing is written. Who may revoke a token is for the caller to decide
// (RULES B5): its own client may, without being an administrator.
//
// Errors: countersign.Invalid, Unavailable.
func (a *Admin) RevokeToken(ctx context.Context, actor Actor, t Token) error {
	c := &change{actor: actor, action: "revoke"}
	now := a.clock()
	if !wellFormedTokenID(t.ID) {
		return a.refused(ctx, c, invalid(countersign.ReasonParameterInvalid, "this is not the id of a token"))
	}
	c.tokenID = t.ID
	if !now.Before(t.Over()) {
		return nil
	}
	if t.ExpiresAt.After(now.Add(MaxTokenLifetime + RevocationSlack)) {
		return a.refused(ctx, c, invalid(countersign.ReasonParameterInvalid, "no token of ours lives that long"))
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		return a.putRevocation(ctx, tx, c, store.Revocation{JTI: t.ID, ExpiresAt: t.Over(), CreatedAt: now})
	})
}

// revokeService ends every token of s that was issued until now, and every session. It is
// kept until the longest-lived of them has ended by itself.
func (a *Admin) revokeService(ctx context.Context, tx store.Tx, c *change, s store.Service) error {
	return a.revokeServiceUntil(ctx, tx, c, s, a.untilNow())
}

func (a *Admin) revokeServiceUntil(ctx context.Context, tx store.Tx, c *change, s store.Service, before time.Time) error {
	return a.putRevocation(ctx, tx, c, store.Revocation{
		Service: s.Name, ServiceUID: s.UID, Before: before, ExpiresAt: before.Add(keepProofs), CreatedAt: a.clock(),
	})
}

// putRevocation stores r, unless no token and no session is alive that it could hit, and ends
// the access keys that it hits.
func (a *Admin) putRevocation(ctx context.Context, tx store.Tx, c *change, r store.Revocation) (err error) {
	// What ends now ends every key that is there: the transaction runs alone, so it is older,
	// whatever the clock said of the replica that made it.
	var until time.Time
	if c.exact {
		until = lastCovered(r)
	}
	if err := a.endAccessKeys(ctx, tx, c, r, until); err != nil {
		return err
	}
	if r.ExpiresAt.After(a.clock()) {
		if r.Seq, err = tx.PutRevocation(ctx, r); err != nil {
			return err
		}
	}
	c.revocations = append(c.revocations, r)
	return nil
}

// update changes one service at the revision that the administrator has seen: fn
// changes s, which is then written under the next revision and read back into made.
func (a *Admin) update(ctx context.Context, c *change, revision int64,
	fn func(ctx context.Context, tx store.Tx, s *store.Service) error, made *ServiceDetail,
) error {
	if err := c.actor.mayBegin(resource.KindService); err != nil {
		return a.refused(ctx, c, err)
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		s, err := current(ctx, tx, c.actor, c.name, revision)
		if err != nil {
			return err
		}
		if err := fn(ctx, tx, &s); err != nil {
			return err
		}
		s.Revision++
		s.UpdatedAt = a.clock()
		if err := tx.UpdateService(ctx, s); err != nil {
			return err
		}
		*made, err = a.detail(ctx, tx, s)
		return err
	})
}

// current reads the service inside the transaction and holds it against who may change it
// and the revision that was asked for.
func current(ctx context.Context, tx store.Services, actor Actor, name string, revision int64) (store.Service, error) {
	if !countersign.ValidName(name) {
		return store.Service{}, unknownService(nil)
	}
	s, err := tx.Service(ctx, name)
	if err != nil {
		return store.Service{}, err
	}
	if err := actor.mayWrite(serviceTarget(s)); err != nil {
		return store.Service{}, err
	}
	if revision != AnyRevision && revision != s.Revision {
		return store.Service{}, changedMeanwhile(nil)
	}
	return s, nil
}
