package web

import (
	"net/netip"
	"sync"
)

// minShare is what one address may have at least of a server's places.
const minShare = 64

// Shares keeps one address from taking every place: a request whose body trickles in
// holds its place for as long as readTimeout. Key: [LimiterKey]; lifetime: the request;
// bound: the requests under way. Safe for concurrent use.
type Shares struct {
	most int

	mu    sync.Mutex
	taken map[netip.Prefix]int
}

// NewShares gives one address most places at a time.
func NewShares(most int) *Shares {
	return &Shares{most: most, taken: make(map[netip.Prefix]int)}
}

// Take takes a place for addr and reports whether it had one left. An invalid address, a
// Unix socket, always has.
func (s *Shares) Take(addr netip.Addr) bool {
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

// Give gives the place back that Take took.
func (s *Shares) Give(addr netip.Addr) {
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
