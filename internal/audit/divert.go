package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// spoolWriteTimeout bounds one transaction where there is a spool: commits wait for
// the first one that hangs, and for no further one.
const spoolWriteTimeout = 2 * time.Second

// maxLine is more than an event has when it is encoded, in bytes.
const maxLine = 64 << 10

// errSpooling: blocks wait in the spool, and nothing may go in front of them.
var errSpooling = errors.New("the store can't be written; the audit log spools")

// SpoolObserver is what an [Observer] may be too. It must not wait.
type SpoolObserver interface {
	// AuditSpooled tells of one durable write to the spool of that many events. They
	// are told of by AuditCommitted when they are in the store.
	AuditSpooled(events int)
}

func (unobserved) AuditSpooled(int) {}

// Degraded reports whether blocks go to the spool, because the store is unavailable or
// because it has not taken yet what waits there. Without Config.Spool it is false.
func (l *Log) Degraded() bool { return l.spooling.Load() }

// openSpool takes over what an earlier process left. See Config.Spool.
func (l *Log) openSpool(ctx context.Context) error {
	if l.cfg.Spool == "" {
		return nil
	}
	if l.cfg.SpoolMax == 0 {
		l.cfg.SpoolMax = defaultSpoolMax
	}
	var cut int64
	var err error
	if l.spool, cut, err = openSpool(l.cfg.Spool, l.cfg.Replica, l.cfg.SpoolMax); err != nil {
		return unavailable(err)
	}
	if cut > 0 {
		l.cfg.Logger.WarnContext(ctx, "the audit spool ended with half a record, of which nobody was told that it is stored",
			"bytes", cut)
	}
	if l.spool.left() > 0 {
		l.spooling.Store(true)
	}
	return nil
}

func (l *Log) closeSpool() error {
	if l.spool == nil {
		return nil
	}
	return l.spool.close()
}

// writeTimeout bounds one transaction.
func (l *Log) writeTimeout() time.Duration {
	if l.spool != nil {
		return spoolWriteTimeout
	}
	return writeTimeout
}

// degrade sends everything to the spool until the store has shown that it works.
func (l *Log) degrade(ctx context.Context, cause error) {
	if l.spool == nil {
		return
	}
	if !l.spooling.Swap(true) {
		l.cfg.Logger.ErrorContext(ctx, "the store can't be written; audit events go to the spool", "cause", cause)
	}
	signal(l.outage)
}

// resolve finds out what became of l.doubt after err, or puts it into the spool. nil:
// its events are durable. The caller has the turn.
func (l *Log) resolve(ctx context.Context, err error) error {
	d := l.doubt
	down := countersign.CodeOf(err) == countersign.Unavailable || errors.Is(err, context.DeadlineExceeded)
	// A change is asked for even then: whether it was made depends on the answer.
	if l.spool == nil || !down || d.change {
		e := l.settle(ctx)
		if e == nil && l.state.isTail(d.block.Seq, d.block.Hash) {
			return nil // it is there
		}
		if e == nil {
			return err
		}
	}
	if l.spool == nil {
		return err
	}
	l.degrade(ctx, err)
	if e := l.park(ctx); e != nil {
		return errors.Join(err, e)
	}
	if d.change {
		return err
	}
	return nil
}

// clearDoubt makes an end to a doubt of earlier, by the spool or by the store.
func (l *Log) clearDoubt(ctx context.Context) error {
	if l.doubt != nil && l.spool != nil && l.park(ctx) == nil {
		return nil
	}
	return l.settle(ctx)
}

// park puts the block in doubt into the spool: whether it is in the store is found
// out when the store is back. Of a change only the hash is kept, since its events
// are true only if the store has it. The caller has the turn.
func (l *Log) park(ctx context.Context) error {
	d := l.doubt
	kind := keptBlock
	if d.change {
		kind = keptDoubt
	}
	if err := l.spool.append(kind, &d.block); err != nil {
		return err
	}
	l.doubt = nil
	l.degrade(ctx, errSpooling)
	if d.change {
		l.state.leaveOpen()
	} else {
		l.spooled(d)
	}
	return nil
}

// spooled makes d, which is in the spool, the tail of the chain.
func (l *Log) spooled(d *draft) {
	l.state.spool(d.block.Seq, d.block.Hash)
	if o, ok := l.cfg.Observer.(SpoolObserver); ok {
		o.AuditSpooled(int(d.block.Count))
	}
	signal(l.grown)
}

// spoolBlock is storeBlock while the store is unavailable. The caller has the turn.
func (l *Log) spoolBlock(ctx context.Context) (int, error) {
	room := l.spool.room(l.cfg.Replica, true)
	l.in.hold(room < maxLine)
	d := l.draft(nil, room)
	if d.block.Count == 0 {
		return 0, nil
	}
	err := l.spool.append(keptBlock, &d.block)
	if err == nil {
		l.spooled(d)
	} else {
		l.in.putBack(d.lines)
		err = unavailable(fmt.Errorf("spool: %w", err))
	}
	l.report(ctx, err)
	l.answer(d, err)
	l.in.recycle(d.block.Events)
	return int(d.block.Count), err
}

// draftAlone is draft for a change where there is a spool: what can wait for the
// store and what can't don't share a block.
func (l *Log) draftAlone(events []Event) *draft {
	d := &draft{batch: &batch{}, change: true}
	now := l.cfg.Now()
	var span span
	var text []byte
	for i := range events {
		e := events[i]
		complete(&e, now)
		l.observe(&e)
		text = appendEvent(text, &e)
		span.add(e.Time)
	}
	seq, hash, staged := l.state.next()
	d.head = staged
	d.block = store.AuditBlock{
		Replica: l.cfg.Replica, Seq: seq, Events: text, Count: int64(len(events)), First: span.first, Last: span.last, Prev: hash,
	}
	if len(events) > 0 {
		d.block.Hash = blockHash(&d.block)
	}
	return d
}
