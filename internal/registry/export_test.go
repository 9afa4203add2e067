package registry

import (
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Cached reports whether the service is held, without asking for it.
func (r *Registry) Cached(name string) bool {
	s, hash := r.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	record, _ := s.records.find(hash, name)
	return s.entries[name] != nil || record != nil
}

// Held returns how many revocations and unknown names are in memory.
func (r *Registry) Held() (revocations, unknown int) {
	for i := range r.shards {
		r.shards[i].mu.RLock()
		unknown += len(r.shards[i].unknown.young) + len(r.shards[i].unknown.old)
		r.shards[i].mu.RUnlock()
	}
	r.revocations.mu.RLock()
	defer r.revocations.mu.RUnlock()
	return int(r.revocations.tokens.held.Load()+r.revocations.sessions.held.Load()) + len(r.revocations.held), unknown
}

// LateHeld returns how much of what polls learned is held for the next one.
func (r *Registry) LateHeld() int { return len(r.late.revoked) + len(r.late.changed) }

// OwnHeld returns how many revocations wait for a poll that comes to them.
func (r *Registry) OwnHeld() int { return len(r.own.list) }

// ForgetAll drops every service, as a resync does.
func (r *Registry) ForgetAll() { r.forgetAll() }

// FeedBytes is how large the records of the feed are.
func (r *Registry) FeedBytes() (total int) {
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	for _, c := range r.feed.list.chunks {
		total += len(c.data)
	}
	return total
}

// NewWithRevocations returns a registry without a store that holds n revoked tokens.
func NewWithRevocations(tb testing.TB, n int) *Registry {
	tb.Helper()
	r := &Registry{now: time.Now}
	r.revocations.init(time.Now())
	r.feed.init()
	ends := time.Now().Add(time.Hour)
	for i := range n {
		rev := store.Revocation{Seq: int64(i + 1), JTI: countersign.NewRequestID(ends), ExpiresAt: ends, CreatedAt: ends}
		r.revocations.add(rev)
		r.feed.extend([]store.Revocation{rev}, rev.Seq)
	}
	return r
}
