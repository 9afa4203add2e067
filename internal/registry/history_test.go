package registry_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// moving is a database that goes to another server, which lacks its last commits.
type moving struct {
	store.Store
	now *atomic.Pointer[store.Store]
	// between runs once, between two of the questions of a poll.
	between *atomic.Pointer[func()]
}

func newMoving(at store.Store) moving {
	m := moving{at, new(atomic.Pointer[store.Store]), new(atomic.Pointer[func()])}
	m.now.Store(&at)
	return m
}

func (m moving) to(at store.Store) { m.now.Store(&at) }
func (m moving) at() store.Store   { return *m.now.Load() }

func (m moving) FeedHead(ctx context.Context) (store.FeedHead, error) {
	head, err := m.at().FeedHead(ctx)
	if fn := m.between.Swap(nil); fn != nil {
		(*fn)()
	}
	return head, err
}

func (m moving) Mark(ctx context.Context, seq int64) (string, error) { return m.at().Mark(ctx, seq) }

func (m moving) Changes(ctx context.Context, after int64, limit int) ([]store.Change, error) {
	return m.at().Changes(ctx, after, limit)
}

func (m moving) Revocations(ctx context.Context, after int64, alive time.Time, limit int) ([]store.Revocation, error) {
	return m.at().Revocations(ctx, after, alive, limit)
}

func (m moving) Meta(ctx context.Context, key string) (string, error) { return m.at().Meta(ctx, key) }

func (m moving) Service(ctx context.Context, name string) (store.Service, error) {
	return m.at().Service(ctx, name)
}

func (m moving) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	return m.at().Update(ctx, fn)
}

// twoServers are a primary and a standby that lacks its last two commits.
func twoServers(t *testing.T, c *fixture.Clock) (primary, standby store.Store) {
	t.Helper()
	primary, standby = fixture.NewStore(t), fixture.NewStore(t)
	for _, s := range []store.Store{primary, standby} {
		if _, err := s.SetMetaIfAbsent(t.Context(), "epoch", "e1"); err != nil {
			t.Fatal(err)
		}
		end(t, s, c, "both")
	}
	end(t, primary, c, "lost-1")
	end(t, primary, c, "lost-2")
	return primary, standby
}

func end(t *testing.T, s store.Store, c *fixture.Clock, jti string) {
	t.Helper()
	put(t, s, store.Revocation{JTI: jti, CreatedAt: c.Now(), ExpiresAt: c.Now().Add(time.Hour)})
}

func feedOf(r *registry.Registry) (page registry.FeedPage, jtis []string) {
	page = r.Page("", 0, 100)
	for _, entry := range page.Entries {
		jtis = append(jtis, entry.JTI)
	}
	return page, jtis
}

// A failover to an asynchronous standby, or a recovery to a point in time: numbers are given
// anew, and whoever went on from one that meant something else would never hear of what has it
// now (RULES E2). The replicas find out, however many numbers were given meanwhile, and begin
// one epoch.
func TestRuleE2NumbersThatAreGivenAnewAreFoundOut(t *testing.T) {
	t.Parallel()
	for name, given := range map[string][]string{
		"fewer": {"new-1"}, "as many": {"new-1", "new-2"}, "more": {"new-1", "new-2", "new-3", "new-4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fixture.NewClock(start)
			primary, standby := twoServers(t, c)
			m := newMoving(primary)
			var lost []string
			keep := func(cfg *registry.Config) {
				cfg.OnLost = func(revs []store.Revocation) {
					for _, rev := range revs {
						lost = append(lost, rev.JTI)
					}
				}
			}
			a, b := openShared(t, m, c, keep), openShared(t, m, c)
			for _, jti := range given {
				end(t, standby, c, jti)
			}
			m.to(standby)
			epochs := make(map[string]bool)
			for _, r := range []*registry.Registry{a, b, a, b} {
				if err := r.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				page, jtis := feedOf(r)
				epochs[page.Epoch] = true
				if want := append([]string{"both"}, given...); !slices.Equal(jtis, want) {
					t.Errorf("the feed has %v, want %v", jtis, want)
				}
				if old := r.Page("e1", 3, 100); old.Since != 0 || old.Ahead || len(old.Entries) != len(jtis) {
					t.Errorf("who followed the epoch before does not start anew: %+v", old)
				}
				if !revoked(t, r, "lost-1", "", "", start) || !revoked(t, r, "new-1", "", "", start) {
					t.Error("what was revoked, in either history, is not revoked here")
				}
			}
			if len(epochs) != 1 || epochs["e1"] {
				t.Errorf("the epochs %v, want one new one", epochs)
			}
			if !slices.Equal(lost, []string{"lost-1", "lost-2"}) {
				t.Errorf("told of the lost ones: %v", lost)
			}
			if left := a.Unstored([]store.Revocation{{JTI: "lost-1", CreatedAt: c.Now(), ExpiresAt: c.Now().Add(time.Hour)}}); len(left) != 1 {
				t.Errorf("what is lost is taken for stored: %v", left)
			}
		})
	}
}

// What is lost first is what was committed last: a revocation that was acknowledged here, and that
// no poll has come to. Whether or not the failover is found out otherwise, it is stored again.
func TestRuleE2WhatWasAcknowledgedHereAndLostIsPutBack(t *testing.T) {
	t.Parallel()
	for name, knewMore := range map[string]bool{"found out by a mark": true, "nothing else was lost": false} {
		for given := range 4 {
			t.Run(fmt.Sprint(name, given), func(t *testing.T) {
				t.Parallel()
				c := fixture.NewClock(start)
				primary, standby := twoServers(t, c)
				m := newMoving(standby)
				if knewMore {
					m.to(primary)
				}
				var lost []string
				r := openShared(t, m, c, func(cfg *registry.Config) {
					cfg.OnLost = func(revs []store.Revocation) {
						for _, rev := range revs {
							lost = append(lost, rev.JTI)
						}
					}
				})
				mine := store.Revocation{JTI: "mine", CreatedAt: c.Now(), ExpiresAt: c.Now().Add(time.Hour), Seq: r.Head() + 1}
				r.Revoke(mine) // it was committed, and the server that has it is gone
				m.to(standby)
				for i := range given {
					end(t, standby, c, fmt.Sprint("new-", i))
				}
				for range 2 { // a second poll finds nothing more
					if err := r.CatchUp(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if given == 0 && !knewMore {
					end(t, standby, c, "later") // until then it may be on its way
					if err := r.CatchUp(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if count := len(slices.DeleteFunc(lost, func(jti string) bool { return jti != "mine" })); count != 1 {
					t.Errorf("told %d times of the one that was lost", count)
				}
				if !revoked(t, r, "mine", "", "", start) {
					t.Error("it lives here")
				}
			})
		}
	}
}

// What is there as it was stored is not lost, also where its end was moved here.
func TestOwnRevocationsAreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	s := fixture.NewStore(t)
	var lost []store.Revocation
	r := openShared(t, s, c, func(cfg *registry.Config) {
		cfg.OnLost = func(revs []store.Revocation) { lost = append(lost, revs...) }
	})
	local := start.In(time.FixedZone("somewhere", 3600))
	for i, rev := range []store.Revocation{
		{JTI: countersign.NewRequestID(start), ExpiresAt: local.Add(time.Hour + 1), CreatedAt: local},
		{Service: "a", ServiceUID: "uid-a", Before: local, ExpiresAt: local.Add(time.Hour), CreatedAt: start},
		{Session: "ASIAQZ3R5T7B2X4W6Y2A", ExpiresAt: local.Add(time.Minute), CreatedAt: start},
		{KID: "k"}, {All: true, Before: start}, {Issuer: "i", Subject: "s", Before: start},
	} {
		rev = put(t, s, rev)
		if i == 1 {
			rev.Before, rev.ExpiresAt = rev.Before.Add(time.Second), rev.ExpiresAt.Add(time.Second)
		}
		r.Revoke(rev)
		if i%2 == 0 {
			continue
		}
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(lost) != 0 || r.OwnHeld() != 0 {
		t.Errorf("taken for lost: %+v; %d are held", lost, r.OwnHeld())
	}
}

// The server changes in the middle of a poll.
func TestRuleE2FailoverBetweenTheQuestionsOfAPoll(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	primary, standby := twoServers(t, c)
	m := newMoving(primary)
	r := openShared(t, m, c)
	end(t, primary, c, "lost-3")
	end(t, primary, c, "lost-4")
	end(t, standby, c, "new-1")
	move := func() { m.to(standby) }
	m.between.Store(&move) // the head is the primary's, the rest is not
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if page, jtis := feedOf(r); page.Epoch == "e1" && !slices.Contains(jtis, "new-1") {
		t.Errorf("nobody hears of new-1: %v", jtis)
	}
	end(t, standby, c, "new-2")
	end(t, standby, c, "new-3")
	for range 2 {
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if page, jtis := feedOf(r); page.Epoch == "e1" || !slices.Equal(jtis, []string{"both", "new-1", "new-2", "new-3"}) {
		t.Errorf("epoch %s: %v", page.Epoch, jtis)
	}
}

// unmarked is what a version before left: numbers without marks.
type unmarked struct{ store.Store }

func (u unmarked) FeedHead(ctx context.Context) (store.FeedHead, error) {
	head, err := u.Store.FeedHead(ctx)
	head.Mark = ""
	return head, err
}

func (unmarked) Mark(context.Context, int64) (string, error) { return "", nil }

// While a deployment is upgraded replicas of the version before give numbers without marks,
// and after a day a mark is forgotten. Neither is another history.
func TestNoMarkIsNoOtherHistory(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	s, _ := twoServers(t, c)
	m := newMoving(s)
	r := openShared(t, m, c)
	for i, at := range []store.Store{unmarked{s}, s, unmarked{s}} {
		m.to(at)
		end(t, s, c, "more-"+string(rune('a'+i)))
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if page, jtis := feedOf(r); page.Epoch != "e1" || len(jtis) != 6 {
		t.Errorf("epoch %s, %v", page.Epoch, jtis)
	}
}

// What is read past the head of a poll is in force at once, and its number is taken when its
// mark is known: else nobody could tell whether it was given anew.
func TestNothingPastTheHeadIsCounted(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	s, _ := twoServers(t, c)
	m := newMoving(s)
	r := openShared(t, m, c)
	head := r.Head()
	more := func() { end(t, s, c, "meanwhile") }
	end(t, s, c, "before")
	m.between.Store(&more)
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Head() != head+1 || !revoked(t, r, "meanwhile", "", "", start) {
		t.Errorf("the head is %d, want %d", r.Head(), head+1)
	}
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, jtis := feedOf(r); r.Head() != head+2 || jtis[len(jtis)-1] != "meanwhile" {
		t.Errorf("up to %d: %v", r.Head(), jtis)
	}
}
