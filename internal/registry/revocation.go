package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// beforeSlack: "before T" covers iat up to T + 2 s, for the clocks of replicas
	// (RULES E3).
	beforeSlack = 2 * time.Second
	// keepEnded is how long a revocation still holds after it has ended: verifiers
	// allow tokens a minute past their end (RULES C3), and clocks differ.
	keepEnded = 5 * time.Minute
	// pruneEvery is how often ended ones are looked for, at most.
	pruneEvery = time.Minute
)

// revocations is what is revoked. It is as large as what is alive in the store.
type revocations struct {
	mu       sync.RWMutex
	tokens   map[string]time.Time // jti -> when it can go; zero = never
	services map[serviceKey][]cutoff
	pruned   time.Time
}

// serviceKey is a service of one uid, or of any where uid is "".
type serviceKey struct{ name, uid string }

// cutoff ends the tokens that were issued until a time.
type cutoff struct {
	until time.Time // the last iat that is covered, slack included
	all   bool      // every iat
	ends  time.Time // when it can go; zero = never
}

func (c cutoff) covers(issuedAt time.Time) bool { return c.all || !issuedAt.After(c.until) }

func (c cutoff) ended(now time.Time) bool { return ended(c.ends, now) }

func ended(ends, now time.Time) bool { return !ends.IsZero() && now.After(ends) }

func (v *revocations) init(now time.Time) {
	v.tokens, v.services, v.pruned = make(map[string]time.Time), make(map[serviceKey][]cutoff), now
}

// loadRevocations reads what is alive, page by page.
func (r *Registry) loadRevocations(ctx context.Context) error {
	alive := r.now().Add(-keepEnded)
	for after := int64(0); ; {
		page, err := r.store.Revocations(ctx, after, alive, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("load the revocations: %w", err)
		}
		for _, rev := range page {
			r.revocations.add(rev)
			after = rev.Seq
		}
		if len(page) < store.MaxLimit {
			return nil
		}
	}
}

// Revoke takes a committed revocation into the view. The same one twice does no harm.
func (r *Registry) Revoke(rev store.Revocation) {
	r.revocations.add(rev)
	r.revocations.prune(r.now())
}

// Revoked reports whether a token of ours is revoked: by its jti, by its service's
// uid and iat, or because the service is disabled, deleted or re-created (uid differs).
// With an error it is always true.
//
// Tokens from before a disable stay dead when the service is enabled again, because
// who disables also stores a revocation of the service until now.
//
// Errors: countersign.Unavailable when that can't be told; then the token is refused.
func (r *Registry) Revoked(ctx context.Context, jti, service, serviceUID string, issuedAt time.Time) (bool, error) {
	if r.revocations.covers(jti, serviceKey{service, serviceUID}, issuedAt, r.now()) {
		return true, nil
	}
	current, err := r.Service(ctx, service)
	if errors.Is(err, countersign.NotFound) {
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("look for revocations: %w", err)
	}
	return current.Disabled || current.UID != serviceUID, nil
}

// MintFrom returns the first moment at which a token of the service may be minted:
// one that is minted earlier would be born revoked, because a revocation "before T"
// covers iat up to T + 2 s and iat has whole seconds (RULES E3). It is in the past,
// or zero, almost always; who mints waits it out, or answers Throttled with the rest
// as RetryAfter. A revocation of every token lasts until it ends.
func (r *Registry) MintFrom(service, serviceUID string) time.Time {
	return r.revocations.mintFrom(serviceKey{service, serviceUID}, r.now())
}

func (v *revocations) add(rev store.Revocation) {
	ends := rev.ExpiresAt
	if !ends.IsZero() {
		ends = ends.Add(keepEnded)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if rev.JTI != "" {
		// Twice the same token: the one that holds longer counts.
		if known, ok := v.tokens[rev.JTI]; !ok || !known.IsZero() && (ends.IsZero() || ends.After(known)) {
			v.tokens[rev.JTI] = ends
		}
		return
	}
	key := serviceKey{rev.Service, rev.ServiceUID}
	fresh := cutoff{until: rev.Before.Add(beforeSlack), all: rev.Before.IsZero(), ends: ends}
	kept := []cutoff{fresh}
	for _, c := range v.services[key] {
		if c.within(fresh) {
			continue
		}
		if fresh.within(c) {
			return
		}
		kept = append(kept, c)
	}
	v.services[key] = kept
}

// within reports whether other covers all that c does, for at least as long.
func (c cutoff) within(other cutoff) bool {
	reaches := other.all || !c.all && !c.until.After(other.until)
	lasts := other.ends.IsZero() || !c.ends.IsZero() && !c.ends.After(other.ends)
	return reaches && lasts
}

func (v *revocations) covers(jti string, service serviceKey, issuedAt, now time.Time) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if ends, ok := v.tokens[jti]; ok && !ended(ends, now) {
		return true
	}
	if len(v.services) == 0 {
		return false
	}
	for _, key := range [2]serviceKey{service, {name: service.name}} {
		for _, c := range v.services[key] {
			if c.covers(issuedAt) && !c.ended(now) {
				return true
			}
		}
	}
	return false
}

func (v *revocations) mintFrom(service serviceKey, now time.Time) (from time.Time) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(v.services) == 0 {
		return from
	}
	for _, key := range [2]serviceKey{service, {name: service.name}} {
		for _, c := range v.services[key] {
			if first := c.first(); !c.ended(now) && first.After(from) {
				from = first
			}
		}
	}
	return from
}

// never is later than any token.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// first is the first whole second that is not covered.
func (c cutoff) first() time.Time {
	last := c.until
	if c.all {
		last = c.ends
	}
	if last.IsZero() {
		return never
	}
	return last.Truncate(time.Second).Add(time.Second)
}

// prune drops what has ended.
func (v *revocations) prune(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.pruned) < pruneEvery {
		return
	}
	v.pruned = now
	for jti, ends := range v.tokens {
		if ended(ends, now) {
			delete(v.tokens, jti)
		}
	}
	for key, cutoffs := range v.services {
		var kept []cutoff
		for _, c := range cutoffs {
			if !c.ended(now) {
				kept = append(kept, c)
			}
		}
		if len(kept) == 0 {
			delete(v.services, key)
			continue
		}
		v.services[key] = kept
	}
}
