package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func contextCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"EndedBefore":         contextEndedBefore,
		"EndedWhileWaiting":   contextEndedWhileWaiting,
		"EndedInside":         contextEndedInside,
		"EndedInsideSwallows": contextEndedInsideSwallowed,
	}
}

// cancelled is what every method answers once its context ended.
func cancelled(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) || !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("error %v, want Unavailable that wraps context.Canceled", err)
	}
}

func contextEndedBefore(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Service(ctx, "a")
	cancelled(t, err)
	_, err = s.Services(ctx, store.Page{})
	cancelled(t, err)
	_, err = s.Revocations(ctx, 0, at(0), 0)
	cancelled(t, err)
	_, err = s.AuditTail(ctx, "r")
	cancelled(t, err)
	_, err = s.SetMetaIfAbsent(ctx, "key", "value")
	cancelled(t, err)
	cancelled(t, s.Ping(ctx))
	cancelled(t, s.Update(ctx, func(context.Context, store.Tx) error { return nil }))
}

func contextEndedWhileWaiting(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	update(t, s, func(context.Context, store.Tx) error {
		result := make(chan error, 1)
		go func() {
			result <- s.Update(ctx, func(context.Context, store.Tx) error {
				t.Error("ran inside another transaction")
				return nil
			})
		}()
		cancel()
		cancelled(t, <-result)
		return nil
	})
	create(t, s, aService("a"))
}

func contextEndedInside(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, aService("a")); err != nil {
			t.Error(err)
		}
		cancel()
		return tx.CreateService(ctx, aService("b"))
	})
	cancelled(t, err)
	same(t, len(must[[]store.Service](t)(s.Services(t.Context(), store.Page{}))), 0)
	create(t, s, aService("a"))
}

// A function that does not notice the end of its context commits nothing.
func contextEndedInsideSwallowed(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(_ context.Context, tx store.Tx) error {
		cancel()
		return tx.CreateService(context.WithoutCancel(ctx), aService("a"))
	})
	cancelled(t, err)
	same(t, len(must[[]store.Service](t)(s.Services(t.Context(), store.Page{}))), 0)
	create(t, s, aService("a"))
}
