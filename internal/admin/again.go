package admin

import (
	"context"
	"reflect"
	"time"

	"github.com/countersign/countersign"
)

// againTimeout bounds how long others who change something wait for what is asked here. Of a
// transaction that has less time a quarter is left for what it writes.
const againTimeout = 2 * time.Second

// ErrActorChanged says that the actor has other rights, another tenant, owner or scopes now
// than when the request came: what was decided until then is void. Whoever knows how proves the
// caller anew and asks again; for others it is a refusal for a moment.
var ErrActorChanged = &countersign.Error{
	Code: countersign.Unavailable, Reason: countersign.ReasonStale, RetryAfter: time.Second,
	Msg: "your rights were changed while the request was under way: try again",
}

// again asks anew who the actor of a change is and what it may, under the lock that no other
// change commits without: what was taken from it until then is known, and what will be comes
// later. Without it an administrator who was removed a moment ago, at another replica or
// before this request had its turn, would write once more, and could make itself one again.
//
// The view is polled although this process may be the only one that writes: it takes over what
// it has committed itself only after it has given the lock away.
//
// Errors: what the door would say now; countersign.Unavailable, also as [ErrActorChanged].
func (a *Admin) again(ctx context.Context, actor Actor) error {
	if actor.Again == nil {
		return nil
	}
	ctx, cancel := pollWithin(ctx)
	defer cancel()
	if err := a.registry.Sync(ctx); err != nil {
		return err //nolint:wrapcheck // it has its words
	}
	return still(ctx, actor)
}

// pollWithin bounds a poll inside a transaction.
func pollWithin(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := againTimeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)*3/4)
	}
	return context.WithTimeout(ctx, limit)
}

// Confirm is again for what works without the store, such as a revocation in this process: what
// is committed is known if the store answers, else what was known before has to do.
//
// Errors: as what the door would say now; [ErrActorChanged].
func (a *Admin) Confirm(ctx context.Context, actor Actor) error {
	if actor.Again == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	_ = a.registry.Sync(bounded)
	return still(ctx, actor)
}

// still compares everything instead of what one change needs: then all that was decided about
// the actor before holds, wherever that was.
func still(ctx context.Context, actor Actor) error {
	now, err := actor.Again(ctx)
	if err != nil {
		return err
	}
	before := actor
	// How it came is of the request, and the same.
	before.Again, now.Again = nil, nil
	if !reflect.DeepEqual(before, now) {
		return ErrActorChanged
	}
	return nil
}
