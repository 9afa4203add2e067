package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func onceCases() cases {
	all := alone(map[string]func(*testing.T, store.Store){
		"OnceUntilItEnds": func(t *testing.T, s store.Store) {
			use := func(key string, until, now int) bool {
				t.Helper()
				return must[bool](t)(s.UseOnce(t.Context(), key, at(until), at(now)))
			}
			same(t, use("a", 10, 0), true)
			same(t, use("a", 10, 1), false)
			same(t, use("a", 99, 1), false) // a later end changes nothing
			same(t, use("A", 10, 1), true)  // byte by byte
			same(t, use("b", 10, 10), true)
			same(t, use("a", 20, 10), false) // at its end it still counts
		},
		"Refused": func(t *testing.T, s store.Store) {
			for _, key := range []string{"", strings.Repeat("k", 129), "nul\x00", "\xff"} {
				first, err := s.UseOnce(t.Context(), key, at(10), at(0))
				want(t, err, countersign.Invalid)
				same(t, first, false)
			}
			same(t, must[bool](t)(s.UseOnce(t.Context(), strings.Repeat("k", 128), at(10), at(0))), true)
		},
	})
	all["OneWinnerOverStores"] = onceOneWinner
	all["SurvivesReopening"] = func(t *testing.T, open func() store.Store) {
		s := open()
		same(t, must[bool](t)(s.UseOnce(t.Context(), "a", at(10), at(0))), true)
		want(t, s.Close(), "")
		same(t, must[bool](t)(open().UseOnce(t.Context(), "a", at(10), at(0))), false)
	}
	return all
}

// Of many that use one value at once, in two processes, one is first; keys that end
// meanwhile are forgotten by all of them at once.
func onceOneWinner(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	const rounds, users = 12, 8
	for round := range rounds {
		key := fmt.Sprintf("key-%d", round)
		wins := together(users, func(i int) bool {
			first, err := stores[i%2].UseOnce(t.Context(), key, at(round+1), at(round))
			if err != nil {
				t.Error(err)
			}
			return first
		})
		same(t, count(wins, true), 1)
	}
}

func quotaCases() cases {
	all := alone(map[string]func(*testing.T, store.Store){
		"UpToTheLimit": func(t *testing.T, s store.Store) {
			lease := func(minute int, n, limit int64) int64 {
				t.Helper()
				return must[int64](t)(s.LeaseQuota(t.Context(), "uid-a", at(minute), n, limit))
			}
			same(t, lease(0, 10, 25), int64(10))
			same(t, lease(0, 10, 25), int64(10))
			same(t, lease(0, 10, 25), int64(5))
			same(t, lease(0, 10, 25), int64(0))
			same(t, lease(0, 1, 26), int64(1)) // the limit was raised
			same(t, lease(0, 1, 5), int64(0))  // and lowered
			same(t, lease(0, 1, 27), int64(1)) // what was refused was not used
			same(t, lease(1, 10, 25), int64(10))
			same(t, lease(2, 10, 0), int64(0))
		},
		"ServicesApart": func(t *testing.T, s store.Store) {
			same(t, must[int64](t)(s.LeaseQuota(t.Context(), "uid-a", at(0), 10, 10)), int64(10))
			same(t, must[int64](t)(s.LeaseQuota(t.Context(), "uid-b", at(0), 10, 10)), int64(10))
		},
		"ALateClockTakesFromTheNewerWindow": func(t *testing.T, s store.Store) {
			lease := func(minute int) int64 {
				t.Helper()
				return must[int64](t)(s.LeaseQuota(t.Context(), "uid-a", at(minute), 6, 10))
			}
			same(t, []int64{lease(0), lease(1), lease(0), lease(1), lease(0)}, []int64{6, 6, 4, 0, 0})
			same(t, lease(2), int64(6))
			// A window far ahead came from a clock that was wrong: it blocks nobody.
			same(t, lease(24*60), int64(6))
			same(t, []int64{lease(3), lease(3)}, []int64{6, 4})
		},
		"Refused": func(t *testing.T, s store.Store) {
			for _, test := range []struct {
				uid      string
				n, limit int64
			}{{"", 1, 1}, {"u", 0, 1}, {"u", -1, 1}, {"u", 1, -1}} {
				got, err := s.LeaseQuota(t.Context(), test.uid, at(0), test.n, test.limit)
				want(t, err, countersign.Invalid)
				same(t, got, int64(0))
			}
		},
	})
	all["NeverAboveTheLimitOverStores"] = quotaOverStores
	return all
}

// What processes get together is the limit, however they ask.
func quotaOverStores(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	const limit = 50
	for minute := range 3 {
		var sum atomic.Int64
		together(8, func(i int) error {
			for range 5 {
				got, err := stores[i%2].LeaseQuota(t.Context(), "uid-a", at(minute).Truncate(time.Minute), 3, limit)
				if err != nil {
					t.Error(err)
				}
				sum.Add(got)
			}
			return nil
		})
		same(t, sum.Load(), int64(limit)) // 8 x 5 x 3 were asked for
	}
}
