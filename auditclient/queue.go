package auditclient

import (
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	maxDenials = 10_000
	maxCounts  = 10_000 // different ones
)

// queue is what was recorded and is in no batch yet.
type queue struct {
	mu      sync.Mutex
	closed  bool
	denials []event
	counts  map[countKey]*count
	dropped [2]int64 // decisions that found no room: denied, allowed

	// When the oldest of each came, by the real clock; zero = none.
	denialsSince, countsSince time.Time
}

// countKey is what makes decisions the same, so that they are counted together.
type countKey struct {
	allowed                         bool
	reason                          countersign.Reason
	service, serviceUID             string
	userIssuer, user                string
	target, method, route, ruleName string
}

type count struct {
	first time.Time
	n     int64
}

const (
	droppedDenied = iota
	droppedAllowed
)

// record takes a decision in and reports whether the worker has to look.
func (q *queue) record(d countersign.Decision, now func() time.Time) bool {
	if d.Time.IsZero() {
		d.Time = now()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if d.Allowed || d.Caller.IsZero() && len(q.denials) >= maxDenials/2 {
		return q.count(d)
	}
	if len(q.denials) >= maxDenials {
		q.dropped[droppedDenied]++
		return false
	}
	q.denials = append(q.denials, newEvent(keyOf(d), d.Time, d.ID, 1))
	if len(q.denials) > 1 {
		return false
	}
	q.denialsSince = time.Now()
	return true
}

func (q *queue) count(d countersign.Decision) bool {
	key := keyOf(d)
	if c := q.counts[key]; c != nil {
		c.n++
		return false
	}
	if len(q.counts) >= maxCounts {
		if d.Allowed {
			q.dropped[droppedAllowed]++
		} else {
			q.dropped[droppedDenied]++
		}
		return false
	}
	if q.counts == nil {
		q.counts = make(map[countKey]*count)
	}
	q.counts[key] = &count{first: d.Time, n: 1}
	if len(q.counts) > 1 {
		return false
	}
	q.countsSince = time.Now()
	return true
}

func keyOf(d countersign.Decision) countKey {
	key := countKey{
		allowed: d.Allowed, reason: d.Reason,
		target: d.Target, method: d.Method, route: d.Route, ruleName: d.Rule,
	}
	if p := d.Caller; p != nil {
		key.service, key.serviceUID = p.Service.Name, p.Service.UID
		key.userIssuer, key.user = p.User.Issuer, p.User.Subject
	}
	return key
}

// due returns when the queue is to be delivered: denials after delay, counts after a
// minute; zero = it is empty.
func (q *queue) due(delay time.Duration) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	var due time.Time
	if !q.denialsSince.IsZero() {
		due = q.denialsSince.Add(delay)
	}
	if !q.countsSince.IsZero() {
		if at := q.countsSince.Add(countPeriod); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// countsDue reports whether the counts are a minute old.
func (q *queue) countsDue(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.countsSince.IsZero() && !now.Before(q.countsSince.Add(countPeriod))
}

// peek returns up to limit events, the oldest denials first; counts only if wanted and
// when no denials are left. They stay in the queue until take.
func (q *queue) peek(limit int, counts bool) []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	if counts && len(q.denials) == 0 {
		// From here on they are events like others: each has an id, and waits its turn.
		for key, c := range q.counts {
			if len(q.denials) >= limit {
				break
			}
			q.denials = append(q.denials, newEvent(key, c.first, "", c.n))
			delete(q.counts, key)
		}
		if len(q.counts) == 0 {
			q.countsSince = time.Time{}
		}
		if len(q.denials) > 0 {
			q.denialsSince = time.Now()
		}
	}
	return append([]event(nil), q.denials[:min(limit, len(q.denials))]...)
}

// take removes the first n events that peek returned.
func (q *queue) take(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := copy(q.denials, q.denials[n:])
	clear(q.denials[rest:])
	q.denials = q.denials[:rest]
	q.denialsSince = time.Now()
	if rest == 0 {
		q.denialsSince = time.Time{}
	}
}

// reportDropped makes events of the counts of what was dropped, if there is room. It is
// called once a delivery: were it called for each batch, then a server that rejects all
// of them would be told so for ever.
func (q *queue) reportDropped(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, n := range q.dropped {
		if n == 0 || len(q.denials) >= maxDenials {
			continue
		}
		key := countKey{allowed: i == droppedAllowed, reason: ReasonReportsDropped, ruleName: "auditclient"}
		q.denials = append(q.denials, newEvent(key, now, "", n))
		q.dropped[i] = 0
		if q.denialsSince.IsZero() {
			q.denialsSince = time.Now()
		}
	}
}

// drop counts decisions that were taken and then lost.
func (q *queue) drop(denied, allowed int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped[droppedDenied] += denied
	q.dropped[droppedAllowed] += allowed
}

// len returns how many events and counts wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.denials) + len(q.counts)
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
