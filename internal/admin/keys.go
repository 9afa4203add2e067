package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// serverItself is who acts when the schedule does.
const serverItself = "server"

// SigningKeys returns the signing keys by purpose, the oldest first, without their private halves.
func (a *Admin) SigningKeys() []store.SigningKey { return a.keys.List() }

// RotateKeys lets a new key of a purpose take over as soon as verifiers can know it, and
// returns what was made: nothing where a successor takes over as soon anyway.
//
// Errors: countersign.Invalid (no such purpose, the master key was replaced meanwhile),
// Denied, Unavailable.
func (a *Admin) RotateKeys(ctx context.Context, actor Actor, purpose string) ([]store.SigningKey, error) {
	var made []store.SigningKey
	c := &change{actor: actor, action: "key.rotate", several: true}
	if err := mayChange(actor); err != nil {
		return nil, a.refused(ctx, c, err)
	}
	p, err := keys.KnownPurpose(purpose)
	if err != nil {
		return nil, a.refused(ctx, c, err)
	}
	err = a.changeKeys(ctx, c, func(ctx context.Context, tx store.Tx) (err error) {
		made, err = a.keys.RotateIn(ctx, tx, p)
		detail := "purpose=" + purpose
		if len(made) == 0 {
			detail += " under way already"
		}
		a.tellOfKeys(c, detail, made)
		return err
	})
	return made, err
}

// CompromiseKey drops a key at once, everywhere, with all that it signed or sealed: it leaves
// its key set, and the feed of revocations names it (RULES B6). It returns what was made in
// its place.
//
// Errors: countersign.NotFound, Invalid (the master key was replaced meanwhile), Denied,
// Unavailable.
func (a *Admin) CompromiseKey(ctx context.Context, actor Actor, kid string) ([]store.SigningKey, error) {
	var made []store.SigningKey
	c := &change{actor: actor, action: "key.compromised", several: true}
	if err := mayChange(actor); err != nil {
		return nil, a.refused(ctx, c, err)
	}
	err := a.changeKeys(ctx, c, func(ctx context.Context, tx store.Tx) (err error) {
		var dropped store.SigningKey
		if dropped, made, err = a.keys.CompromiseIn(ctx, tx, kid); err != nil {
			return err
		}
		a.tellOfKeys(c, "kid="+dropped.KID+" purpose="+dropped.Purpose, made)
		switch keys.Purpose(dropped.Purpose) {
		case keys.Token, keys.Sealing, keys.Broker: // the broker's are in the same set as the tokens'
		default:
			return nil // its key set is all that verifiers go by
		}
		now := a.clock()
		return a.putRevocation(ctx, tx, c, store.Revocation{KID: dropped.KID, ExpiresAt: now.Add(keepProofs), CreatedAt: now})
	})
	return made, err
}

// RewrapKeys seals under the master key what the previous one sealed, and returns how many
// values that were (RULES B8).
//
// Errors: countersign.Denied, Invalid (a value that neither opens), Unavailable.
func (a *Admin) RewrapKeys(ctx context.Context, actor Actor) (count int, err error) {
	c := &change{actor: actor, action: "key.rewrap"}
	if err := mayChange(actor); err != nil {
		return 0, a.refused(ctx, c, err)
	}
	err = a.changeKeys(ctx, c, func(ctx context.Context, tx store.Tx) (err error) {
		count, err = a.keys.RewrapIn(ctx, tx)
		c.detail = fmt.Sprintf("%d values", count)
		return err
	})
	return count, err
}

// MaintainKeys makes the keys that their schedule asks for, if it does. The server calls it
// now and then.
//
// Errors: countersign.Invalid (the master key was replaced meanwhile), Unavailable.
func (a *Admin) MaintainKeys(ctx context.Context) error {
	if !a.keys.Due() {
		return nil
	}
	c := &change{actor: Actor{ID: serverItself}, action: "key.create", several: true}
	return a.changeKeys(ctx, c, func(ctx context.Context, tx store.Tx) error {
		made, err := a.keys.MaintainIn(ctx, tx)
		a.tellOfKeys(c, "", made)
		return err
	})
}

// BrokerSigner returns the key that signs what a real cloud takes (RULES D9). The first one
// is made when it is asked for.
//
// Errors: countersign.Unavailable.
func (a *Admin) BrokerSigner(ctx context.Context) (*keys.Signer, error) {
	signer, err := a.keys.Signer(keys.Broker)
	if err == nil {
		return signer, nil
	}
	if err := a.MaintainKeys(ctx); err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "the key of the broker could not be made now", err)
	}
	return a.keys.Signer(keys.Broker) //nolint:wrapcheck // it has its words
}

// changeKeys makes a change of the keys and takes it over here.
func (a *Admin) changeKeys(ctx context.Context, c *change, fn func(ctx context.Context, tx store.Tx) error) error {
	err := a.run(ctx, c, fn)
	// Also after a commit of unknown outcome: the store knows. That it can't be read is no
	// reason to tell of a failure: the changes are followed, and this is tried again.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	_ = a.keys.Reload(bounded)
	return err
}

// reloadTimeout bounds how long an administrator waits for what is followed anyway.
const reloadTimeout = 3 * time.Second

// tellOfKeys makes the events: of the change itself, unless it is only that, and of each
// key that it made.
func (a *Admin) tellOfKeys(c *change, detail string, made []store.SigningKey) {
	c.events = nil
	if detail != "" {
		c.detail = detail
		c.events = append(c.events, a.event(c, audit.Changed, "ok"))
	}
	for _, key := range made {
		of := &change{actor: c.actor, action: "key.create", detail: fmt.Sprintf("%s key %s (%s)", key.Purpose, key.KID, key.Algorithm)}
		of.actor.RequestID = "" // an event's id is its own
		c.events = append(c.events, a.event(of, audit.Changed, "ok"))
	}
}
