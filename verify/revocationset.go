package verify

import (
	"errors"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	// beforeSlack: "before T" covers iat up to T + 2 s, for the clocks of replicas
	// (RULES E3).
	beforeSlack = 2 * time.Second
	// keepEnded is how long a revocation still holds after its end: tokens are taken a
	// minute past theirs (RULES C3), and clocks differ.
	keepEnded = 5 * time.Minute
	// pruneEvery is how often ended ones are looked for, at most.
	pruneEvery = time.Minute
	// maxRevocations bounds the cutoffs of one feed that are alive: one for a revocation,
	// two for one of a service or a key. A feed with more is not taken: it becomes stale,
	// and its tokens are refused.
	maxRevocations = 1 << 20
)

var errTooMany = errors.New("more revocations than can be kept")

// selectorKind says what a selector's names are.
type selectorKind uint8

const (
	selectJTI     selectorKind = iota // a: jti
	selectService                     // a: name, b: uid or "" for every uid
	selectNoUID                       // a: name, for tokens that don't say their uid
	selectIssuer                      // a: issuer
	selectUser                        // a: issuer, b: subject
	selectKID                         // a: kid, "" for tokens that name no key
	selectAll
)

// selector is what a revocation is about.
type selector struct {
	kind selectorKind
	a, b string
}

// cutoff ends the tokens that were issued until a time.
type cutoff struct {
	until int64 // the last iat that is covered, in Unix milliseconds, slack included; maxUntil = any
	ends  int64 // Unix seconds until which it holds, slack included; maxUntil = for ever
}

const maxUntil = 1<<63 - 1

// revocationSet is what one feed has revoked. Lookups allocate nothing. It holds what is
// alive, at most limit cutoffs. Safe for concurrent use.
type revocationSet struct {
	// issuer is whose tokens the entries about ids, services and keys are about.
	issuer string
	limit  int

	mu      sync.RWMutex
	cutoffs map[selector][]cutoff
	count   int // of cutoffs
	pruned  time.Time
}

func newRevocationSet(issuer string, limit int, now time.Time) *revocationSet {
	return &revocationSet{issuer: issuer, limit: limit, cutoffs: make(map[selector][]cutoff), pruned: now}
}

// add takes all entries or, with an error, none.
func (s *revocationSet) add(entries []Revocation, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := 0
	for i := range entries {
		_, n := selectorsOf(&entries[i])
		more += n // a cutoff in each place
	}
	if full := s.count+more > s.limit; full || now.Sub(s.pruned) >= pruneEvery {
		s.prune(now)
	}
	if s.count+more > s.limit {
		return errTooMany
	}
	for i := range entries {
		e := &entries[i]
		c := cutoff{until: maxUntil, ends: maxUntil}
		if e.Before != 0 {
			c.until = e.Before + beforeSlack.Milliseconds()
		}
		if e.Expires != 0 {
			c.ends = e.Expires + int64(keepEnded/time.Second)
		}
		if c.ended(now) {
			continue
		}
		places, n := selectorsOf(e)
		for _, key := range places[:n] {
			s.put(key, c)
		}
	}
	return nil
}

// selectorsOf returns where a token that e is about looks for it, n places: none, if e is
// about sessions.
func selectorsOf(e *Revocation) (at [2]selector, n int) {
	switch {
	case e.JTI != "":
		return [2]selector{{kind: selectJTI, a: e.JTI}}, 1
	case e.Service != "":
		return [2]selector{{kind: selectService, a: e.Service, b: e.ServiceUID}, {kind: selectNoUID, a: e.Service}}, 2
	case e.Issuer != "" && e.Subject != "":
		return [2]selector{{kind: selectUser, a: e.Issuer, b: e.Subject}}, 1
	case e.Issuer != "":
		return [2]selector{{kind: selectIssuer, a: e.Issuer}}, 1
	case e.KID != "":
		// Which key signed a token that names none can't be told: it is refused.
		return [2]selector{{kind: selectKID, a: e.KID}, {kind: selectKID}}, 2
	case e.All:
		return [2]selector{{kind: selectAll}}, 1
	}
	return at, 0
}

// put keeps of the cutoffs of one selector those that no other one includes.
func (s *revocationSet) put(key selector, fresh cutoff) {
	old := s.cutoffs[key]
	for _, c := range old {
		if fresh.within(c) {
			return
		}
	}
	kept := make([]cutoff, 0, 1)
	for _, c := range old {
		if !c.within(fresh) {
			kept = append(kept, c)
		}
	}
	kept = append(kept, fresh)
	s.count += len(kept) - len(old)
	s.cutoffs[key] = kept
}

// within reports whether other covers all that c does, for at least as long.
func (c cutoff) within(other cutoff) bool { return c.until <= other.until && c.ends <= other.ends }

func (c cutoff) ended(now time.Time) bool { return now.Unix() > c.ends }

// prune drops what has ended; the lock is held.
func (s *revocationSet) prune(now time.Time) {
	s.pruned = now
	for key, cutoffs := range s.cutoffs {
		kept := cutoffs[:0]
		for _, c := range cutoffs {
			if !c.ended(now) {
				kept = append(kept, c)
			}
		}
		s.count -= len(cutoffs) - len(kept)
		if len(kept) == 0 {
			delete(s.cutoffs, key)
		} else {
			s.cutoffs[key] = kept
		}
	}
}

// covers reports whether a token is revoked. A token that does not say when it was
// issued is older than every cutoff.
func (s *revocationSet) covers(t *Token, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.cutoffs) == 0 {
		return false
	}
	user := &t.Principal.User
	return t.Issuer == s.issuer && s.coversOwn(t, now) ||
		s.hit(selector{kind: selectIssuer, a: t.Issuer}, t, now) ||
		s.hit(selector{kind: selectUser, a: t.Issuer, b: t.Subject}, t, now) ||
		// A user is (issuer, subject), also in a token of ours from an exchange.
		user.Issuer != "" && user.Issuer != t.Issuer &&
			(s.hit(selector{kind: selectIssuer, a: user.Issuer}, t, now) ||
				s.hit(selector{kind: selectUser, a: user.Issuer, b: user.Subject}, t, now))
}

// coversOwn looks for what is about the tokens of the feed's own issuer.
func (s *revocationSet) coversOwn(t *Token, now time.Time) bool {
	if s.hit(selector{kind: selectAll}, t, now) || t.ID != "" && s.hit(selector{kind: selectJTI, a: t.ID}, t, now) {
		return true
	}
	service, user := &t.Principal.Service, &t.Principal.User
	kid := service.Proof.KeyID
	if service.IsZero() {
		kid = user.Proof.KeyID
	}
	if s.hit(selector{kind: selectKID, a: kid}, t, now) {
		return true
	}
	if !service.IsZero() {
		return s.coversService(service.Name, service.UID, t, now)
	}
	// A user's token from an exchange ends with the service that acts.
	return s.coversService(user.Actor, "", t, now) ||
		t.ClientID != user.Actor && s.coversService(t.ClientID, "", t, now)
}

func (s *revocationSet) coversService(name, uid string, t *Token, now time.Time) bool {
	switch {
	case name == "":
		return false
	case uid == "":
		// It can't be shown to be of another registration.
		return s.hit(selector{kind: selectNoUID, a: name}, t, now)
	}
	return s.hit(selector{kind: selectService, a: name, b: uid}, t, now) || s.hit(selector{kind: selectService, a: name}, t, now)
}

func (s *revocationSet) hit(key selector, t *Token, now time.Time) bool {
	for _, c := range s.cutoffs[key] {
		if !c.ended(now) && (c.until == maxUntil || t.IssuedAt.UnixMilli() <= c.until) {
			return true
		}
	}
	return false
}

// errRevoked is what a revoked token is refused with.
var errRevoked = refuse(countersign.ReasonTokenRevoked, "revoked")
