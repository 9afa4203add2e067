package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const (
	defaultMaxCached = 10_000
	shardCount       = 16
	minSharded       = 1024 // smaller caches have one shard, so that the bound is exact
)

// cacheKey is the hash of all inputs of a verdict. The configuration is the same for
// the whole cache, so the token is the only one.
type cacheKey [sha256.Size]byte

// entry is a token that was verified, with what has to be checked again.
type entry struct {
	id        cacheKey
	token     *Token
	issuer    *issuer
	kid       string // as in the header
	algorithm string
	key       any // that verified it
	dates     dates
	// unrevoked is the generation of the feeds in which the token was last looked for;
	// 0 = never.
	unrevoked  atomic.Uint64
	prev, next *entry
}

// cache remembers verified tokens: key = SHA-256, lifetime = the token's, bound = max
// entries, the least recently used goes first. Safe for concurrent use.
type cache struct {
	shards []shard
}

// shard is a map and a ring in order of use; root.next is the most recent.
type shard struct {
	mu      sync.Mutex
	max     int
	entries map[cacheKey]*entry
	root    entry
}

func newCache(limit int) *cache {
	count := 1
	if limit >= minSharded {
		count = shardCount
	}
	c := &cache{shards: make([]shard, count)}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = limit / count
		s.entries = make(map[cacheKey]*entry)
		s.root.prev, s.root.next = &s.root, &s.root
	}
	return c
}

// hashBuffers keeps hashing free of allocations.
var hashBuffers = sync.Pool{New: func() any {
	b := make([]byte, 8+maxTokenBytes)
	return &b
}}

// keyOf hashes a token of at most maxTokenBytes.
func keyOf(token string) cacheKey {
	pooled := hashBuffers.Get().(*[]byte)
	buf := (*pooled)[:8+len(token)]
	binary.BigEndian.PutUint64(buf, uint64(len(token)))
	copy(buf[8:], token)
	id := sha256.Sum256(buf)
	clear(buf) // the pool keeps no tokens
	hashBuffers.Put(pooled)
	return id
}

func (c *cache) shard(id cacheKey) *shard { return &c.shards[int(id[0])%len(c.shards)] }

func (c *cache) get(id cacheKey) *entry {
	s := c.shard(id)
	s.mu.Lock()
	e := s.entries[id]
	if e != nil && s.root.next != e {
		e.unlink()
		s.pushFront(e)
	}
	s.mu.Unlock()
	return e
}

func (c *cache) put(e *entry) {
	s := c.shard(e.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.entries[e.id]; old != nil {
		old.unlink()
	} else if len(s.entries) >= s.max {
		last := s.root.prev
		last.unlink()
		delete(s.entries, last.id)
	}
	s.entries[e.id] = e
	s.pushFront(e)
}

// remove takes e out, unless another entry has taken its place.
func (c *cache) remove(e *entry) {
	s := c.shard(e.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.id] == e {
		e.unlink()
		delete(s.entries, e.id)
	}
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// pushFront is called with the lock held.
func (s *shard) pushFront(e *entry) {
	e.prev, e.next = &s.root, s.root.next
	e.prev.next, e.next.prev = e, e
}

// unlink is called with the lock held. e keeps no pointer into the ring: a reader
// may hold it for a while.
func (e *entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}
