package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// BeforeSlack: "before T" covers what was issued up to T + 2 s, for the clocks of
	// replicas (RULES E3).
	BeforeSlack = 2 * time.Second
	// keepEnded is how long a revocation still holds after it has ended: verifiers
	// allow tokens a minute past their end (RULES C3), and clocks differ.
	keepEnded = 5 * time.Minute
	// pruneEvery is how often ended ones are looked for, at most.
	pruneEvery = time.Minute
	// pullTimeout bounds how long who revoked waits for the feed to have it.
	pullTimeout = 2 * time.Second
)

// TokenFacts is what a revocation can go by. A field that is empty is hit by none.
type TokenFacts struct {
	// Foreign: another issuer's token. Of it only Issuer and Subject count.
	Foreign bool
	JTI     string
	// KID is the key that signed it.
	KID string
	// Service and ServiceUID are the calling service, or the actor of an exchange. Every
	// token of ours has one.
	Service, ServiceUID string
	// Issuer and Subject are the user (RULES A1): iss or, after an exchange, sub_iss, and
	// sub. A service's own token has an Issuer only, ours: a service is no user (RULES A3).
	Issuer, Subject string
	IssuedAt        time.Time
}

// Revoke takes a committed revocation into the view: checks know it when it returns. With
// a number it gets into the feed too, from the store, as it is there and in its order: at once
// where nobody else writes, else with the next poll, which it starts. The view never covers
// less than rev does, also where the store's has an earlier end. The same one twice does no harm.
func (r *Registry) Revoke(rev store.Revocation) {
	r.revocations.add(rev)
	r.revocations.prune(r.now())
	if rev.Seq == 0 {
		return
	}
	if r.shared {
		r.own.add(rev)
		r.Poke()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pullTimeout) // it is committed, whoever asked for it
	defer cancel()
	if r.pull(ctx) != nil {
		r.Poke() // Follow tries it again
	}
}

// pull reads the store's new revocations into the feed.
func (r *Registry) pull(ctx context.Context) error {
	if err := r.syncing.take(ctx); err != nil {
		return err
	}
	defer r.syncing.give()
	err := r.readRevocations(ctx, 0, nil)
	r.failed.Store(err != nil)
	r.prune()
	return err
}

// Revoked reports whether a token is revoked: by its jti, key, service, user or issuer and
// iat, or, one of ours, because its service is disabled, deleted or re-created (uid
// differs). With an error it is always true.
//
// Tokens from before a disable stay dead when the service is enabled again, because
// who disables also stores a revocation of the service until now.
//
// Errors: countersign.Unavailable when that can't be told; then the token is refused.
func (r *Registry) Revoked(ctx context.Context, f TokenFacts) (bool, error) {
	if r.stale() {
		return true, errStale
	}
	if r.revocations.covers(f, r.now()) {
		return true, nil
	}
	if f.Foreign {
		return f.Issuer == "", nil
	}
	current, err := r.Service(ctx, f.Service)
	if errors.Is(err, countersign.NotFound) {
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("look for revocations: %w", err)
	}
	return current.Disabled || current.UID != f.ServiceUID, nil
}

// MintFrom returns the first moment at which a token with these facts may be minted:
// one that is minted earlier would be born revoked, because a revocation "before T"
// covers iat up to T + 2 s and iat has whole seconds (RULES E3). It is in the past,
// or zero, almost always; who mints waits it out, or answers Throttled with the rest
// as RetryAfter. A revocation of every token lasts until it ends. JTI and IssuedAt don't
// count.
func (r *Registry) MintFrom(f TokenFacts) time.Time {
	return r.revocations.mintFrom(f.selectors(), r.now())
}

// revocations is what is revoked. It is as large as what is alive in the store.
type revocations struct {
	tokens, sessions revokedTokens
	// groups is how many selectors are held: most of the time none.
	groups atomic.Int64
	mu     sync.RWMutex
	held   map[selector][]cutoff
	pruned time.Time
}

// selector is what a revocation of several tokens goes by.
type selector struct {
	kind selectorKind
	// a and b: service and uid ("" = any), role and uid likewise, issuer, issuer and
	// subject, kid.
	a, b string
}

type selectorKind uint8

const (
	byService selectorKind = iota + 1
	byIssuer
	byUser
	byKID
	byAll
	byRole
)

// selectors are those that can hit a token or a session; one without a kind hits nothing.
type selectors [9]selector

func (f TokenFacts) selectors() (s selectors) {
	if f.Issuer != "" {
		s[0] = selector{kind: byIssuer, a: f.Issuer}
		if f.Subject != "" {
			s[1] = selector{kind: byUser, a: f.Issuer, b: f.Subject}
		}
	}
	if f.Foreign {
		return s
	}
	s[2] = selector{kind: byAll}
	if f.KID != "" {
		s[3] = selector{kind: byKID, a: f.KID}
	}
	if f.Service != "" {
		s[4] = selector{kind: byService, a: f.Service}
		if f.ServiceUID != "" {
			s[5] = selector{kind: byService, a: f.Service, b: f.ServiceUID}
		}
	}
	return s
}

// selectorOf is zero for a revocation of one token or session.
func selectorOf(rev store.Revocation) selector {
	switch {
	case rev.Service != "":
		return selector{kind: byService, a: rev.Service, b: rev.ServiceUID}
	case rev.Issuer != "" && rev.Subject != "":
		return selector{kind: byUser, a: rev.Issuer, b: rev.Subject}
	case rev.Issuer != "":
		return selector{kind: byIssuer, a: rev.Issuer}
	case rev.KID != "":
		return selector{kind: byKID, a: rev.KID}
	case rev.All:
		return selector{kind: byAll}
	case rev.Role != "":
		return selector{kind: byRole, a: rev.Role, b: rev.RoleUID}
	}
	return selector{}
}

func (v *revocations) init(now time.Time) {
	v.tokens.init()
	v.sessions.init()
	v.held, v.pruned = make(map[selector][]cutoff), now
}

func (v *revocations) add(rev store.Revocation) {
	switch {
	case rev.JTI != "":
		v.tokens.add(rev.JTI, unixEnd(rev.ExpiresAt))
		return
	case rev.Session != "": // whenever it was minted: its id is drawn once
		v.sessions.add(rev.Session, unixEnd(rev.ExpiresAt))
		return
	}
	key := selectorOf(rev)
	if key.kind == 0 {
		return // the store has none without a selector
	}
	fresh := newCutoff(rev)
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := []cutoff{fresh}
	for _, c := range v.held[key] {
		if c.within(fresh) {
			continue
		}
		if fresh.within(c) {
			return
		}
		kept = append(kept, c)
	}
	v.held[key] = kept
	v.groups.Store(int64(len(v.held)))
}

func (v *revocations) covers(f TokenFacts, now time.Time) bool {
	if !f.Foreign && v.tokens.has(f.JTI, now.Unix()) {
		return true
	}
	return v.groups.Load() > 0 && v.hit(f.selectors(), f.IssuedAt, now)
}

func (v *revocations) hit(keys selectors, issuedAt, now time.Time) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, key := range keys {
		for _, c := range v.held[key] {
			if c.covers(issuedAt) && !c.ended(now) {
				return true
			}
		}
	}
	return false
}

func (v *revocations) mintFrom(keys selectors, now time.Time) (from time.Time) {
	if v.groups.Load() == 0 {
		return from
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, key := range keys {
		for _, c := range v.held[key] {
			if first := c.first(); !c.ended(now) && first.After(from) {
				from = first
			}
		}
	}
	return from
}

// prune drops what has ended.
func (v *revocations) prune(now time.Time) {
	v.mu.Lock()
	if now.Sub(v.pruned) < pruneEvery {
		v.mu.Unlock()
		return
	}
	v.pruned = now
	for key, cutoffs := range v.held {
		var kept []cutoff
		for _, c := range cutoffs {
			if !c.ended(now) {
				kept = append(kept, c)
			}
		}
		if len(kept) == 0 {
			delete(v.held, key)
			continue
		}
		v.held[key] = kept
	}
	v.groups.Store(int64(len(v.held)))
	v.mu.Unlock()
	v.tokens.prune(now.Unix())
	v.sessions.prune(now.Unix())
}
