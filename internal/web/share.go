package web

import (
	"net/netip"
	"sync"
)

// minShare is what one address may have at least.
const minShare = 64

// shares keeps one address from taking every place of a server: a request whose body
// trickles in holds its place for as long as readTimeout. Key: [LimiterKey]; lifetime: the
// request; bound: the requests under way. Safe for concurrent use.
type shares struct {
	most int

	mu    sync.Mutex
	taken map[netip.Prefix]int
}

// newShares gives an address a quarter of all places.
func newShares(places int64) *shares {
	return &shares{most: max(int(places/4), minShare), taken: make(map[netip.Prefix]int)}
}

// take takes a place for addr and reports whether it had one left. An invalid address, a
// Unix socket, always has.
func (s *shares) take(addr netip.Addr) bool {
	if !addr.IsValid() {
		return true
	}
	key := LimiterKey(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] >= s.most {
		return false
	}
	s.taken[key]++
	return true
}

// give gives the place back that take took.
func (s *shares) give(addr netip.Addr) {
	if !addr.IsValid() {
		return
	}
	key := LimiterKey(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key]--; s.taken[key] <= 0 {
		delete(s.taken, key)
	}
}
