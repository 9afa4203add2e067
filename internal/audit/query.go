package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Query selects events; see its fields. Zero values select everything.
type Query struct {
	// Since and Until are the first and the last moment, both included.
	Since, Until time.Time
	// These must be equal to the event's.
	Service, User, Target, Action, Reason, ID string
	Decision                                  Decision
	// After is the cursor of an earlier answer; "" = from the start.
	After string
	// Limit is 1 to 1000; 0 = 100. Newest: the last Limit events instead of the first.
	Limit  int
	Newest bool
}

const (
	defaultLimit = 100
	maxLimit     = 1000
	// maxScan is how many blocks one Query looks at.
	maxScan = 100_000
)

// Result is what Query found, oldest first, and the cursor after it.
type Result struct {
	Events []Event `json:"events"`
	After  string  `json:"after"`
}

// hit is an event with its place.
type hit struct {
	event   Event
	replica string
	seq     int64
	index   int64
}

func compareHits(a, b *hit) int {
	return cmp.Or(a.event.Time.Compare(b.event.Time), cmp.Compare(a.replica, b.replica),
		cmp.Compare(a.seq, b.seq), cmp.Compare(a.index, b.index))
}

// Query returns matching events of all chains. Events that were recorded before the
// call and not yet stored are stored first; what waits in a spool is found when it is
// in the store.
//
// The chains are merged by time. Events are in order within one answer. Across
// answers an event may come late by as long as it was queued, about a second. One call looks at no more than 100,000 blocks:
// an answer with fewer than Limit events is the end only if After is what it was.
// With Newest, events that lie further back than that are not found. Events that
// can't be read are left out; Verify names them.
//
// Errors: [countersign.Invalid] for a bad limit or cursor, [countersign.Unavailable].
func (l *Log) Query(ctx context.Context, q Query) (Result, error) {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	if q.Limit < 1 || q.Limit > maxLimit {
		return Result{}, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "limit must be 1 to 1000")
	}
	from, err := parseCursor(q.After)
	if err != nil {
		return Result{}, err
	}
	if err := l.flush(ctx); err != nil && !l.in.isClosed() && !l.Degraded() {
		return Result{}, err
	}
	tails, err := l.tails(ctx)
	if err != nil {
		return Result{}, err
	}
	search := search{log: l, filter: newFilter(&q), from: from, tails: tails, limit: q.Limit, scan: maxScan}
	var hits []hit
	if q.Newest {
		hits, err = search.newest(ctx)
	} else {
		hits, err = search.oldest(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	slices.SortFunc(hits, func(a, b hit) int { return compareHits(&a, &b) })
	result := Result{Events: make([]Event, 0, len(hits)), After: search.from.String()}
	for i := range hits {
		result.Events = append(result.Events, hits[i].event)
	}
	return result, nil
}

// tails returns the number of the last block of every chain.
func (l *Log) tails(ctx context.Context) (map[string]int64, error) {
	replicas, err := l.cfg.Store.AuditReplicas(ctx)
	if err != nil {
		return nil, unavailableRead(err)
	}
	if len(replicas) > maxChains {
		return nil, countersign.NewError(countersign.Internal, countersign.ReasonInternal, "there are too many audit chains")
	}
	tails := make(map[string]int64, len(replicas)+1)
	for _, replica := range replicas {
		if replica == l.cfg.Replica {
			continue
		}
		tail, err := l.cfg.Store.AuditTail(ctx, replica)
		if err != nil && !errors.Is(err, countersign.NotFound) {
			return nil, unavailableRead(err)
		}
		tails[replica] = tail.Seq
	}
	tails[l.cfg.Replica], _ = l.state.inStore()
	return tails, nil
}

// filter decides whether an event matches.
type filter struct {
	q *Query
	// marks are encoded values that a block with a match must contain: whole blocks
	// are passed over without decoding.
	marks [][]byte
}

func newFilter(q *Query) *filter {
	f := &filter{q: q}
	for _, value := range []string{q.Service, q.User, q.Target, q.Action, q.Reason, q.ID, string(q.Decision)} {
		if value != "" {
			f.marks = append(f.marks, appendString(nil, value))
		}
	}
	return f
}

func (f *filter) mayContain(text []byte) bool {
	for _, mark := range f.marks {
		if !bytes.Contains(text, mark) {
			return false
		}
	}
	return true
}

// events returns the events of a block in order of time; none if none can match.
// Their places in this order are what cursors count. Lines that can't be read are
// left out: Verify names them.
func (f *filter) events(b *store.AuditBlock) []Event {
	if !f.mayContain(b.Events) {
		return nil
	}
	var events []Event
	for rest := b.Events; len(rest) > 0; {
		var text []byte
		text, rest = cutLine(rest)
		if e, err := decodeEvent(text); err == nil {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}

func (f *filter) match(e *Event) bool {
	q := f.q
	return (q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || !e.Time.After(q.Until)) &&
		same(q.Service, e.Service) && same(q.User, e.User) && same(q.Target, e.Target) && same(q.Action, e.Action) &&
		same(q.Reason, e.Reason) && same(q.ID, e.ID) && same(string(q.Decision), string(e.Decision))
}

func same(want, got string) bool { return want == "" || bounded(want) == got }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
