package registry

import (
	"time"

	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// lateAfter is after how long without a poll it matters what was minted here meanwhile. Who
// takes something from a service revokes what it was issued until then, and that covers two
// seconds more: one by which clocks may differ, and one for the others to learn of it. A
// replica that was cut off for longer goes on minting for the service as it was (RULES E4).
const lateAfter = BeforeSlack - time.Second

// late collects what polls learn, until one is complete. Registry.syncing guards it.
type late struct {
	revoked []store.Revocation // of services
	changed map[string]bool    // services, by name
	anew    bool               // what changed is not known
}

func (l *late) revocations(page []store.Revocation) {
	for _, rev := range page {
		if rev.Service != "" && !rev.Before.IsZero() {
			l.revoked = append(l.revoked, rev)
		}
	}
}

func (l *late) change(c store.Change) {
	if c.Kind != resource.KindService {
		return
	}
	if l.changed == nil {
		l.changed = make(map[string]bool)
	}
	l.changed[c.Name] = true
}

// overtaken moves the ends of those revocations that came with a change of their service, and
// of which this process heard too late, to now: it may have minted by what the service was, and
// what it minted would outlive that. What is issued once more by then dies needlessly, and
// those who had it come back. One of these is no change of the service, so replicas don't
// answer one another. Since is when the last poll began; the bound is what was learned.
func (l *late) overtaken(since, now time.Time) (wider []store.Revocation) {
	learned := *l
	*l = late{}
	if age(since, now) <= lateAfter {
		return nil
	}
	type service struct{ name, uid string }
	seen := make(map[service]bool)
	for _, rev := range learned.revoked {
		key := service{rev.Service, rev.ServiceUID}
		if seen[key] || !now.After(rev.Before.Add(lateAfter)) {
			continue
		}
		if !learned.changed[rev.Service] && (!learned.anew || rev.Before.Before(since.Add(-BeforeSlack))) {
			continue
		}
		seen[key] = true
		wider = append(wider, store.Revocation{
			Service: rev.Service, ServiceUID: rev.ServiceUID, Before: now.UTC().Truncate(time.Microsecond),
			ExpiresAt: rev.ExpiresAt.Add(now.Sub(rev.Before)).Truncate(time.Microsecond), CreatedAt: now.UTC().Truncate(time.Microsecond),
		})
	}
	return wider
}

// overtake puts them in force here, and has them stored for the others.
func (r *Registry) overtake(since time.Time) {
	wider := r.late.overtaken(since, r.now())
	for _, rev := range wider {
		r.revocations.add(rev)
	}
	if len(wider) > 0 && r.onLate != nil {
		r.onLate(wider)
	}
}
