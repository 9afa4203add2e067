package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

const (
	// maxRefusals bounds the different refusals that are kept apart at a time.
	maxRefusals = 1024
	// refusalsPerSecond is how many of them are kept apart in the long run, beyond a burst
	// of maxRefusals: who makes up a name for each request writes about 350 MB a day.
	refusalsPerSecond = 16
)

// refusalKey is what makes two refusals the same.
type refusalKey struct {
	action, reason, clientAddr, service string
}

// refusals merges refusals before authentication. Key: refusalKey; lifetime: until
// the next flush, at most a second while the store works; bound: maxRefusals and one
// more for the rest. Safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	kinds map[refusalKey]*Event
	order []*Event // oldest first
	other *Event
	// budget is how many more may be kept apart, as of asOf.
	budget float64
	asOf   time.Time
}

func newRefusals() *refusals {
	return &refusals{kinds: map[refusalKey]*Event{}, budget: maxRefusals}
}

// add counts e, which is complete.
func (r *refusals) add(e Event) {
	if e.Decision == "" {
		e.Decision = Refused
	}
	e.Count = max(e.Count, 1)
	e.Service = claimedName(e.Service)
	key := refusalKey{bounded(e.Action), bounded(e.Reason), bounded(e.ClientAddr), e.Service}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.kinds[key]; ok {
		first.Count += e.Count
		return
	}
	if len(r.kinds) < maxRefusals && r.afford(e.Time) {
		boundAll(&e)
		r.kinds[key] = &e
		r.order = append(r.order, &e)
		return
	}
	if r.other == nil {
		r.other = &Event{
			ID: bounded(e.ID), Time: e.Time, Action: ActionRefusals, Decision: Refused, Reason: string(countersign.ReasonSeveral),
			Detail: "more kinds of refusals at once than are kept apart",
		}
	}
	r.other.Count += e.Count
}

// afford takes one from the budget, if it has one. mu is held.
func (r *refusals) afford(now time.Time) bool {
	// A clock that was set back must not stop the budget; a few late events do no harm.
	if passed := now.Sub(r.asOf); passed > 0 || passed < -time.Minute {
		r.budget = min(r.budget+max(passed, 0).Seconds()*refusalsPerSecond, maxRefusals)
		r.asOf = now
	}
	if r.budget < 1 {
		return false
	}
	r.budget--
	return true
}

// drain moves what is there into the queue, as far as there is room. What finds none
// goes on counting.
func (r *refusals) drain(in *intake) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 {
		e := r.order[0]
		if !in.offer(encodeLine(e)) {
			return
		}
		delete(r.kinds, refusalKey{e.Action, e.Reason, e.ClientAddr, e.Service})
		r.order = r.order[1:]
	}
	r.order = nil
	if r.other != nil && in.offer(encodeLine(r.other)) {
		r.other = nil
	}
}

func (r *refusals) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.order) > 0 || r.other != nil
}

// claimedName returns a name that nobody proved in a form that is safe to keep: as it
// is if it has the form of a service's name, else hashed. People put passwords and
// secrets into the wrong field (RULES E5).
func claimedName(name string) string {
	if name == "" || countersign.ValidName(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// boundAll cuts every string of e, so that it keeps no request's memory alive.
func boundAll(e *Event) {
	e.Decision = Decision(bounded(string(e.Decision)))
	for _, field := range []*string{
		&e.ID, &e.Action, &e.Reason, &e.Service, &e.ServiceUID, &e.UserIssuer, &e.User, &e.Actor, &e.Target, &e.Scope, &e.Role, &e.Session,
		&e.TokenID, &e.Proof, &e.ClientAddr, &e.TraceID, &e.Method, &e.Route, &e.Rule, &e.ReportedBy, &e.Detail,
	} {
		*field = bounded(*field)
	}
}
