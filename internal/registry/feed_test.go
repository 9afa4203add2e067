package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// Two processes revoke, and change services in between; both are followed. Whoever
// follows sees every number once, in order, and never one too late.
func TestRuleE2FeedNeverSkips(t *testing.T) {
	t.Parallel()
	neverSkips(t, replicas(t, fixture.NewClock(start), 2))
}

func neverSkips(t *testing.T, both []replica) {
	t.Helper()
	const each = 40
	var mu sync.Mutex
	stored := []int64{}
	var writers, followers sync.WaitGroup
	for i, w := range both {
		writers.Go(func() {
			for n := range each {
				if rand.IntN(3) == 0 {
					register(t, w.store, fmt.Sprintf("service-%d-%d", i, n), fmt.Sprintf("uid-%d-%d", i, n))
				}
				rev := put(t, w.store, store.Revocation{JTI: fmt.Sprintf("jti-%d-%d", i, n), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
				mu.Lock()
				stored = append(stored, rev.Seq)
				mu.Unlock()
				w.Revoke(rev) // now and then before the other one's number was polled
				if rand.IntN(2) == 0 {
					w.sync(t)
				}
			}
		})
	}
	done := make(chan struct{})
	seen := make([][]int64, 2)
	for i, f := range both {
		followers.Go(func() {
			at := int64(0)
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
					f.sync(t)
				}
				for more := true; more; {
					var entries []store.Revocation
					entries, at, more = f.RevocationsSince(at, 1+rand.IntN(3))
					for _, e := range entries {
						seen[i] = append(seen[i], e.Seq)
					}
				}
			}
		})
	}
	writers.Wait()
	for _, f := range both {
		f.sync(t)
	}
	close(done)
	followers.Wait()
	slices.Sort(stored)
	for i := range both {
		if !slices.Equal(seen[i], stored) {
			t.Errorf("follower %d saw\n%v, want\n%v", i, seen[i], stored)
		}
	}
}

// The number of another process comes before ours, but we have not polled it yet.
func TestRuleE2OwnRevocationWaitsForThoseBefore(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.sync(t)
	head := b.Head()
	first := put(t, a.store, store.Revocation{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	second := put(t, b.store, store.Revocation{JTI: "jti-2", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	b.Revoke(second)
	if !revoked(t, b.Registry, "jti-2", "a", "uid-a", start) {
		t.Error("the own revocation does not hold at once")
	}
	if entries, seq, _ := b.RevocationsSince(head, 10); len(entries) != 0 || seq != head {
		t.Errorf("%+v up to %d, before the other one is known", entries, seq)
	}
	b.sync(t)
	if entries, seq, _ := b.RevocationsSince(head, 10); len(entries) != 2 || entries[0] != first || entries[1] != second || seq != second.Seq {
		t.Errorf("%+v up to %d", entries, seq)
	}
}

// Where nobody else writes it is in the feed when Revoke returns, whoever is first.
func TestFeedOfOneProcessHasItAtOnce(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	r := newRegistry(t, s, c, 0)
	first := put(t, s, store.Revocation{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	second := put(t, s, store.Revocation{JTI: "jti-2", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	news := r.Watch()
	r.Revoke(second)
	<-news
	entries, seq, more := r.RevocationsSince(0, 10)
	if !slices.Equal(entries, []store.Revocation{first, second}) || seq != second.Seq || more {
		t.Fatalf("%+v up to %d, more %v", entries, seq, more)
	}
	r.Revoke(first)
	if again, _, _ := r.RevocationsSince(0, 10); !slices.Equal(again, entries) {
		t.Errorf("%+v", again)
	}
}

// What is not stored holds, and is not told: its number may be another one's.
func TestRuleE4UnstoredRevocationIsNotInTheFeed(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	head := r.Head()
	r.Revoke(store.Revocation{JTI: "local", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	r.Revoke(store.Revocation{Seq: head + 1, JTI: "rolled-back", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	for _, jti := range []string{"local", "rolled-back"} {
		if !revoked(t, r, jti, "a", "uid-a", start) {
			t.Errorf("%s does not hold", jti)
		}
	}
	if entries, seq, _ := r.RevocationsSince(0, 10); len(entries) != 0 || seq != head {
		t.Fatalf("%+v up to %d", entries, seq)
	}
	rev := put(t, s, store.Revocation{JTI: "stored", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	r.Revoke(rev)
	if entries, _, _ := r.RevocationsSince(0, 10); rev.Seq != head+1 || !slices.Equal(entries, []store.Revocation{rev}) {
		t.Errorf("%+v, want %+v", entries, rev)
	}
}

// Receivers hear what the other replicas hear, however slow the disk was: a later end is another
// revocation. The view keeps the later end that its own process gave it, whatever it reads.
func TestRuleE3FeedSaysWhatIsStoredAndTheViewIsNotNarrowed(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	narrow := put(t, s, store.Revocation{Service: "a", Before: start, ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	wide := narrow
	wide.Before, wide.ExpiresAt = start.Add(6*time.Second), start.Add(time.Hour+6*time.Second)
	r.Revoke(wide)
	for name, again := range map[string]func(){
		"at once":         func() {},
		"the narrow one":  func() { r.Revoke(narrow) },
		"another replica": func() { put(t, s, store.Revocation{KID: "k", CreatedAt: start}) },
	} {
		again()
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !revoked(t, r, "x", "a", "uid-a", start.Add(5*time.Second)) {
			t.Errorf("%s: the view was narrowed", name)
		}
		if entries, _, _ := r.RevocationsSince(0, 1); !slices.Equal(entries, []store.Revocation{narrow}) {
			t.Errorf("%s: %+v, want %+v", name, entries, narrow)
		}
	}
	later := wide
	later.Seq = 0
	later = put(t, s, later)
	r.Revoke(later)
	if entries, _, _ := r.RevocationsSince(narrow.Seq, 10); !slices.Contains(entries, later) {
		t.Errorf("%+v, want %+v too", entries, later)
	}
}

func TestFeedPages(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	var all []store.Revocation
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range 2*store.MaxLimit + 10 {
			rev := store.Revocation{JTI: fmt.Sprint("jti-", i), ExpiresAt: start.Add(time.Duration(1+i%2) * time.Hour), CreatedAt: start}
			var err error
			if rev.Seq, err = tx.PutRevocation(ctx, rev); err != nil {
				return err
			}
			all = append(all, rev)
		}
		return nil
	})
	r := newRegistry(t, s, c, 0)
	read := func(limit int) (got []store.Revocation) {
		at := int64(0)
		for more := true; more; {
			var page []store.Revocation
			before := at
			page, at, more = r.RevocationsSince(at, limit)
			if len(page) > max(limit, 1) || more && at != page[len(page)-1].Seq || at < before {
				t.Fatalf("%d entries up to %d, more %v", len(page), at, more)
			}
			got = append(got, page...)
		}
		if at != r.Head() {
			t.Fatalf("complete up to %d, want %d", at, r.Head())
		}
		return got
	}
	for _, limit := range []int{-1, 1, 7, 512, 513, len(all), len(all) + 1} {
		if got := read(limit); !slices.Equal(got, all) {
			t.Errorf("limit %d: %d entries, want %d", limit, len(got), len(all))
		}
	}
	if entries, seq, more := r.RevocationsSince(r.Head()+5, 10); len(entries) != 0 || seq != r.Head() || more {
		t.Errorf("past the end: %v, %d, %v", entries, seq, more)
	}
	c.Advance(90 * time.Minute) // every other one has ended
	live := slices.DeleteFunc(slices.Clone(all), func(rev store.Revocation) bool { return rev.ExpiresAt.Before(c.Now()) })
	if got := read(100); !slices.Equal(got, live) {
		t.Errorf("%d entries, want the %d live ones", len(got), len(live))
	}
	bytes := r.FeedBytes()
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(100); !slices.Equal(got, live) || r.FeedBytes() > bytes*6/10 {
		t.Errorf("%d entries in %d bytes, it was %d before the ended ones went", len(got), r.FeedBytes(), bytes)
	}
	if got := read(512); !slices.Equal(got, live) {
		t.Errorf("%d entries", len(got))
	}
}

// What the feed holds as bytes comes out as it went in.
func TestFeedKeepsEveryField(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	var all []store.Revocation
	for _, rev := range []store.Revocation{
		{JTI: "01a20bac-56db-7ef4-9006-6775f985c837"},
		{JTI: "01A20BAC-56DB-7EF4-9006-6775F985C837"},
		{JTI: "01a20bac-56db-7ef4-9006-6775f985c83g"},
		{JTI: "01a20bac-56db-7ef4-9006-6775f985c837", Before: start},
		{JTI: "short", ExpiresAt: start.Add(time.Hour), CreatedAt: start},
		{JTI: "é\u2028"},
		{Service: "a"},
		{Service: "a", ServiceUID: "uid-a", Before: start.Add(123 * time.Microsecond), ExpiresAt: start.Add(time.Hour)},
		{Issuer: "https://idp.example.com"},
		{Issuer: "https://idp.example.com", Subject: "alice", Before: start},
		{KID: "key-1", CreatedAt: start},
		{All: true, Before: start},
	} {
		all = append(all, put(t, s, rev))
	}
	if entries, _, _ := newRegistry(t, s, c, 0).RevocationsSince(0, 100); !slices.Equal(entries, all) {
		t.Errorf("%+v\nwant\n%+v", entries, all)
	}
}

func BenchmarkRevocationsSinceOfAMillion(b *testing.B) {
	r := registry.NewWithRevocations(b, 1_000_000)
	head := r.Head()
	b.ReportAllocs()
	for b.Loop() {
		r.RevocationsSince(head-100, 1000)
	}
	b.ReportMetric(float64(r.FeedBytes())/1e6, "feedB/revocation")
}
