package web_test

import (
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/web"
)

type clock struct{ now time.Time }

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

type pair struct{ client, address string }

// Failures of one (client, address) never lock out another (RULES B4).
func TestRuleB4LimiterKeepsKeysApart(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := web.NewLimiter[pair](web.LimiterConfig{Every: 10 * time.Second, Burst: 3, Now: c.Now})
	bad := pair{"document-service", "192.0.2.1"}
	for i := range 3 {
		if _, blocked := l.Blocked(bad); blocked {
			t.Fatalf("blocked after %d failures", i)
		}
		l.Fail(bad)
	}
	if wait, blocked := l.Blocked(bad); !blocked || wait != 10*time.Second {
		t.Errorf("blocked %v for %s", blocked, wait)
	}
	for _, other := range []pair{{"document-service", "192.0.2.2"}, {"parse-service", "192.0.2.1"}} {
		if _, blocked := l.Blocked(other); blocked {
			t.Errorf("%v is blocked too", other)
		}
	}
	if l.Len() != 1 {
		t.Errorf("asking made keys: %d", l.Len())
	}
	c.advance(9 * time.Second)
	if wait, blocked := l.Blocked(bad); !blocked || wait != time.Second {
		t.Errorf("after 9 s: blocked %v for %s", blocked, wait)
	}
	c.advance(time.Second)
	if _, blocked := l.Blocked(bad); blocked {
		t.Error("after 10 s: still blocked")
	}
}

// Attempts that were let in at one moment are all counted.
func TestLimiterCountsFailuresThatItHadNotLeft(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := web.NewLimiter[string](web.LimiterConfig{Every: time.Second, Burst: 2, Now: c.Now})
	for range 10 {
		l.Fail("a")
	}
	c.advance(8 * time.Second)
	if _, blocked := l.Blocked("a"); !blocked {
		t.Error("ten failures count as two")
	}
	c.advance(time.Second)
	if _, blocked := l.Blocked("a"); blocked {
		t.Error("blocked for longer than ten failures deserve")
	}
}

func TestLimiterAllow(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := web.NewLimiter[string](web.LimiterConfig{Every: time.Minute, Burst: 2, Now: c.Now})
	for i, want := range []bool{true, true, false, false} {
		if got := l.Allow("a"); got != want {
			t.Errorf("event %d: %v", i, got)
		}
	}
	c.advance(time.Minute)
	if !l.Allow("a") || l.Allow("a") {
		t.Error("a minute gives other than one event")
	}
	c.advance(-time.Hour) // a clock that is set back gives nothing
	if l.Allow("a") {
		t.Error("the past gives events")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := web.NewLimiter[int](web.LimiterConfig{Every: time.Hour, Burst: 1, MaxKeys: 10, Now: c.Now})
	l.Fail(-1)
	for i := range 1000 {
		l.Blocked(-1) // what is asked for stays
		l.Fail(i)
	}
	if l.Len() != 10 {
		t.Errorf("%d keys", l.Len())
	}
	if _, blocked := l.Blocked(-1); !blocked {
		t.Error("the key in use was forgotten")
	}
	if _, blocked := l.Blocked(0); blocked {
		t.Error("the oldest key was kept")
	}
}

func TestLimiterConcurrently(t *testing.T) {
	t.Parallel()
	l := web.NewLimiter[int](web.LimiterConfig{Every: time.Hour, Burst: 50, MaxKeys: 4})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				l.Allow(i % 6)
				l.Blocked(i % 6)
				l.Fail(i % 6)
			}
		})
	}
	all.Wait()
	if l.Len() > 4 {
		t.Errorf("%d keys", l.Len())
	}
}

func BenchmarkLimiterBlockedUnknown(b *testing.B) {
	l := web.NewLimiter[pair](web.LimiterConfig{Every: time.Second, Burst: 5})
	b.ReportAllocs()
	for b.Loop() {
		l.Blocked(pair{"document-service", "192.0.2.1"})
	}
}
