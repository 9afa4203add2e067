package registry

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// shard holds the services whose names hash to it, and the names that were unknown
// a moment ago. Those in use are entries; a large cache has all of them as records too.
type shard struct {
	mu sync.RWMutex
	// loading has a number for each load under way. Forget takes it away: what was read
	// before that is not kept.
	loading map[string]uint64
	loads   uint64 // the last number
	entries map[string]*entry
	// ring and hand are the clock of the second-chance eviction.
	ring []*entry
	hand int
	max  int
	// records is in use where the cache may hold more services than entries.
	records packed
	lists   *interner

	unknown unknownNames
}

// entry is one piece of memory with the view and its secret: most have one.
type entry struct {
	view  Service
	one   [1]Secret   // behind view.Secrets where one is enough
	index int32       // in ring
	asked atomic.Bool // since the hand last came by
}

func (s *shard) init(maxServices, maxEntries, maxUnknown int, seed maphash.Seed, lists *interner) {
	s.entries, s.max, s.lists = make(map[string]*entry), min(maxServices, maxEntries), lists
	s.loading = make(map[string]uint64)
	s.unknown.max = maxUnknown
	if maxServices > maxEntries {
		s.records.init(maxServices, seed, func(name []byte) bool { return s.entries[string(name)] != nil })
	}
}

// service returns the cached service, or nil.
func (s *shard) service(hash uint64, name string) *Service {
	s.mu.RLock()
	e := s.entries[name]
	if e == nil {
		record, at := s.records.find(hash, name)
		s.mu.RUnlock()
		if record == nil {
			return nil
		}
		return &s.enter(hash, at, s.lists.unpack(record)).view
	}
	s.mu.RUnlock()
	if !e.asked.Load() { // no write to a shared line where it is set already
		e.asked.Store(true)
	}
	return &e.view
}

// enter makes an entry of a record, unless it was forgotten meanwhile.
func (s *shard) enter(hash uint64, at place, e *entry) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.entries[e.view.Name]; known != nil {
		return known
	}
	if s.records.isAt(hash, at) {
		s.records.asked(at)
		s.add(e)
	}
	return e
}

func (s *shard) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return max(len(s.entries), len(s.records.index))
}

// begin numbers a load; keep, keepUnknown or end closes it. A later one of that name
// takes its place.
func (s *shard) begin(name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	s.loading[name] = s.loads
	return s.loads
}

func (s *shard) end(name string, load uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended(name, load)
}

// ended closes a load and reports whether what it read may be kept.
func (s *shard) ended(name string, load uint64) bool {
	if s.loading[name] != load {
		return false
	}
	delete(s.loading, name)
	return true
}

func (s *shard) isUnknown(name string, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.unknown.has(name, now)
}

func (s *shard) forget(hash uint64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loading, name)
	s.unknown.drop(name)
	s.records.drop(hash)
	if e := s.entries[name]; e != nil {
		s.remove(e)
	}
}

func (s *shard) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading = make(map[string]uint64)
	s.unknown.young, s.unknown.old = nil, nil
	s.records.clear()
	s.entries, s.ring, s.hand = make(map[string]*entry), nil, 0
}

// keep keeps what a load has read, unless there was a forget since it began.
func (s *shard) keep(load uint64, hash uint64, record []byte, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := e.view.Name // the caller's may be a part of a whole request
	if !s.ended(name, load) {
		return
	}
	s.unknown.drop(name)
	if old := s.entries[name]; old != nil {
		s.remove(old)
	}
	if s.records.max > 0 {
		s.records.put(hash, record)
	}
	s.add(e)
}

// add makes an entry, in the place of another one where there are too many.
func (s *shard) add(e *entry) {
	s.entries[e.view.Name] = e
	at := len(s.ring)
	if at < s.max {
		s.ring = append(s.ring, e)
	} else {
		at = s.victim()
		delete(s.entries, s.ring[at].view.Name)
		s.ring[at] = e
		s.hand = at + 1
	}
	e.index = int32(at) //nolint:gosec // New bounds it
}

func (s *shard) keepUnknown(name string, load uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended(name, load) {
		s.unknown.add(name, now)
	}
}

// victim returns the place of the first entry that nobody has asked for since the
// hand last came by; the hand comes round at most once.
func (s *shard) victim() int {
	for ; ; s.hand++ {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		if !s.ring[s.hand].asked.Swap(false) {
			return s.hand
		}
	}
}

func (s *shard) remove(e *entry) {
	last := s.ring[len(s.ring)-1]
	s.ring[e.index], last.index = last, e.index
	s.ring[len(s.ring)-1] = nil
	s.ring = s.ring[:len(s.ring)-1]
	delete(s.entries, e.view.Name)
}

// unknownNames remembers for a minute which names do not exist: in two halves, so
// that the old ones go at once and a flood of names costs no search.
type unknownNames struct {
	max       int
	young     map[string]time.Time // name -> until
	old       map[string]time.Time
	youngFrom time.Time
}

func (u *unknownNames) has(name string, now time.Time) bool {
	until, ok := u.young[name]
	if !ok {
		until, ok = u.old[name]
	}
	return ok && now.Before(until)
}

func (u *unknownNames) add(name string, now time.Time) {
	if u.young == nil || len(u.young) >= u.max/2 || now.Sub(u.youngFrom) >= unknownFor {
		u.old, u.young, u.youngFrom = u.young, make(map[string]time.Time), now
	}
	u.young[name] = now.Add(unknownFor)
}

func (u *unknownNames) drop(name string) {
	delete(u.young, name)
	delete(u.old, name)
}
