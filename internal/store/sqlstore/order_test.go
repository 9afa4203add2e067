package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// A transaction has taken a number and commits late; others, of other processes, came
// after it and are ready. None of theirs is seen before it, in whatever order they end.
func TestRuleE2CommitsOutOfOrder(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "countersign.db")
		outOfOrder(t, func() *sqlstore.Store { return openStore(t, path) }, func(int64) {})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn := storetest.Postgres(t).NewDatabase(t)
		outOfOrder(t, func() *sqlstore.Store { return openPatient(t, dsn) }, func(n int64) {
			const waiting = `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
			for begun := time.Now(); rawPostgres(t, dsn, waiting) != n; {
				if time.Since(begun) > storetest.Patience {
					t.Errorf("%v wait for the number, want %d", rawPostgres(t, dsn, waiting), n)
					return
				}
			}
		})
	})
}

func outOfOrder(t *testing.T, open func() *sqlstore.Store, waitFor func(n int64)) {
	t.Helper()
	slow, reader := open(), open()
	put := func(ctx context.Context, tx store.Tx, jti string) {
		if _, err := tx.PutRevocation(ctx, store.Revocation{JTI: jti}); err != nil {
			t.Errorf("%s: %v", jti, err)
		}
	}
	seen := func() []store.Revocation {
		all, err := reader.Revocations(t.Context(), 0, time.Time{}, 0)
		if err != nil {
			t.Error(err)
		}
		return all
	}
	const others = 2
	done := make(chan error, others)
	err := slow.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		put(ctx, tx, "1")
		for range others {
			other := open()
			go func() {
				done <- other.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					put(ctx, tx, "later")
					return nil
				})
			}()
		}
		waitFor(others)
		if all := seen(); len(all) != 0 {
			t.Errorf("%d are seen before the first", len(all))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range others {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i, r := range seen() {
		if r.Seq != int64(i+1) || (r.JTI == "1") != (i == 0) {
			t.Errorf("number %d at place %d: %s", r.Seq, i, r.JTI)
		}
	}
	if n := len(seen()); n != 1+others {
		t.Errorf("%d revocations, want %d", n, 1+others)
	}
}
