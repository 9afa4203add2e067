package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// draft is a block on its way to the store, with those who wait for it.
type draft struct {
	batch *batch
	lines []line
	block store.AuditBlock
	head  *store.AuditHead // a signed head that goes along; nil = none
	// change: the events tell of a change in the same transaction, and of nothing else.
	change bool
}

// write is the writer goroutine.
func (l *Log) write() {
	timer := time.NewTimer(flushEvery)
	timer.Stop()
	armed := false
	crowd := 0 // how many events shared the last block
	for {
		ctx := context.Background()
		queued := l.queued
		if armed {
			queued = nil // else each event would wake this goroutine, to find the timer running
		}
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-l.kick:
			l.gather(crowd)
			if l.lockTurn(ctx) == nil {
				var err error
				crowd, err = l.storeBlock(ctx) // who waits for it is told
				l.unlockTurn()
				if _, queued, _ := l.in.waiting(); err == nil && crowd > 0 && queued >= maxBatchEvents {
					signal(l.kick)
				}
			}
		case <-queued:
			armed = true
			timer.Reset(flushEvery)
		case <-timer.C:
			armed = false
			_ = l.flush(ctx) // it was logged, and the events stay queued
			if _, queued, _ := l.in.waiting(); queued > 0 || l.refused.any() {
				signal(l.queued)
			}
		}
	}
}

// gather lets more commits join the next block when many came for the last one. A
// commit costs the same for one event as for fifty: under load a pause of a
// millisecond buys a third more of them, and alone nobody waits. A small crowd is soon
// complete, and then waits no longer.
func (l *Log) gather(crowd int) {
	pause, enough := time.Millisecond, crowd
	switch {
	case crowd >= 32:
		pause, enough = 2*time.Millisecond, maxBatchEvents
	case crowd < 4:
		return
	}
	if l.in.expect(int64(enough)) {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.in.complete:
	case <-l.stop:
	}
}

func (l *Log) lockTurn(ctx context.Context) error {
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func (l *Log) unlockTurn() { l.turn <- struct{}{} }

// flush stores everything that waited when it was called, refusals included.
func (l *Log) flush(ctx context.Context) error {
	if err := l.lockTurn(ctx); err != nil {
		return err
	}
	defer l.unlockTurn()
	if err := l.clearDoubt(ctx); err != nil {
		return err
	}
	l.refused.drain(l.in)
	commits, queued, dropped := l.in.waiting()
	todo := commits + queued
	if dropped > 0 {
		todo++
	}
	for todo > 0 {
		stored, err := l.storeBlock(ctx)
		if err != nil {
			return err
		}
		if stored == 0 {
			break // nothing is left
		}
		todo -= stored
	}
	return nil
}

// storeBlock writes one block of what waits and returns how many events are in it.
// The caller has the turn. The transaction does not end with ctx: others' events are
// in it.
func (l *Log) storeBlock(ctx context.Context) (int, error) {
	if err := l.clearDoubt(ctx); err != nil {
		l.report(ctx, err)
		l.failWaiting(err)
		return 0, err
	}
	if l.Degraded() {
		return l.spoolBlock(ctx)
	}
	d := l.draft(nil, maxQueueBytes)
	if d.block.Count == 0 {
		return 0, nil
	}
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.writeTimeout())
	defer cancel()
	err := l.cfg.Store.Update(wctx, func(ctx context.Context, tx store.Tx) error { return d.append(ctx, tx) })
	return int(d.block.Count), l.finish(ctx, d, err)
}

func (d *draft) append(ctx context.Context, tx store.Tx) error {
	if err := tx.AppendAuditBlock(ctx, d.block); err != nil {
		return err
	}
	if d.head != nil {
		return tx.PutAuditHead(ctx, *d.head)
	}
	return nil
}

// draft takes what waits and makes the next block of it, with events in front of the
// queued ones. room is how many bytes commits and queued events may have together;
// commits go along in any case. The caller has the turn and must call finish.
func (l *Log) draft(events []Event, room int64) *draft {
	b, lines := l.in.take(l.droppedEvent, room)
	text, count, span := b.text, b.count+int64(len(events)+len(lines)), b.span
	now := l.cfg.Now()
	for i := range events {
		e := events[i]
		complete(&e, now)
		l.observe(&e)
		text = appendEvent(text, &e)
		span.add(e.Time)
	}
	for _, queued := range lines {
		text = append(text, queued.text...)
		span.add(queued.at)
	}
	seq, hash, staged := l.state.next()
	d := &draft{batch: b, lines: lines, head: staged, block: store.AuditBlock{
		Replica: l.cfg.Replica, Seq: seq, Events: text, Count: count, First: span.first, Last: span.last, Prev: hash,
	}}
	if count > 0 {
		d.block.Hash = blockHash(&d.block)
	}
	return d
}

func (l *Log) droppedEvent(count int64) line {
	e := Event{
		Action: ActionDropped, Decision: Refused, Reason: string(countersign.ReasonAuditUnavailable), Count: count,
		Detail: "events that found no room in the queue",
	}
	complete(&e, l.cfg.Now())
	return encodeLine(&e)
}

// finish tells everybody how the block went. After an error it asks the store for
// the truth: a commit that failed on its way back has happened all the same.
func (l *Log) finish(ctx context.Context, d *draft, err error) error {
	if err != nil && d.block.Count > 0 {
		l.doubt = d
		err = l.resolve(ctx, err)
	} else if err == nil {
		l.advance(d)
	}
	if err != nil {
		err = unavailable(err)
	}
	l.report(ctx, err)
	l.answer(d, err)
	if l.doubt == nil {
		l.in.recycle(d.block.Events)
	}
	return err
}

// answer tells the commits of d how it went.
func (l *Log) answer(d *draft, err error) {
	if d.batch.count > 0 {
		d.batch.err = err
		close(d.batch.done)
	}
}

// report logs the first of several failures, and the end of them. The caller has the turn.
func (l *Log) report(ctx context.Context, err error) {
	switch {
	case err != nil && !l.failing:
		l.cfg.Logger.ErrorContext(ctx, "the audit log can't be written; what was queued stays queued", "cause", err)
	case err == nil && l.failing:
		l.cfg.Logger.InfoContext(ctx, "the audit log can be written again")
	}
	l.failing = err != nil
}

// advance makes d the tail of the chain.
func (l *Log) advance(d *draft) {
	l.state.advance(d.block.Seq, d.block.Hash, d.head)
	l.cfg.Observer.AuditCommitted(int(d.block.Count))
	signal(l.grown)
}

// settle finds out whether the block in doubt was stored, and puts its queued events
// back if it was not. An error means that we still don't know.
func (l *Log) settle(ctx context.Context) error {
	d := l.doubt
	if d == nil {
		return nil
	}
	timeout := writeTimeout
	if l.spool != nil {
		timeout = probeTimeout
	}
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	tail, err := l.cfg.Store.AuditTail(rctx, l.cfg.Replica)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return unavailable(err)
	}
	l.doubt = nil
	if tail.Seq == d.block.Seq && slices.Equal(tail.Hash, d.block.Hash) {
		l.advance(d)
		return nil
	}
	l.in.putBack(d.lines)
	if len(d.lines) > 0 {
		signal(l.queued)
	}
	if seq, _, _ := l.state.next(); tail.Seq >= seq {
		l.skip(ctx, tail.Seq)
	}
	return nil
}

// skip goes on behind blocks of our chain that we did not write: they are in the
// place of ours. The next block's Prev stays the hash of our own last one, so that
// Verify finds the break for ever.
func (l *Log) skip(ctx context.Context, to int64) {
	from := l.state.skip(to)
	l.cfg.Logger.ErrorContext(ctx, "somebody else wrote to this process's audit chain", "from", from, "to", to)
	l.note("another writer appended to this chain")
}

// note queues an event about the log itself.
func (l *Log) note(detail string) {
	e := Event{
		Action: ActionChain, Decision: Changed, Reason: string(countersign.ReasonInternal),
		Target: l.cfg.Replica, Detail: detail,
	}
	complete(&e, l.cfg.Now())
	if l.in.offer(encodeLine(&e)) {
		signal(l.queued)
	}
}

// failWaiting refuses the commits that wait. The caller has the turn, or there is no
// writer any more.
func (l *Log) failWaiting(err error) {
	b := l.in.takeBatch()
	if b.count == 0 {
		return
	}
	if err == nil {
		err = errClosed
	}
	b.err = unavailable(err)
	close(b.done)
	l.in.recycle(b.text)
}
