package registry

import (
	"time"

	"github.com/countersign/countersign"
)

// degradedAfter is how old what is known may be before an operator hears of it.
const degradedAfter = 2 * time.Second

// poll is what the last successful poll learned of time.
type poll struct {
	number   int64         // of all that this process began
	at       time.Time     // when it began, by our clock
	storeNow time.Time     // the store's clock
	skew     time.Duration // the store's clock minus ours
	epoch    string        // of the database; "" = not known
}

// errStale is shared: it holds nothing of the request.
var errStale = &countersign.Error{Code: countersign.Unavailable, Reason: countersign.ReasonStale,
	Msg: "what was changed and revoked lately is not known here now", RetryAfter: 5 * time.Second}

// age is the longer of what the monotonic and the wall clock say: the first stands still
// while a machine sleeps, the second can be set back.
func age(at, now time.Time) time.Duration {
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// Fresh tells how old the view is. At is when the last successful poll began: whatever was
// committed before it is known here. Degraded: that is more than 2 s ago. Stale: it is
// longer ago than may be, and everything that could be revoked is refused with
// countersign.Unavailable (RULES E4). Where nobody else writes, at is now.
func (r *Registry) Fresh() (at time.Time, degraded, stale bool) {
	now := r.now()
	if !r.shared {
		return now, false, false
	}
	at = r.polled.Load().at
	old := age(at, now)
	return at, old > degradedAfter, old > r.staleAfter && !r.serveStale
}

func (r *Registry) stale() bool {
	if !r.shared || r.serveStale {
		return false
	}
	return age(r.polled.Load().at, r.now()) > r.staleAfter
}

// Skew is the store's clock minus ours at the last poll; 0 where nobody else writes. A
// process that is off by more than a second is not ready (RULES E3).
func (r *Registry) Skew() time.Duration {
	if !r.shared {
		return 0
	}
	return r.polled.Load().skew
}
