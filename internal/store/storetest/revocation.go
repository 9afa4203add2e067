package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func revoke(t *testing.T, s store.Store, r store.Revocation) store.Revocation {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) (err error) {
		r.Seq, err = tx.PutRevocation(ctx, r)
		return err
	})
	return r
}

func revocations(t *testing.T, s store.Store, after int64, alive time.Time, limit int) []store.Revocation {
	t.Helper()
	return must[[]store.Revocation](t)(s.Revocations(t.Context(), after, alive, limit))
}

func revocationCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"RoundTrip": func(t *testing.T, s store.Store) {
			one := revoke(t, s, store.Revocation{JTI: "token-1", ExpiresAt: at(60), CreatedAt: at(0)})
			two := revoke(t, s, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: at(1), ExpiresAt: at(61), CreatedAt: at(1)})
			three := revoke(t, s, store.Revocation{JTI: "token-2", CreatedAt: at(2)}) // never ends
			same(t, []int64{one.Seq, two.Seq, three.Seq}, []int64{1, 2, 3})
			same(t, revocations(t, s, 0, at(0), 0), []store.Revocation{one, two, three})
			same(t, revocations(t, s, 1, at(0), 0), []store.Revocation{two, three})
			same(t, revocations(t, s, 0, at(0), 1), []store.Revocation{one})
			same(t, revocations(t, s, 3, at(0), 0), []store.Revocation(nil))
			same(t, revocations(t, s, 0, at(60), 0), []store.Revocation{two, three}) // ended at that moment
			same(t, revocations(t, s, 0, at(9999), 0), []store.Revocation{three})
			same(t, revocations(t, s, 0, time.Time{}, 0), []store.Revocation{one, two, three})
		},
		"OfSessions": func(t *testing.T, s store.Store) {
			one := revoke(t, s, store.Revocation{Session: "ASIAAAAAAAAAAAAAAAAA", ExpiresAt: at(60), CreatedAt: at(0)})
			two := revoke(t, s, store.Revocation{Role: "writer", RoleUID: "uid-r", Before: at(1), ExpiresAt: at(61), CreatedAt: at(1)})
			three := revoke(t, s, store.Revocation{Role: "writer", ExpiresAt: at(61), CreatedAt: at(1)}) // of any uid
			same(t, revocations(t, s, 0, at(0), 0), []store.Revocation{one, two, three})
		},
		"Refused": func(t *testing.T, s store.Store) {
			for _, r := range []store.Revocation{
				{}, {Before: at(1)}, {ServiceUID: "uid-a"}, {JTI: "j", Service: "a"},
				{RoleUID: "uid-r"}, {Role: "r", Session: "ASIA"}, {JTI: "j", Session: "ASIA"}, {Session: "ASIA", RoleUID: "uid-r"},
			} {
				err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					_, err := tx.PutRevocation(ctx, r)
					return err
				})
				want(t, err, countersign.Invalid)
			}
			for _, n := range []int{-1, store.MaxLimit + 1} {
				_, err := s.Revocations(t.Context(), 0, at(0), n)
				want(t, err, countersign.Invalid)
			}
		},
		"RollbackLeavesNoGap": func(t *testing.T, s store.Store) {
			_ = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				_, _ = tx.PutRevocation(ctx, store.Revocation{JTI: "lost", ExpiresAt: at(60)})
				return errRefused
			})
			same(t, revoke(t, s, store.Revocation{JTI: "kept", ExpiresAt: at(60)}).Seq, int64(1))
			same(t, len(revocations(t, s, 0, at(0), 0)), 1)
		},
		"EndedOnesGo": func(t *testing.T, s store.Store) {
			revoke(t, s, store.Revocation{JTI: "ended", ExpiresAt: at(0), CreatedAt: at(0)})
			revoke(t, s, store.Revocation{JTI: "stays", CreatedAt: at(0)})
			revoke(t, s, store.Revocation{JTI: "yesterday", ExpiresAt: at(1), CreatedAt: at(24 * 60)})
			same(t, len(revocations(t, s, 0, time.Time{}, 0)), 3) // ended a day ago, not more
			last := revoke(t, s, store.Revocation{JTI: "new", ExpiresAt: at(9999), CreatedAt: at(24*60 + 1)})
			var left []string
			for _, r := range revocations(t, s, 0, time.Time{}, 0) {
				left = append(left, r.JTI)
			}
			same(t, left, []string{"stays", "yesterday", "new"})
			same(t, last.Seq, int64(4)) // a number is never given twice
		},
		"RuleE2NumbersInOrderOfCommit": revocationOrder,
	}
}

// Readers that follow the numbers while many writers commit miss none.
func revocationOrder(t *testing.T, s store.Store) {
	const writers, each = 4, 10
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					_, err := tx.PutRevocation(ctx, store.Revocation{JTI: fmt.Sprintf("%d-%d", w, i)})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	var seen []int64
	for finished := false; !finished; {
		select {
		case <-done:
			finished = true
		default:
		}
		after := int64(len(seen))
		for _, r := range revocations(t, s, after, time.Time{}, store.MaxLimit) {
			seen = append(seen, r.Seq)
		}
	}
	if len(seen) != writers*each || !slices.IsSorted(seen) || seen[len(seen)-1] != writers*each {
		t.Fatalf("a reader that follows saw %v", seen)
	}
}
