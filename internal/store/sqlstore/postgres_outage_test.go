package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// soon is within how long an outage is reported; a busy test machine gets some more.
const soon = 8 * time.Second

// unavailableSoon runs every kind of call: each says Unavailable, none says yes.
func unavailableSoon(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	calls := map[string]func(ctx context.Context) (yes bool, err error){
		"Update": func(ctx context.Context) (bool, error) {
			ran := false
			err := s.Update(ctx, func(context.Context, store.Tx) error { ran = true; return nil })
			return ran, err
		},
		"UseOnce": func(ctx context.Context) (bool, error) {
			return s.UseOnce(ctx, "outage", time.Now().Add(time.Hour), time.Now())
		},
		"LeaseQuota": func(ctx context.Context) (bool, error) {
			n, err := s.LeaseQuota(ctx, "uid", time.Now(), 1, 100)
			return n != 0, err
		},
		"SetMetaIfAbsent": func(ctx context.Context) (bool, error) {
			v, err := s.SetMetaIfAbsent(ctx, "outage", "v")
			return v != "", err
		},
		"Service": func(ctx context.Context) (bool, error) {
			v, err := s.Service(ctx, "kept")
			return v.UID != "", err
		},
		"FeedHead": func(ctx context.Context) (bool, error) {
			v, err := s.FeedHead(ctx)
			return v.Seq != 0, err
		},
		"Revocations": func(ctx context.Context) (bool, error) {
			v, err := s.Revocations(ctx, 0, time.Now(), 0)
			return v != nil, err
		},
		"Ping": func(ctx context.Context) (bool, error) { return false, s.Ping(ctx) },
	}
	var group sync.WaitGroup
	for name, call := range calls {
		for range 3 { // those who wait share the answer
			group.Go(func() {
				begun := time.Now()
				yes, err := call(t.Context())
				if yes || !errors.Is(err, countersign.Unavailable) || countersign.ReasonOf(err) != countersign.ReasonStoreUnavailable {
					t.Errorf("%s without a server: %v, %v", name, yes, err)
				}
				if took := time.Since(begun); took > soon {
					t.Errorf("%s took %v to say so", name, took)
				}
			})
		}
	}
	group.Wait()
}

// works uses every connection: nothing of an outage is left.
func works(t *testing.T, s *sqlstore.Store, name string) {
	t.Helper()
	if err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateService(ctx, store.Service{UID: "uid-" + name, Name: name})
	}); err != nil {
		t.Errorf("write: %v", err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Service(t.Context(), name); err != nil {
				t.Errorf("read: %v", err)
			}
		})
	}
	group.Wait()
	if first, err := s.UseOnce(t.Context(), name, time.Now().Add(time.Hour), time.Now()); !first || err != nil {
		t.Errorf("use once: %v, %v", first, err)
	}
}

func isThere(t *testing.T, s *sqlstore.Store, name string, there bool) {
	t.Helper()
	_, err := s.Service(t.Context(), name)
	if there && err != nil || !there && !errors.Is(err, countersign.NotFound) {
		t.Errorf("%s: %v; want it there: %v", name, err, there)
	}
}

// outage is a store on a server that the test stops.
type outage struct {
	cluster *storetest.Cluster
	store   *sqlstore.Store
}

// One server after the other goes through these, in order; each leaves a store behind
// that works.
func TestPostgresOutage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for timeouts")
	}
	cluster := storetest.NewCluster(t)
	o := outage{cluster, openPostgresWith(t, cluster.NewDatabase(t), sqlstore.PostgresOptions{})}
	works(t, o.store, "kept")
	t.Run("Before", o.before)
	t.Run("During", o.during)
	t.Run("BetweenWriteAndCommit", o.betweenWriteAndCommit)
	t.Run("WhileIdle", o.whileIdle)
	t.Run("Frozen", o.frozen)
	t.Run("HintsComeBack", o.hintsComeBack)
	t.Run("CloseWhileFrozen", o.closeWhileFrozen)
}

func createNamed(name string) func(ctx context.Context, tx store.Tx) error {
	return func(ctx context.Context, tx store.Tx) error {
		return tx.CreateService(ctx, store.Service{UID: "uid-" + name, Name: name})
	}
}

func (o outage) before(t *testing.T) {
	o.cluster.Stop(t)
	unavailableSoon(t, o.store)
	o.cluster.Start(t)
	works(t, o.store, "after-before")
}

func (o outage) during(t *testing.T) {
	err := o.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := createNamed("first")(ctx, tx); err != nil {
			t.Error(err)
		}
		o.cluster.Stop(t)
		if err := createNamed("second")(ctx, tx); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("a write without a server: %v", err)
		}
		return nil // swallowed: it must not commit all the same
	})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
	o.cluster.Start(t)
	works(t, o.store, "after-during")
	isThere(t, o.store, "first", false)
	isThere(t, o.store, "second", false)
}

func (o outage) betweenWriteAndCommit(t *testing.T) {
	err := o.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		err := createNamed("uncommitted")(ctx, tx)
		o.cluster.Stop(t)
		o.cluster.Start(t) // back at once: the transaction is lost all the same
		return err
	})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
	works(t, o.store, "after-between")
	isThere(t, o.store, "uncommitted", false)
}

func (o outage) whileIdle(t *testing.T) {
	o.cluster.Stop(t)
	o.cluster.Start(t)
	works(t, o.store, "after-idle") // the first call on each dead connection
}

func (o outage) frozen(t *testing.T) {
	thaw := o.cluster.Freeze(t)
	unavailableSoon(t, o.store)
	thaw()
	works(t, o.store, "after-frozen")
}

func (o outage) hintsComeBack(t *testing.T) {
	deadline := time.After(30 * time.Second)
	for n, heard := 0, 0; heard < 3; n++ { // the first may be an old one
		if err := o.store.Update(t.Context(), createNamed(fmt.Sprint("hint-", n))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-o.store.Hints():
			heard++
		case <-deadline:
			t.Fatal("no hint after the outages")
		default:
		}
	}
}

func (o outage) closeWhileFrozen(t *testing.T) {
	works(t, o.store, "before-close") // on every connection
	defer o.cluster.Freeze(t)()
	begun := time.Now()
	if err := o.store.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// Connections that the server or a firewall ended are replaced without anybody noticing.
func TestPostgresTerminatedConnections(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	s := openPostgres(t, dsn)
	works(t, s, "kept")
	for i := range 3 {
		rawPostgres(t, dsn, `SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		works(t, s, fmt.Sprint("after-", i))
	}
}

// Another process holds the lock for too long: Unavailable, and a function that goes
// on all the same commits nothing.
func TestPostgresLockTimeout(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	holder := openPostgres(t, dsn)
	s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{LockTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = holder.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.Serialize(ctx); err != nil {
			return err
		}
		err := s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := tx.AppendAuditBlock(ctx, store.AuditBlock{Replica: "r", Seq: 1}); err != nil {
				t.Error(err)
			}
			if err := tx.Serialize(ctx); !errors.Is(err, countersign.Unavailable) {
				t.Errorf("locked: %v, want Unavailable", err)
			}
			return nil
		})
		if !errors.Is(err, countersign.Unavailable) {
			t.Errorf("the commit after it: %v, want Unavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AuditTail(t.Context(), "r"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("half a transaction is there: %v", err)
	}
	if err := appendBlock(t.Context(), s, 1, 10); err != nil {
		t.Error(err)
	}
}

// A process that stands still in a transaction loses it, and with it the lock that all
// others wait for.
func TestPostgresIdleTransactionEnds(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	stuck, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{IdleTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	other := openPatient(t, dsn)
	err = stuck.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, store.Service{UID: "u", Name: "stuck"}); err != nil {
			return err
		}
		return other.Update(ctx, func(ctx context.Context, tx store.Tx) error { // waits for that lock
			return tx.CreateService(ctx, store.Service{UID: "u2", Name: "kept"})
		})
	})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
	isThere(t, other, "stuck", false)
	isThere(t, other, "kept", true)
	works(t, stuck, "after")
}
