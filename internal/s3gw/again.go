package s3gw

import (
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// againAfter is how long a decision is good for a transfer that goes on.
const againAfter = 5 * time.Second

// watch decides anew about a request that takes long. An upload may take hours: what was revoked
// meanwhile must not become an object, nor go on to be read. Not safe for concurrent use; it
// changes nothing of the exchange, which others may look at meanwhile.
type watch struct {
	e    *exchange
	last time.Time
}

func (e *exchange) watch() *watch { return &watch{e: e, last: e.cfg.Now()} }

// again returns why the request may not go on.
//
// Errors: *authError; those of decide.
func (w *watch) again() error {
	now := w.e.cfg.Now()
	if now.Sub(w.last) < againAfter {
		return nil
	}
	w.last = now
	fresh := &exchange{Gateway: w.e.Gateway, r: w.e.r, target: w.e.target, needs: w.e.needs, caller: &caller{}, decision: &decision{}}
	if proven := w.e.caller.proven; proven != nil {
		renewed, err := w.e.cfg.Authn.Renew(w.e.r.Context(), proven)
		if err != nil {
			return &authError{cause: err}
		}
		fresh.caller.proven = renewed
	}
	switch w.e.target.operation.name {
	case s3api.ListBuckets, s3api.DeleteObjects: // these decide by name, once the body is there
		return nil
	}
	_, err := fresh.decide()
	return err
}
