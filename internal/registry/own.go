package registry

import (
	"math"
	"sync"

	"github.com/countersign/countersign/internal/store"
)

// own are revocations that are in force here and have a number that no poll has come to: those
// that this process made, and those that it read past the head. A database that loses its last
// commits loses them first, and no poll knows of them. The zero value is empty; it is bounded by
// what is revoked from one poll to the next.
type own struct {
	mu   sync.Mutex
	list []store.Revocation
}

func (o *own) add(revs ...store.Revocation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, revs...)
}

// take returns those up to a number, and forgets them.
func (o *own) take(upTo int64) (taken []store.Revocation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var left []store.Revocation
	for _, rev := range o.list {
		if rev.Seq <= upTo {
			taken = append(taken, rev)
		} else {
			left = append(left, rev)
		}
	}
	o.list = left
	return taken
}

// lostOwn returns those that the polls have come to, and that are not there. Where the history is
// another one their numbers mean nothing, and all are taken for lost: who stores them looks
// ([Registry.Unstored]). Who holds syncing calls it.
func (r *Registry) lostOwn(anew bool) (lost []store.Revocation) {
	now, upTo := r.now(), r.position
	if anew {
		upTo = math.MaxInt64
	}
	r.feed.mu.RLock()
	list := r.feed.list
	r.feed.mu.RUnlock()
	for _, rev := range r.own.take(upTo) {
		if !rev.ExpiresAt.IsZero() && !rev.ExpiresAt.After(now) {
			continue
		}
		rev = parseRevocation(record{seq: rev.Seq, body: appendRevocation(nil, rev)}) // as it is in the list
		at, _, _ := list.since(rev.Seq-1, 1, now)
		if anew || len(at) == 0 || !sameRevocation(at[0], rev) {
			lost = append(lost, rev)
		}
	}
	return lost
}

// sameRevocation: the end of one's own may have been moved since (package admin stores that too).
func sameRevocation(a, b store.Revocation) bool {
	a.Before, a.ExpiresAt = b.Before, b.ExpiresAt
	return a == b
}

// missOwn has those stored again that were lost. What was read here at the same time may be of
// commits that were lost as well, so nothing of it is kept.
func (r *Registry) missOwn(anew bool) {
	lost := r.lostOwn(anew)
	if len(lost) == 0 {
		return
	}
	r.forgetAll()
	if r.onLost != nil {
		r.onLost(lost)
	}
}
