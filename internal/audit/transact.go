package audit

import (
	"context"

	"github.com/countersign/countersign/internal/store"
)

// Transact runs fn in a store transaction and appends the events that it returns in
// the same transaction: the change and its events become durable together, or
// neither does. What else waits to be stored goes along. fn may run once only; it
// must not call Commit, Transact or Query, which wait for it.
//
// Where there is a spool a change never goes there, and nothing goes along with it.
// While blocks wait in the spool it fails at once, without calling fn.
//
// When ctx ends before fn returns, nothing is stored; after that it is too late.
//
// Errors: those of fn, and as Commit.
func (l *Log) Transact(ctx context.Context, fn func(ctx context.Context, tx store.Tx) ([]Event, error)) error {
	if err := l.lockTurn(ctx); err != nil {
		return err
	}
	defer l.unlockTurn()
	if l.in.isClosed() {
		return unavailable(errClosed)
	}
	if err := l.clearDoubt(ctx); err != nil {
		return err
	}
	if l.Degraded() {
		signal(l.outage)
		return unavailable(errSpooling)
	}
	// The end of one caller's context must not roll back what others wait for.
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.writeTimeout())
	defer cancel()
	var d *draft
	var fnErr error
	err := l.cfg.Store.Update(wctx, func(wctx context.Context, tx store.Tx) error {
		var events []Event
		if events, fnErr = fn(wctx, tx); fnErr != nil {
			return fnErr
		}
		if fnErr = ctx.Err(); fnErr != nil {
			fnErr = unavailable(fnErr)
			return fnErr
		}
		if l.spool != nil {
			d = l.draftAlone(events)
		} else {
			d = l.draft(events, maxQueueBytes)
		}
		if d.block.Count == 0 {
			return nil
		}
		return d.append(wctx, tx)
	})
	switch {
	case fnErr != nil:
		if wctx.Err() != nil {
			l.degrade(ctx, wctx.Err()) // the store hung: commits need not find out again
		}
		return fnErr
	case d == nil: // the store did not come as far as fn
		l.degrade(ctx, err)
		return unavailable(err)
	case d.block.Count == 0 && err == nil:
		return nil
	default:
		return l.finish(ctx, d, err)
	}
}
