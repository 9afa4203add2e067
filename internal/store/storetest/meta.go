package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func metaCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"FirstValueStays": func(t *testing.T, s store.Store) {
			ctx := t.Context()
			_, err := s.Meta(ctx, "deployment_id")
			want(t, err, countersign.NotFound)
			same(t, must[string](t)(s.SetMetaIfAbsent(ctx, "deployment_id", "one")), "one")
			same(t, must[string](t)(s.SetMetaIfAbsent(ctx, "deployment_id", "two")), "one")
			same(t, must[string](t)(s.SetMetaIfAbsent(ctx, "epoch", "")), "")
			same(t, must[string](t)(s.Meta(ctx, "deployment_id")), "one")
			same(t, must[string](t)(s.Meta(ctx, "epoch")), "")
		},
		"TransactionReadsItsOwn": func(t *testing.T, s store.Store) {
			update(t, s, func(ctx context.Context, tx store.Tx) error {
				_, err := tx.Meta(ctx, "epoch")
				want(t, err, countersign.NotFound)
				want(t, tx.SetMeta(ctx, "epoch", "e1"), "")
				same(t, must[string](t)(tx.Meta(ctx, "epoch")), "e1")
				return nil
			})
		},
		"OneWinner": func(t *testing.T, s store.Store) {
			got := make([]string, 8)
			var group sync.WaitGroup
			for i := range got {
				group.Go(func() {
					value, err := s.SetMetaIfAbsent(t.Context(), "deployment_id", fmt.Sprint(i))
					if err != nil {
						t.Error(err)
					}
					got[i] = value
				})
			}
			group.Wait()
			for _, value := range got {
				same(t, value, got[0])
			}
		},
	}
}

func closeCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"ThenUnavailable": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			want(t, s.Ping(t.Context()), "")
			want(t, s.Close(), "")
			want(t, s.Close(), "") // twice does no harm
			_, err := s.Service(t.Context(), "a")
			want(t, err, countersign.Unavailable)
			same(t, countersign.ReasonOf(err), countersign.ReasonStoreUnavailable)
			_, err = s.Meta(t.Context(), "epoch")
			want(t, err, countersign.Unavailable)
			want(t, s.Ping(t.Context()), countersign.Unavailable)
			err = s.Update(t.Context(), func(context.Context, store.Tx) error {
				t.Error("ran on a closed store")
				return nil
			})
			want(t, err, countersign.Unavailable)
		},
		"WaitsForTheTransaction": func(t *testing.T, s store.Store) {
			closed := make(chan error, 1)
			update(t, s, func(ctx context.Context, tx store.Tx) error {
				if err := tx.CreateService(ctx, aService("a")); err != nil {
					return err
				}
				go func() { closed <- s.Close() }()
				return tx.CreateService(ctx, aService("b"))
			})
			want(t, <-closed, "")
		},
	}
}
