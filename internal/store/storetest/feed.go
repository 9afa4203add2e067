package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Patience is how long a test waits for what comes by itself, however busy the machine.
const Patience = 30 * time.Second

// together runs fn n times at once and returns what it returned.
func together[T any](n int, fn func(i int) T) []T {
	all := make([]T, n)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i] = fn(i) })
	}
	group.Wait()
	return all
}

func count[T comparable](all []T, one T) (n int) {
	for _, v := range all {
		if v == one {
			n++
		}
	}
	return n
}

func feedCases() cases {
	all := alone(map[string]func(*testing.T, store.Store){
		"Changes":              feedChanges,
		"PageIsWhole":          feedPageIsWhole,
		"RollbackNotesNone":    feedRollback,
		"FailedWritesNoteNone": feedFailedWritesNoteNone,
		"HeadHasTheClock":      feedHead,
		"MarksOfNumbers":       feedMarks,
		"RevocationsNumbers":   feedOneCount,
	})
	all["RuleE2CommitsOutOfOrder"] = feedOutOfOrder
	all["RuleE2FollowersMissNothing"] = feedFollowers
	all["Hints"] = feedHints
	return all
}

func changes(t *testing.T, s store.Store, after int64, limit int) []string {
	t.Helper()
	var all []string
	for _, c := range must[[]store.Change](t)(s.Changes(t.Context(), after, limit)) {
		if c.At.IsZero() {
			t.Errorf("%+v has no time", c)
		}
		all = append(all, fmt.Sprintf("%d %s %s", c.Seq, c.Kind, c.Name))
	}
	return all
}

func head(t *testing.T, s store.Store) int64 {
	t.Helper()
	return must[store.FeedHead](t)(s.FeedHead(t.Context())).Seq
}

func feedChanges(t *testing.T, s store.Store) {
	same(t, head(t, s), int64(0))
	same(t, changes(t, s, 0, 0), []string(nil))
	create(t, s, aService("b"))
	createObjects(t, s, anObject("github"))
	want(t, createKey(t, s, aKey("k1", "token", 1)), "")
	want(t, schedule(t, s, "k1", at(50), time.Time{}), "")
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		if err := tx.DeleteService(ctx, "uid-b"); err != nil {
			return err
		}
		return tx.DeleteObject(ctx, "uid-Issuer-github")
	})
	same(t, changes(t, s, 0, 0), []string{
		"1 Service b", "2 Issuer github", "3 SigningKey k1", "4 SigningKey k1", "5 Issuer github", "5 Service b",
	})
	same(t, changes(t, s, 4, 0), []string{"5 Issuer github", "5 Service b"})
	same(t, changes(t, s, 5, 0), []string(nil))
	same(t, head(t, s), int64(5))
	for _, n := range []int{-1, store.MaxLimit + 1} {
		_, err := s.Changes(t.Context(), 0, n)
		want(t, err, countersign.Invalid)
	}
}

// A page never ends within a transaction: who goes on after its last number would
// miss the rest.
func feedPageIsWhole(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	create(t, s, aService("b"), aService("c"), aService("d"))
	create(t, s, aService("e"))
	two := []string{"2 Service b", "2 Service c", "2 Service d"}
	for limit, expected := range map[int][]string{
		1: {"1 Service a"},
		4: append([]string{"1 Service a"}, two...),
		5: append(append([]string{"1 Service a"}, two...), "3 Service e"),
	} {
		same(t, changes(t, s, 0, limit), expected)
	}
	same(t, changes(t, s, 1, 1), two) // the only one comes in full
	for limit := 1; limit < 6; limit++ {
		var got []string
		for after := int64(0); ; {
			page := must[[]store.Change](t)(s.Changes(t.Context(), after, limit))
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				got = append(got, c.Name)
			}
			after = page[len(page)-1].Seq
		}
		same(t, got, []string{"a", "b", "c", "d", "e"})
	}
}

func feedRollback(t *testing.T, s store.Store) {
	_ = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_ = tx.CreateService(ctx, aService("a"))
		return errRefused
	})
	same(t, changes(t, s, 0, 0), []string(nil))
	same(t, head(t, s), int64(0))
	create(t, s, aService("b"))
	same(t, changes(t, s, 0, 0), []string{"1 Service b"})
}

func feedFailedWritesNoteNone(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		want(t, tx.CreateService(ctx, aService("a")), countersign.Conflict)
		want(t, tx.DeleteService(ctx, "uid-nobody"), countersign.NotFound)
		want(t, tx.ScheduleSigningKey(ctx, "k9", at(1), at(2)), countersign.NotFound)
		return nil
	})
	same(t, changes(t, s, 0, 0), []string{"1 Service a"})
}

func feedHead(t *testing.T, s store.Store) {
	before := time.Now().Add(-time.Minute)
	now := must[store.FeedHead](t)(s.FeedHead(t.Context())).Now
	if now.Before(before) || now.After(time.Now().Add(time.Minute)) || now.Location() != time.UTC {
		t.Fatalf("the store's clock says %v", now)
	}
	if later := must[store.FeedHead](t)(s.FeedHead(t.Context())).Now; later.Before(now) {
		t.Fatalf("%v after %v", later, now)
	}
}

// Each number has a mark of its own, which is no change, also one that a transaction took and
// gave back.
func feedMarks(t *testing.T, s store.Store) {
	mark := func(seq int64) string { return must[string](t)(s.Mark(t.Context(), seq)) }
	same(t, mark(1), "")
	same(t, must[store.FeedHead](t)(s.FeedHead(t.Context())).Mark, "")
	var drawn string
	_ = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		want(t, tx.CreateService(ctx, aService("refused")), "")
		return errRefused
	})
	same(t, mark(1), "")
	create(t, s, aService("a"))
	drawn = mark(1)
	same(t, must[store.FeedHead](t)(s.FeedHead(t.Context())).Mark, drawn)
	revoke(t, s, store.Revocation{JTI: "j"})
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.Serialize(ctx) })
	all := map[string]bool{mark(1): true, mark(2): true, mark(3): true, "": true}
	same(t, len(all), 4)
	same(t, mark(1), drawn)
	same(t, must[store.FeedHead](t)(s.FeedHead(t.Context())).Mark, mark(3))
	same(t, mark(4), "")
	same(t, changes(t, s, 0, 0), []string{"1 Service a"})
	same(t, changes(t, s, 0, 1), []string{"1 Service a"})
}

// Revocations and changes have one count.
func feedOneCount(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	same(t, revoke(t, s, store.Revocation{JTI: "j"}).Seq, int64(2))
	create(t, s, aService("b"))
	same(t, changes(t, s, 0, 0), []string{"1 Service a", "3 Service b"})
	same(t, head(t, s), int64(3))
}

// A transaction has number n and commits late; one of another process that comes
// meanwhile gets n+1 and can't commit first: nobody sees n+1 without n.
func feedOutOfOrder(t *testing.T, open func() store.Store) {
	slow, fast, reader := open(), open(), open()
	done := make(chan error, 1)
	update(t, slow, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, aService("first")); err != nil {
			return err
		}
		started := make(chan struct{})
		go func() {
			close(started)
			done <- fast.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				return tx.CreateService(ctx, aService("second"))
			})
		}()
		<-started
		for range 50 { // each is a round trip: time for the other to do wrong
			same(t, changes(t, reader, 0, 0), []string(nil))
			same(t, head(t, reader), int64(0))
		}
		select {
		case err := <-done:
			t.Errorf("the other commit came first: %v", err)
			done <- err
		default:
		}
		return nil
	})
	want(t, <-done, "")
	same(t, changes(t, reader, 0, 0), []string{"1 Service first", "2 Service second"})
}

// Who follows the feed while several processes commit misses nothing.
func feedFollowers(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	reader := open()
	const writers, each = 4, 8
	done := make(chan struct{})
	go func() {
		defer close(done)
		together(writers, func(w int) error {
			for i := range each {
				err := stores[w%2].Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					return tx.CreateObject(ctx, anObject(fmt.Sprintf("%d-%d", w, i)))
				})
				if err != nil {
					t.Error(err)
				}
			}
			return nil
		})
	}()
	seen, last := 0, int64(0)
	for finished := false; !finished; {
		select {
		case <-done:
			finished = true
		default:
		}
		top := head(t, reader)
		for _, c := range must[[]store.Change](t)(reader.Changes(t.Context(), last, store.MaxLimit)) {
			if c.Seq != last+1 {
				t.Fatalf("number %d comes after %d", c.Seq, last)
			}
			seen, last = seen+1, c.Seq
		}
		if last < top {
			t.Fatalf("the head says %d, and the changes end at %d", top, last)
		}
	}
	same(t, seen, writers*each)
}

// Where others write to the database, a commit is heard by all.
func feedHints(t *testing.T, open func() store.Store) {
	writer, reader := open(), open()
	hints := reader.Hints()
	if hints == nil {
		return // nobody else writes, or it is not heard of
	}
	heard := func() {
		t.Helper()
		select {
		case <-hints:
		case <-time.After(Patience):
			t.Fatal("no hint came")
		}
	}
	heard() // the first says that it listens from now on
	create(t, writer, aService("a"))
	heard()
	revoke(t, writer, store.Revocation{JTI: "j"})
	heard()
	create(t, reader, aService("b")) // a process hears of itself
	heard()
	if cap(hints) != 1 {
		t.Errorf("the channel holds %d", cap(hints))
	}
}

func serializeCases() cases {
	return cases{
		"WhatIsReadStaysTrue": serializeStaysTrue,
		"OneThatFailsLetsGo":  serializeRollsBack,
	}
}

// What a transaction reads after Serialize includes all that was committed before, and
// nobody changes it meanwhile: many processes that each add one lose none.
func serializeStaysTrue(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	const writers, each = 4, 6
	var inside int // only one at a time; the race detector can't see that over stores
	var mu sync.Mutex
	enter := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		inside += n
		return inside
	}
	for _, err := range together(writers, func(w int) error {
		for range each {
			err := stores[w%2].Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				if err := tx.Serialize(ctx); err != nil {
					return err
				}
				if n := enter(1); n != 1 {
					t.Errorf("%d transactions at once", n)
				}
				defer enter(-1)
				have, err := tx.Services(ctx, store.Page{Limit: store.MaxLimit})
				if err != nil {
					return err
				}
				return tx.CreateService(ctx, aService(fmt.Sprintf("service-%03d", len(have))))
			})
			if err != nil {
				return err
			}
		}
		return nil
	}) {
		want(t, err, "")
	}
	same(t, len(must[[]store.Service](t)(stores[0].Services(t.Context(), store.Page{Limit: store.MaxLimit}))), writers*each)
}

// One that fails lets the next one in.
func serializeRollsBack(t *testing.T, open func() store.Store) {
	one, other := open(), open()
	err := one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.Serialize(ctx); err != nil {
			return err
		}
		return errRefused
	})
	if err != errRefused { //nolint:errorlint // as it is, not wrapped
		t.Fatal(err)
	}
	update(t, other, func(ctx context.Context, tx store.Tx) error {
		if err := tx.Serialize(ctx); err != nil {
			return err
		}
		return tx.CreateService(ctx, aService("a"))
	})
	same(t, changes(t, one, 0, 0), []string{"1 Service a"})
}
