package web

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const defaultLimiterKeys = 65536

// LimiterConfig of [NewLimiter].
type LimiterConfig struct {
	// Every is the time in which a key gets one more event; required, > 0.
	Every time.Duration
	// Burst is how many events a rested key has; required, >= 1.
	Burst int
	// MaxKeys bounds the memory: the least recently used key is forgotten. 0 = 65536.
	MaxKeys int
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Limiter counts events by key: one token bucket for each. Keys that are not known cost
// nothing, so a limiter of failures holds only those who failed. A caller bounds the
// size of its keys itself. Safe for concurrent use.
//
// Whoever can make up keys without end can push others out of memory and so give them
// a fresh bucket: key by something that a client can't choose freely, or have a second
// limiter by address.
type Limiter[K comparable] struct {
	every time.Duration
	burst int
	max   int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[K]*list.Element
	recent  *list.List // of *bucket[K], most recently used first
}

type bucket[K comparable] struct {
	key   K
	limit *rate.Limiter
}

// NewLimiter returns an empty limiter. It panics if Every or Burst is not positive,
// which is a mistake of the program.
func NewLimiter[K comparable](cfg LimiterConfig) *Limiter[K] {
	if cfg.Every <= 0 || cfg.Burst <= 0 {
		panic("web.NewLimiter: Every and Burst must be positive")
	}
	l := &Limiter[K]{
		every: cfg.Every, burst: cfg.Burst, max: cfg.MaxKeys, now: cfg.Now,
		buckets: make(map[K]*list.Element), recent: list.New(),
	}
	if l.max <= 0 {
		l.max = defaultLimiterKeys
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// Allow takes one event of key and reports whether it had one left.
func (l *Limiter[K]) Allow(key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(key).AllowN(l.now(), 1)
}

// Blocked reports whether key has no event left, and for how long. It takes nothing.
func (l *Limiter[K]) Blocked(key K) (retryAfter time.Duration, blocked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.buckets[key]
	if !ok {
		return 0, false
	}
	l.recent.MoveToFront(element)
	missing := 1 - l.of(element).limit.TokensAt(l.now())
	// Sums of fractions: without the margin a rested key could lack a billionth.
	if missing < 1e-9 {
		return 0, false
	}
	return time.Duration(math.Ceil(missing * float64(l.every))), true
}

// Fail takes one event of key, also one that it doesn't have: attempts that were let in
// at the same moment are all counted.
func (l *Limiter[K]) Fail(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket(key).ReserveN(l.now(), 1)
}

// Len returns the number of keys in memory.
func (l *Limiter[K]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// bucket returns the bucket of key and makes it if need be. mu is held.
func (l *Limiter[K]) bucket(key K) *rate.Limiter {
	if element, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(element)
		return l.of(element).limit
	}
	for len(l.buckets) >= l.max {
		oldest := l.recent.Back()
		delete(l.buckets, l.of(oldest).key)
		l.recent.Remove(oldest)
	}
	b := &bucket[K]{key: key, limit: rate.NewLimiter(rate.Every(l.every), l.burst)}
	l.buckets[key] = l.recent.PushFront(b)
	return b.limit
}

func (l *Limiter[K]) of(element *list.Element) *bucket[K] {
	b, _ := element.Value.(*bucket[K]) // the list holds nothing else
	return b
}
