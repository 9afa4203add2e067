package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// threeChains holds events 0 to 89, one a second from noon on: event i is in chain
// i%3, five to a block or so.
func threeChains(t *testing.T) *world {
	w := newWorld(t)
	w.stop()
	for r := range 3 {
		w.replica = fmt.Sprint("r", r)
		w.start()
		for i := r; i < 90; i += 3 {
			e := event(fmt.Sprintf("e%02d", i))
			e.Time = noon.Add(time.Duration(i) * time.Second)
			e.User, e.Service = fmt.Sprint("u", i%2), fmt.Sprint("s", i%5)
			if i%15 < 3 {
				if err := w.log.Commit(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			} else {
				w.log.Record(t.Context(), e)
			}
		}
		if r < 2 {
			w.stop()
		}
	}
	return w
}

func idsOf(events []audit.Event) string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return strings.Join(ids, " ")
}

func wantIDs(from, to int, match func(i int) bool) string {
	var ids []string
	for i := from; i <= to; i++ {
		if match == nil || match(i) {
			ids = append(ids, fmt.Sprintf("e%02d", i))
		}
	}
	return strings.Join(ids, " ")
}

func TestQueryMergesChainsByTime(t *testing.T) {
	t.Parallel()
	w := threeChains(t)
	for _, limit := range []int{1, 7, 100} {
		if got := idsOf(w.all(audit.Query{Limit: limit})); got != wantIDs(0, 89, nil) {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
	w.clean()
}

func TestQueryFilters(t *testing.T) {
	t.Parallel()
	w := threeChains(t)
	odd := func(i int) bool { return i%2 == 1 }
	tests := map[string]struct {
		q    audit.Query
		want string
	}{
		"user":            {audit.Query{User: "u1"}, wantIDs(0, 89, odd)},
		"service":         {audit.Query{Service: "s3"}, wantIDs(0, 89, func(i int) bool { return i%5 == 3 })},
		"both":            {audit.Query{Service: "s3", User: "u1"}, wantIDs(0, 89, func(i int) bool { return i%10 == 3 })},
		"id":              {audit.Query{ID: "e42"}, "e42"},
		"target":          {audit.Query{Target: "parse-service", Limit: 1000}, wantIDs(0, 89, nil)},
		"decision":        {audit.Query{Decision: audit.Issued, User: "u1"}, wantIDs(0, 89, odd)},
		"since":           {audit.Query{Since: noon.Add(80 * time.Second)}, wantIDs(80, 89, nil)},
		"until":           {audit.Query{Until: noon.Add(9 * time.Second)}, wantIDs(0, 9, nil)},
		"since and until": {audit.Query{Since: noon.Add(20 * time.Second), Until: noon.Add(31 * time.Second), User: "u1"}, wantIDs(20, 31, odd)},
		"nothing":         {audit.Query{Service: "s9"}, ""},
		"another field":   {audit.Query{Service: "parse-service"}, ""},
		"another action":  {audit.Query{Action: "revoke"}, ""},
		"another reason":  {audit.Query{Reason: "not ok"}, ""},
		"in the future":   {audit.Query{Since: noon.AddDate(1, 0, 0)}, ""},
		"quotes":          {audit.Query{Service: `"s3"`}, ""},
		"sql":             {audit.Query{Service: `s3' OR '1'='1`}, ""},
	}
	for name, test := range tests {
		for _, newest := range []bool{false, true} {
			q := test.q
			q.Newest = newest
			if newest {
				q.Limit = 1000
			}
			if got := idsOf(w.all(q)); got != test.want {
				t.Errorf("%s (newest %v): %s, want %s", name, newest, got, test.want)
			}
		}
	}
}

func TestQueryNewest(t *testing.T) {
	t.Parallel()
	w := threeChains(t)
	result, err := w.log.Query(t.Context(), audit.Query{Newest: true, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(result.Events); got != wantIDs(80, 89, nil) {
		t.Error(got)
	}
	if rest := w.all(audit.Query{After: result.After}); len(rest) != 0 {
		t.Errorf("after the newest: %s", idsOf(rest))
	}
	// The newest after a cursor never come from before it.
	first, err := w.log.Query(t.Context(), audit.Query{Limit: 85})
	if err != nil {
		t.Fatal(err)
	}
	result, err = w.log.Query(t.Context(), audit.Query{Newest: true, Limit: 10, After: first.After})
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(result.Events); got != wantIDs(85, 89, nil) {
		t.Error(got)
	}
	w.commit(2)
	result, err = w.log.Query(t.Context(), audit.Query{After: result.After})
	if err != nil || idsOf(result.Events) != "e1 e2" {
		t.Errorf("%s, %v", idsOf(result.Events), err)
	}
}

// Walking with a cursor, while others write, gives each event once.
func TestQueryCursorWhileWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil && n < 2000 {
			if n%3 == 0 {
				if w.log.Commit(t.Context(), event(fmt.Sprint("w", n))) != nil {
					break
				}
			} else {
				w.log.Record(t.Context(), event(fmt.Sprint("w", n)))
			}
			n++
		}
		done <- n
	}()
	seen := map[string]int{}
	q := audit.Query{Limit: 13}
	step := func() int {
		result, err := w.log.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range result.Events {
			seen[e.ID]++
		}
		q.After = result.After
		return len(result.Events)
	}
	for len(seen) < 300 {
		step()
	}
	cancel()
	written := <-done
	for step() > 0 {
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if len(seen) != written {
		t.Errorf("%d seen, %d written", len(seen), written)
	}
}

func TestQueryRefusesBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, q := range []audit.Query{{Limit: -1}, {Limit: 1001}, {After: "x"}, {After: "' OR 1=1 --"}, {After: strings.Repeat("A", 1<<20)}} {
		_, err := w.log.Query(t.Context(), q)
		wantCode(t, err, countersign.Invalid)
	}
}

// What was edited into nonsense is left out by Query and found by Verify.
func TestQueryPassesOverUnreadableEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(3)
	w.tamper(`UPDATE audit_block SET events = 'nonsense' WHERE seq = 2`)
	for _, newest := range []bool{false, true} {
		if got := idsOf(w.all(audit.Query{Newest: newest})); got != "e1 e3" {
			t.Errorf("newest %v: %s", newest, got)
		}
	}
}

// A long chain is read in pages, forwards and backwards.
func TestQueryManyBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 700
	for i := range n {
		e := event(fmt.Sprint("b", i))
		e.Time = noon.Add(time.Duration(i) * time.Second)
		if i%100 == 0 {
			e.Service = "rare"
		}
		if err := w.log.Commit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(w.all(audit.Query{Limit: 1000})); got != n {
		t.Errorf("%d events", got)
	}
	if got := idsOf(w.all(audit.Query{Service: "rare", Limit: 3})); got != "b0 b100 b200 b300 b400 b500 b600" {
		t.Error(got)
	}
	result, err := w.log.Query(t.Context(), audit.Query{Service: "rare", Newest: true, Limit: 2})
	if err != nil || idsOf(result.Events) != "b500 b600" {
		t.Errorf("%s, %v", idsOf(result.Events), err)
	}
	if !slices.IsSortedFunc(w.all(audit.Query{Limit: 50}), func(a, b audit.Event) int { return a.Time.Compare(b.Time) }) {
		t.Error("not in order")
	}
	w.clean()
}

func TestWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(1)
	wait := func(after string, d time.Duration) <-chan struct{} {
		done := make(chan struct{})
		go func() { w.log.Wait(t.Context(), after, d); close(done) }()
		return done
	}
	within := func(what string, done <-chan struct{}) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Errorf("still waiting: %s", what)
		}
	}
	within("from the start", wait("", time.Hour))
	within("a bad cursor", wait("x", time.Hour))
	result, err := w.log.Query(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	within("the time ends", wait(result.After, time.Millisecond))
	waiting := wait(result.After, time.Hour)
	select {
	case <-waiting:
		t.Error("came back for nothing")
	case <-time.After(50 * time.Millisecond):
	}
	w.commit(1)
	within("a commit", waiting)
	// A filter that leaves new blocks out must not make the next Wait return at once.
	result, err = w.log.Query(t.Context(), audit.Query{Until: noon, After: result.After})
	if err != nil {
		t.Fatal(err)
	}
	waiting = wait(result.After, time.Hour)
	w.log.Record(t.Context(), event("recorded"))
	within("a recorded event", waiting)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.log.Wait(ctx, result.After, time.Hour)
}

func TestQueryAfterTheContextEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.log.Query(ctx, audit.Query{})
	wantCode(t, err, countersign.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	_, err = w.log.Verify(ctx)
	wantCode(t, err, countersign.Unavailable)
}
