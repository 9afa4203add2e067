package s3gw

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/registry"
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
	return w.e.stillAllowed()
}

// stillAllowed returns why the request may not go on. It changes nothing of the exchange.
//
// Errors: *authError; those of decide.
func (e *exchange) stillAllowed() error {
	fresh := &exchange{Gateway: e.Gateway, r: e.r, target: e.target, needs: e.needs, caller: e.caller, decision: &decision{}}
	_, err := fresh.renew()
	return err
}

// renew finds out anew who asks and decides about that: once a document has come, which may
// take minutes, nothing goes by what was true before it. Who may delete which key is decided by
// name; here it is only that the caller has any right in that bucket.
//
// Errors: *authError; those of decide.
func (e *exchange) renew() (*registry.Bucket, error) {
	if proven := e.caller.proven; proven != nil {
		renewed, err := e.cfg.Authn.Renew(e.r.Context(), proven)
		if err != nil {
			return nil, &authError{cause: err}
		}
		e.caller = &caller{proven: renewed}
	}
	t := e.target
	switch t.operation.name {
	case s3api.ListBuckets: // of no bucket
		return nil, nil //nolint:nilnil // it has none
	case s3api.DeleteObjects:
		return e.knownBucket()
	}
	b, err := e.decide()
	if err == nil && t.operation.copies && t.copy.bucket != t.bucket {
		_, err = e.bucket(e.r.Context(), t.copy.bucket)
	}
	return b, err
}

// knownBucket returns the bucket in which the keys of a document are, to who has any right there:
// an answer for each key would tell that the bucket is there.
//
// Errors: AccessDenied, NoSuchBucket; countersign.Unavailable.
func (e *exchange) knownBucket() (*registry.Bucket, error) {
	if !e.caller.knows(e.target.bucket) {
		return nil, errDenied
	}
	return e.bucket(e.r.Context(), e.target.bucket)
}

// watched returns the context of what the origin is asked to do. A copy streams for minutes
// within an origin, or is one request there, and an upload that has come is yet to be stored:
// no body tells that time goes by. What is not allowed any more ends with the context, before
// an object is there where the origin has such a moment. What only reads is watched where its
// answer is passed on. Call stop when the answer has been.
func (e *exchange) watched() (ctx context.Context, stop func()) {
	ctx = e.r.Context()
	if !e.target.operation.writes() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(e.every, func() { // most are over before: no goroutine for each
		ticker := time.NewTicker(e.every)
		defer ticker.Stop()
		for {
			err := e.stillAllowed()
			if ctx.Err() != nil {
				return // it is over, and that may be all that was wrong
			}
			if err != nil {
				e.ended.Store(&err)
				cancel(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}
