package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

var errRefused = errors.New("refused by the function")

func updateCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"ErrorRollsBackAll":   updateErrorRollsBackAll,
		"PanicRollsBackAll":   updatePanicRollsBackAll,
		"OneAfterAnother":     updateOneAfterAnother,
		"ReadersDoNotWait":    updateReadersDoNotWait,
		"TxEndsWithItsUpdate": updateTxEnds,
		"FailedStatementThenError": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				if err := tx.CreateService(ctx, aService("b")); err != nil {
					return err
				}
				return tx.CreateService(ctx, aService("a"))
			})
			want(t, err, countersign.Conflict)
			_, err = s.Service(t.Context(), "b")
			want(t, err, countersign.NotFound)
			create(t, s, aService("b"))
		},
	}
}

func updateErrorRollsBackAll(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := writeEverything(ctx, tx); err != nil {
			t.Errorf("write: %v", err)
		}
		return errRefused
	})
	if err != errRefused { //nolint:errorlint // as it is, not wrapped
		t.Fatalf("error %v, want the function's own", err)
	}
	nothingWritten(t, s)
	update(t, s, writeEverything) // and the store goes on
}

func updatePanicRollsBackAll(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_ = writeEverything(ctx, tx)
			panic("in the function")
		})
	}()
	nothingWritten(t, s)
	update(t, s, writeEverything)
}

func writeEverything(ctx context.Context, tx store.Tx) error {
	changed := aService("a")
	changed.Revision, changed.Disabled = 2, true
	_, err := tx.PutRevocation(ctx, store.Revocation{JTI: "j"})
	return errors.Join(err, tx.UpdateService(ctx, changed), tx.CreateService(ctx, aService("b")),
		tx.PutClientSecret(ctx, aSecret("s1", "uid-a", 0)), tx.CreateSigningKey(ctx, aKey("k", "token", 0)),
		tx.AppendAuditBlock(ctx, aBlock("r", 1, 0)), tx.PutAuditHead(ctx, aHead("r", 1)))
}

func nothingWritten(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	same(t, must[[]store.Service](t)(s.Services(ctx, store.Page{})), []store.Service{aService("a")})
	same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(ctx, "uid-a"))), 0)
	same(t, len(must[[]store.SigningKey](t)(s.SigningKeys(ctx, "token"))), 0)
	same(t, len(revocations(t, s, 0, at(0), 0)), 0)
	same(t, len(must[[]string](t)(s.AuditReplicas(ctx))), 0)
}

// Each of many writers reads and adds one: none is lost, and no two overlap.
func updateOneAfterAnother(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	const writers, each = 8, 5
	var group sync.WaitGroup
	var inside int // guarded by Update itself: the race detector checks that
	for w := range writers {
		group.Go(func() {
			for i := range each {
				err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					inside++
					defer func() { inside-- }()
					if inside != 1 {
						return fmt.Errorf("%d transactions at once", inside)
					}
					service, err := tx.Service(ctx, "a")
					if err != nil {
						return err
					}
					service.Revision++
					service.Owner = fmt.Sprint(w, i)
					return tx.UpdateService(ctx, service)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	same(t, must[store.Service](t)(s.Service(t.Context(), "a")).Revision, int64(1+writers*each))
}

// Many readers read while a transaction is open, and see the state before it.
func updateReadersDoNotWait(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, aService("b")); err != nil {
			return err
		}
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				services, err := s.Services(ctx, store.Page{})
				if err != nil || len(services) != 1 {
					t.Errorf("%d services, %v; want 1", len(services), err)
				}
			})
		}
		group.Wait()
		return nil
	})
	same(t, len(must[[]store.Service](t)(s.Services(t.Context(), store.Page{}))), 2)
}

func updateTxEnds(t *testing.T, s store.Store) {
	var kept store.Tx
	update(t, s, func(_ context.Context, tx store.Tx) error { kept = tx; return nil })
	want(t, kept.CreateService(t.Context(), aService("a")), countersign.Internal)
	_, err := kept.Service(t.Context(), "a")
	want(t, err, countersign.Internal)
	_, err = kept.PutRevocation(t.Context(), store.Revocation{JTI: "j"})
	want(t, err, countersign.Internal)
}
