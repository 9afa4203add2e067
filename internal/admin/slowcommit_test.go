package admin_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// slowDisk is a store whose transactions take their time by a test's clock.
type slowDisk struct {
	store.Store
	takes func()
}

func (d slowDisk) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	return d.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		err := fn(ctx, tx)
		d.takes()
		return err
	})
}

// A token that is minted while the disk takes a disable must not live on when the service
// is enabled again, however slow the disk is.
func TestRuleE3TokenMintedDuringASlowCommit(t *testing.T) {
	t.Parallel()
	var r *rig
	var slow atomic.Bool
	r = newRig(t, func(s store.Store) store.Store {
		return slowDisk{s, func() {
			if slow.Load() {
				r.Clock.Advance(8 * time.Second)
			}
		}}
	})
	d, _ := r.create(t, "a")
	began := r.Clock.Now()
	slow.Store(true)
	_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	slow.Store(false)
	_, err = r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, false)
	must(t, err)
	if !r.revoked(t, d, began.Add(5*time.Second)) {
		t.Error("a token from the time of the commit lives")
	}
	r.Clock.Advance(10 * time.Second)
	if r.revoked(t, d, r.Clock.Now()) {
		t.Error("a token from after it does not")
	}
}

// otherReplica is a view of the same database, of another process.
func otherReplica(t *testing.T, r *rig) *registry.Registry {
	t.Helper()
	other, err := registry.New(t.Context(), registry.Config{Store: r.Store, Shared: true, OpenAccessKey: r.Keys.OpenAccessKey, Now: r.Clock.Now})
	must(t, err)
	return other
}

// A revocation ends as much elsewhere, and here after a restart, as it does here: whoever is
// told that it is made, or that a token is revoked already, relies on it (vulnerability 22).
func TestVulnerability22SlowCommitEndsAsMuchEverywhere(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(r *rig) error{
		"revoke": func(r *rig) error { return r.RevokeService(t.Context(), super(), "a") },
		"all":    func(r *rig) error { return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true}) },
		"disable": func(r *rig) error {
			_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
			return err
		},
		"apply": func(r *rig) error {
			_, err := r.Apply(t.Context(), super(), request("kind: Service\nname: a\n"))
			return err
		},
	} {
		for outcome, mode := range map[string]int32{"committed": healthy, "lost": lost, "ambiguous": ambiguous} {
			t.Run(name+" "+outcome, func(t *testing.T) {
				t.Parallel()
				s := newSlowRig(t)
				d, _ := s.create(t, "a")
				follower := otherReplica(t, s.rig)
				began := s.Clock.Now()
				s.takes.Store(int64(6 * time.Second))
				s.mode.Store(mode)
				err := revoke(s.rig)
				s.takes.Store(0)
				if (err != nil) != (mode == lost) { // the audit log finds out what was committed
					t.Fatalf("got %v", err)
				}
				s.mode.Store(healthy)
				must(t, s.Settle(t.Context()))
				must(t, follower.Sync(t.Context()))
				minted := registry.TokenFacts{JTI: "x", Service: d.Name, ServiceUID: d.UID, IssuedAt: began.Add(5 * time.Second)}
				for who, view := range map[string]*registry.Registry{"here": s.Registry, "elsewhere": follower, "after a restart": reopen(t, s.rig)} {
					if revoked, err := view.Revoked(t.Context(), minted); err != nil || !revoked {
						t.Errorf("%s: revoked %t, %v", who, revoked, err)
					}
					entries, _, _ := view.RevocationsSince(0, 10)
					if last := entries[len(entries)-1]; last.Before.Before(began.Add(6*time.Second)) || !last.ExpiresAt.Equal(last.Before.Add(session.MaxDuration+admin.MaxTokenLifetime+admin.RevocationSlack)) {
						t.Errorf("%s: receivers hear of %+v", who, entries)
					}
				}
			})
		}
	}
}

// slowRig is a rig whose store is slow or fails on demand.
type slowRig struct {
	*rig
	mode  atomic.Int32
	takes atomic.Int64 // nanoseconds
}

func newSlowRig(t *testing.T) *slowRig {
	t.Helper()
	s := &slowRig{}
	s.rig = newRig(t, func(disk store.Store) store.Store {
		return slowDisk{doubtful{disk, &s.mode}, func() {
			if takes := s.takes.Load(); takes > 0 {
				s.rig.Clock.Advance(time.Duration(takes))
			}
		}}
	})
	return s
}

// The answer is "done" only when the store has the later end: the change itself is made, and
// told of, either way.
func TestVulnerability22SlowCommitIsNotCalledDoneBeforeItIs(t *testing.T) {
	t.Parallel()
	var r *rig
	var slow atomic.Bool
	var mode atomic.Int32
	r = newRig(t, func(s store.Store) store.Store {
		return doubtful{slowDisk{s, func() {
			if slow.Swap(false) {
				r.Clock.Advance(6 * time.Second)
				mode.Store(lost) // the next transaction, not this one
			}
		}}, &mode}
	})
	r.create(t, "a")
	slow.Store(true)
	if err := r.RevokeService(t.Context(), super(), "a"); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	if err := r.CatchUp(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("who finds a token revoked is told so: %v", err)
	}
	if events := r.Events(t, audit.Query{Action: "revoke"}); len(events) != 1 || events[0].Decision != audit.Changed {
		t.Errorf("events %+v", events)
	}
	mode.Store(healthy)
	must(t, r.CatchUp(t.Context()))
	events := r.Events(t, audit.Query{Action: "revoke", Decision: audit.Changed})
	if len(events) != 2 || revocations(t, r) != 2 || events[0].Detail == "stored late" || events[1].Detail == "stored late" {
		t.Errorf("%d revocations, events %+v", revocations(t, r), events)
	}
}

// What a time was asked for does not end later because the disk is slow, and a commit that is
// not slow costs no second one.
func TestRuleE3OnlyASlowCommitOfNowIsWidened(t *testing.T) {
	t.Parallel()
	s := newSlowRig(t)
	d, _ := s.create(t, "a")
	s.Clock.Advance(time.Minute)
	s.takes.Store(int64(6 * time.Second))
	before := s.Clock.Now().Add(-30 * time.Second)
	must(t, s.RevokeServiceBefore(t.Context(), super(), "a", before))
	if got := revocations(t, s.rig); got != 1 || s.revoked(t, d, before.Add(3*time.Second)) {
		t.Errorf("before a time: %d revocations", got)
	}
	s.takes.Store(int64(400 * time.Millisecond))
	must(t, s.RevokeService(t.Context(), super(), "a"))
	if got := revocations(t, s.rig); got != 2 {
		t.Errorf("at once: %d revocations", got)
	}
}

// The same of what is revoked here, whether the store takes it now or in an hour.
func TestRuleE4SlowRevokeHereEndsAsMuchEverywhere(t *testing.T) {
	t.Parallel()
	for outcome, mode := range map[string]int32{"stored": healthy, "later": lost} {
		s := newSlowRig(t)
		log, err := audit.Open(t.Context(), audit.Config{
			Store: s.Store, Replica: "replica-a", Signer: s.Keys, Now: s.Clock.Now, Spool: filepath.Join(t.TempDir(), "spool"), SpoolMax: 1 << 20,
		})
		must(t, err)
		t.Cleanup(func() { _ = log.Close(context.WithoutCancel(t.Context())) })
		s.Admin, err = admin.New(admin.Config{Store: s.Store, Audit: log, Registry: s.Registry, Keys: s.Keys, Now: s.Clock.Now})
		must(t, err)
		d, _ := s.create(t, "a")
		s.Clock.Advance(time.Minute)
		began := s.Clock.Now()
		s.takes.Store(int64(6 * time.Second))
		s.mode.Store(mode)
		stored, err := s.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "a"})
		s.takes.Store(0)
		s.mode.Store(healthy)
		if err != nil || stored != (mode == healthy) {
			t.Fatalf("%s: %t, %v", outcome, stored, err)
		}
		if !s.revoked(t, d, began.Add(5*time.Second)) {
			t.Errorf("%s: it lives here", outcome)
		}
		for log.Degraded() { // until its own probe finds the store again
			runtime.Gosched()
		}
		must(t, s.Settle(t.Context()))
		if revoked, err := otherReplica(t, s.rig).Revoked(t.Context(), registry.TokenFacts{JTI: "x", Service: d.Name, ServiceUID: d.UID, IssuedAt: began.Add(5 * time.Second)}); err != nil || !revoked {
			t.Errorf("%s, elsewhere: %t, %v", outcome, revoked, err)
		}
	}
}
