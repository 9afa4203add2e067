package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// onPostgres opens a database of cluster n times.
func onPostgres(t *testing.T, cluster *storetest.Cluster, c *fixture.Clock, n int, change ...func(*registry.Config)) []replica {
	t.Helper()
	dsn := cluster.NewDatabase(t)
	return replicasOn(t, c, n, func() store.Store {
		s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{
			ConnectTimeout: storetest.Patience, StatementTimeout: storetest.Patience, LockTimeout: storetest.Patience, IdleTimeout: storetest.Patience, // a busy machine is no outage
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}, change...)
}

func TestRuleE2FeedNeverSkipsOnPostgres(t *testing.T) {
	t.Parallel()
	neverSkips(t, onPostgres(t, storetest.Postgres(t), fixture.NewClock(start), 2))
}

// With a long pause between polls it is the database's hint that brings the news.
func TestRuleE2HintsAreFollowed(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	both := onPostgres(t, storetest.Postgres(t), c, 2, func(cfg *registry.Config) { cfg.Poll = time.Hour })
	a, b := both[0], both[1]
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { _ = b.Follow(ctx) })
	for i := range 3 {
		news := b.Watch()
		put(t, a.store, store.Revocation{Service: "a", Before: start.Add(time.Duration(i) * time.Second), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
		<-news
	}
	cancel()
	following.Wait()
	if skew := b.Skew(); skew < 24*time.Hour { // by the database's clock, not ours
		t.Errorf("skew %v", skew)
	}
}

func TestRuleE4DatabaseGoesAndComesBack(t *testing.T) {
	t.Parallel()
	cluster, c := storetest.NewCluster(t), fixture.NewClock(start)
	both := onPostgres(t, cluster, c, 2)
	a, b := both[0], both[1]
	register(t, a.store, "a", "uid-a")
	b.sync(t)
	limit := limited("uid-a", 40)
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) || takes(t, b.Registry, limit, 3) != 3 {
		t.Fatal("a good token is dead")
	}
	cluster.Stop(t)
	c.Advance(time.Second)
	if err := b.Sync(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("%v, want Unavailable", err)
	}
	if revoked(t, b.Registry, "jti", "a", "uid-a", start) {
		t.Error("the last state does not serve")
	}
	if got := takes(t, b.Registry, limit, 100); got != 37 {
		t.Errorf("%d more tokens in the outage, the process may have 37", got)
	}
	c.Advance(11 * time.Minute)
	_, err := b.Service(t.Context(), "a")
	wantStale(t, err)
	cluster.Start(t)
	put(t, a.store, store.Revocation{JTI: "jti", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	b.sync(t)
	wantFresh(t, b.Registry, c.Now(), false, false)
	if !revoked(t, b.Registry, "jti", "a", "uid-a", start) || revoked(t, b.Registry, "other", "a", "uid-a", start) {
		t.Error("not exactly the revoked token is dead")
	}
}

func TestQuotaHoldsOverAllProcessesOnPostgres(t *testing.T) {
	t.Parallel()
	all := onPostgres(t, storetest.Postgres(t), fixture.NewClock(start), 3)
	const limit = 100
	var got atomic.Int64
	var group sync.WaitGroup
	for _, r := range all {
		for range 3 {
			group.Go(func() { got.Add(takes(t, r.Registry, limited("a", limit), limit)) })
		}
	}
	group.Wait()
	if got.Load() != limit {
		t.Errorf("%d tokens, the quota is %d", got.Load(), limit)
	}
}
