package registry_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// replica is one of several processes on one database.
type replica struct {
	*registry.Registry
	store *faultyStore
}

// replicas opens a database n times.
func replicas(t *testing.T, c *fixture.Clock, n int, change ...func(*registry.Config)) []replica {
	t.Helper()
	path := filepath.Join(t.TempDir(), "countersign.db")
	return replicasOn(t, c, n, func() store.Store { return fixture.OpenStore(t, path) }, change...)
}

func replicasOn(t *testing.T, c *fixture.Clock, n int, open func() store.Store, change ...func(*registry.Config)) []replica {
	t.Helper()
	all := make([]replica, n)
	for i := range all {
		s := &faultyStore{Store: open()}
		all[i] = replica{openShared(t, s, c, change...), s}
	}
	return all
}

func openShared(t *testing.T, s store.Store, c *fixture.Clock, change ...func(*registry.Config)) *registry.Registry {
	t.Helper()
	cfg := registry.Config{Store: s, Now: c.Now, Shared: true}
	for _, fn := range change {
		fn(&cfg)
	}
	r, err := registry.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r replica) sync(t *testing.T) {
	t.Helper()
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// put stores a revocation and returns it with its number, without telling anybody.
func put(tb testing.TB, s store.Store, rev store.Revocation) store.Revocation {
	tb.Helper()
	update(tb, s, func(ctx context.Context, tx store.Tx) (err error) {
		rev.Seq, err = tx.PutRevocation(ctx, rev)
		return err
	})
	return rev
}

func TestRuleE2ChangeOfAnotherProcessIsSeen(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2)
	a, b := both[0], both[1]
	if _, err := b.Service(t.Context(), "document-service"); !errors.Is(err, countersign.NotFound) {
		t.Fatal(err)
	}
	register(t, a.store, "document-service", "uid-1")
	b.sync(t)
	if _, err := b.Service(t.Context(), "document-service"); err != nil {
		t.Fatalf("the new service is not seen: %v", err)
	}
	change(t, a.store, "document-service", func(s *store.Service) { s.Disabled = true })
	if s, err := b.Service(t.Context(), "document-service"); err != nil || s.Disabled {
		t.Fatalf("%+v, %v; nobody has polled yet", s, err)
	}
	b.sync(t)
	if s, err := b.Service(t.Context(), "document-service"); err != nil || !s.Disabled {
		t.Fatalf("%+v, %v; want the disabled service", s, err)
	}
	update(t, a.store, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-1") })
	b.sync(t)
	if _, err := b.Service(t.Context(), "document-service"); !errors.Is(err, countersign.NotFound) {
		t.Fatalf("%v, want NotFound", err)
	}
}

func TestRuleE2RevocationOfAnotherProcessIsSeen(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.sync(t)
	news := b.Watch()
	rev := put(t, a.store, store.Revocation{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	if revoked(t, b.Registry, "jti-1", "a", "uid-a", start) {
		t.Fatal("nobody has polled yet")
	}
	b.sync(t)
	if !revoked(t, b.Registry, "jti-1", "a", "uid-a", start) || revoked(t, b.Registry, "jti-2", "a", "uid-a", start) {
		t.Error("not exactly the revoked token is dead")
	}
	select {
	case <-news:
	default:
		t.Error("who watches was not told")
	}
	if entries, seq, more := b.RevocationsSince(0, 10); len(entries) != 1 || entries[0] != rev || seq != b.Head() || seq != rev.Seq || more {
		t.Errorf("%+v up to %d, more %v", entries, seq, more)
	}
}

// A load that began before another process's change ends after the poll that found it.
func TestRuleE2PollOvertakesALoad(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2)
	a, b := both[0], both[1]
	register(t, a.store, "document-service", "uid-1")
	b.sync(t)
	for name, poll := range map[string]func(){
		"a poll":   func() { b.sync(t) },
		"a resync": func() { b.store.silent.Store(true); b.sync(t); b.ForgetAll(); b.store.silent.Store(false) },
	} {
		var revision int64
		b.Forget("document-service")
		entered, leave := b.store.hold()
		old := make(chan error, 1)
		go func() { _, err := b.Service(t.Context(), "document-service"); old <- err }()
		<-entered
		change(t, a.store, "document-service", func(s *store.Service) { revision = s.Revision })
		poll()
		if s, err := b.Service(t.Context(), "document-service"); err != nil || s.Revision != revision {
			t.Errorf("%s: %+v, %v; want revision %d", name, s, err, revision)
		}
		close(leave)
		if err := <-old; err != nil {
			t.Fatal(err)
		}
		if s, err := b.Service(t.Context(), "document-service"); err != nil || s.Revision != revision {
			t.Errorf("%s: the old load brought the old view back: %+v, %v", name, s, err)
		}
	}
}

func TestRuleE2EveryChangeIsTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []store.Change
	both := replicas(t, fixture.NewClock(start), 2, func(cfg *registry.Config) {
		cfg.OnChange = func(c store.Change) { mu.Lock(); defer mu.Unlock(); told = append(told, c) }
	})
	a, b := both[0], both[1]
	const many = store.MaxLimit + 5
	update(t, a.store, func(ctx context.Context, tx store.Tx) error {
		return tx.CreateObject(ctx, store.Object{UID: "o", Kind: "RoutePolicy", Name: "documents", Spec: []byte("{}"), CreatedAt: start})
	})
	for range many {
		update(t, a.store, func(ctx context.Context, tx store.Tx) error {
			o, err := tx.Object(ctx, "RoutePolicy", "documents")
			if err != nil {
				return err
			}
			o.Revision++
			return tx.UpdateObject(ctx, o)
		})
	}
	b.sync(t)
	if len(told) != many+1 {
		t.Fatalf("%d changes were told, want %d", len(told), many+1)
	}
	for i, c := range told {
		if c.Kind != "RoutePolicy" || c.Name != "documents" || i > 0 && c.Seq <= told[i-1].Seq {
			t.Fatalf("change %d: %+v after %+v", i, c, told[max(i-1, 0)])
		}
	}
	told = nil
	if b.sync(t); len(told) != 0 {
		t.Errorf("told twice: %+v", told)
	}
	if a.sync(t); len(told) != many+1 {
		t.Errorf("of its own changes a process hears too: %d", len(told))
	}
}

// A database that was restored has a lower number, or the same one in another epoch.
func TestRuleE2RestoredDatabaseStartsAnew(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	for name, ahead := range map[string]bool{"the head went back": false, "another epoch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, backup := fixture.NewStore(t), fixture.NewStore(t)
			epoch := func(s store.Store, value string) {
				if _, err := s.SetMetaIfAbsent(t.Context(), "epoch", value); err != nil {
					t.Fatal(err)
				}
			}
			epoch(old, "1")
			register(t, old, "a", "uid-a")
			register(t, old, "b", "uid-b")
			put(t, old, store.Revocation{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
			s := &faultyStore{Store: old}
			var told []store.Change
			r := openShared(t, s, c, func(cfg *registry.Config) { cfg.OnChange = func(c store.Change) { told = append(told, c) } })
			if revoked(t, r, "jti-2", "a", "uid-a", start) {
				t.Fatal("a good token is dead")
			}
			register(t, backup, "a", "uid-before")
			rev := put(t, backup, store.Revocation{JTI: "jti-2", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
			epoch(backup, "1")
			if ahead {
				update(t, backup, func(ctx context.Context, tx store.Tx) error { return tx.SetMeta(ctx, "epoch", "2") })
				for range 10 {
					update(t, backup, func(ctx context.Context, tx store.Tx) error { return tx.Serialize(ctx) })
				}
			}
			s.Store = backup
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if service, err := r.Service(t.Context(), "a"); err != nil || service.UID != "uid-before" {
				t.Errorf("%+v, %v; want the restored service", service, err)
			}
			if !revoked(t, r, "jti-2", "a", "uid-before", start) || !revoked(t, r, "jti-1", "a", "uid-before", start) {
				t.Error("a revocation is gone")
			}
			if entries, seq, _ := r.RevocationsSince(0, 10); len(entries) != 1 || entries[0] != rev || seq != r.Head() {
				t.Errorf("the feed is not the restored one: %+v", entries)
			}
			if len(told) != 1 || told[0].Kind != "" {
				t.Errorf("told %+v, want that anything may have changed", told)
			}
		})
	}
}

// The store forgets changes after a day: who was away for long starts anew.
func TestRuleE2ForgottenChangesAreNotMissed(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	both := replicas(t, c, 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.sync(t)
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Fatal("a good token is dead")
	}
	change(t, a.store, "a", func(s *store.Service) { s.Disabled = true })
	b.store.silent.Store(true)
	c.Advance(25 * time.Hour)
	b.sync(t)
	if s, err := b.Service(t.Context(), "a"); err != nil || !s.Disabled {
		t.Errorf("%+v, %v; a change was missed", s, err)
	}
}

// A resync that fails half-way is done again, whatever the numbers say then.
func TestRuleE2FailedResyncIsRepeated(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	both := replicas(t, c, 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.sync(t)
	rev := put(t, a.store, store.Revocation{JTI: "jti", ExpiresAt: start.Add(48 * time.Hour), CreatedAt: start})
	c.Advance(25 * time.Hour)
	b.store.beforeChanges = func() { t.Error("changes were read, though some are forgotten") }
	b.store.failRevocations.Store(true)
	if err := b.Sync(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Fatal(err)
	}
	b.store.failRevocations.Store(false)
	b.sync(t)
	if entries, _, _ := b.RevocationsSince(0, 10); len(entries) != 1 || entries[0] != rev {
		t.Errorf("%+v", entries)
	}
}

func TestRuleE3SkewIsMeasured(t *testing.T) {
	t.Parallel()
	behind := fixture.NewClock(time.Now().Add(-time.Minute))
	b := replicas(t, behind, 1)[0]
	if skew := b.Skew(); skew < time.Minute || skew > 2*time.Minute {
		t.Errorf("skew %v, want a minute and a little", skew)
	}
	behind.Advance(2 * time.Minute)
	b.sync(t)
	if skew := b.Skew(); skew > -30*time.Second || skew < -time.Minute {
		t.Errorf("skew %v, want almost a minute behind", skew)
	}
	if skew := newRegistry(t, fixture.NewStore(t), behind, 0).Skew(); skew != 0 {
		t.Errorf("skew %v where nobody else writes", skew)
	}
}
