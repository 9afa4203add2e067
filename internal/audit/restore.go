package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// probeEvery is the least time between two tries to reach the store in an outage;
	// probeTimeout bounds what only asks whether it is there.
	probeEvery   = 500 * time.Millisecond
	probeTimeout = time.Second
	// restoreBytes and restoreBlocks bound what of the spool goes into one transaction.
	restoreBytes  = 4 << 20
	restoreBlocks = 256
	// lastBytes is how much may be left when commits are held up for the rest, which
	// takes lastTimeout at most.
	lastBytes   = 256 << 10
	lastTimeout = time.Second
)

// errNeedsTurn: the spooled chain must be changed, and somebody may be appending to it.
var errNeedsTurn = errors.New("needs the turn")

// restore is the goroutine that brings the spool into the store when it is back.
// Commits go on beside it: they are held up for the last few blocks only.
func (l *Log) restore() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.running.Go(func() { <-l.stop; cancel() })
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.outage:
		}
		for l.Degraded() {
			err := l.drain(ctx)
			if err == nil {
				break
			}
			l.cfg.Logger.DebugContext(ctx, "the audit spool can't be stored yet", "cause", err)
			pause.Reset(probeEvery)
			select {
			case <-l.stop:
				return
			case <-pause.C:
			}
		}
	}
}

// drain stores the spool and ends it. Without an error blocks go to the store again.
func (l *Log) drain(ctx context.Context) error {
	if _, err := l.storedTail(ctx); err != nil {
		return err
	}
	for l.spool.left() > lastBytes {
		err := l.storeSpooled(ctx, writeTimeout, false)
		if errors.Is(err, errNeedsTurn) {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := l.lockTurn(ctx); err != nil {
		return err
	}
	defer l.unlockTurn()
	return l.drainRest(ctx, lastTimeout)
}

// drainRest stores what is left and ends the spool. The caller has the turn, or there
// is no other goroutine.
func (l *Log) drainRest(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// A change of the chain (errNeedsTurn above) may leave more than fits the time:
	// the rest is for the next round.
	for l.spool.left() > 0 {
		if err := l.storeSpooled(ctx, timeout, true); err != nil {
			return err
		}
	}
	if err := l.settle(ctx); err != nil {
		return err
	}
	if err := l.spool.remove(); err != nil {
		// What lies there is in the store; found again, it is recognised.
		l.cfg.Logger.WarnContext(ctx, "the audit spool can't be removed", "cause", err)
		return err
	}
	l.state.storedAll()
	l.in.hold(false)
	if l.spooling.Swap(false) {
		l.cfg.Logger.InfoContext(ctx, "the store can be written again; the audit spool is empty")
	}
	signal(l.grown)
	signal(l.queued)
	signal(l.kick)
	return nil
}

func (l *Log) storedTail(ctx context.Context) (store.AuditBlock, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	tail, err := l.cfg.Store.AuditTail(ctx, l.cfg.Replica)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return store.AuditBlock{}, unavailable(err)
	}
	return tail, nil
}

// storeSpooled stores the next blocks of the spool, in one transaction. Those that
// are in the store already, because an answer got lost, are passed over. held: the
// caller has the turn.
func (l *Log) storeSpooled(ctx context.Context, timeout time.Duration, held bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	records, err := l.spool.next(restoreBytes, restoreBlocks)
	if err != nil || len(records) == 0 {
		return err
	}
	tail, err := l.storedTail(ctx)
	if err != nil {
		return err
	}
	there, err := l.lookUp(ctx, records, tail.Seq)
	if err != nil {
		return err
	}
	missing := make([]store.AuditBlock, 0, len(records))
	for i := range records {
		r := &records[i]
		hash, taken := there[r.block.Seq]
		same := taken && bytes.Equal(hash, r.block.Hash)
		switch {
		case r.broken:
			l.lost(ctx, r)
		case r.kind == keptDoubt && !same, r.kind == keptBlock && same:
			// nothing to do
		case r.kind == keptBlock && !taken:
			missing = append(missing, r.block)
		case i > 0: // first what comes before
			return l.storeRecords(ctx, records[:i], missing)
		default:
			return l.rebase(ctx, r, tail.Seq, same, held)
		}
	}
	return l.storeRecords(ctx, records, missing)
}

// lookUp returns the hashes of the stored blocks that have the numbers of records.
func (l *Log) lookUp(ctx context.Context, records []record, tail int64) (map[int64][]byte, error) {
	there := map[int64][]byte{}
	for i := range records {
		seq := records[i].block.Seq
		if _, known := there[seq]; known || records[i].broken || seq > tail {
			continue
		}
		blocks, err := l.cfg.Store.AuditBlocks(ctx, store.AuditRange{
			Replica: l.cfg.Replica, After: seq - 1, Limit: min(len(records)-i, int(tail-seq)+1),
		})
		if err != nil {
			return nil, unavailable(err)
		}
		for _, b := range blocks {
			there[b.Seq] = b.Hash
		}
	}
	return there, nil
}

// storeRecords stores those blocks of records that are missing; then all are there.
func (l *Log) storeRecords(ctx context.Context, records []record, missing []store.AuditBlock) error {
	if len(missing) > 0 {
		err := l.cfg.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			for i := range missing {
				if err := tx.AppendAuditBlock(ctx, missing[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return unavailable(err) // also where it is there: the next round finds it
		}
	}
	for i := range records {
		if r := &records[i]; r.kind == keptBlock && !r.broken {
			l.state.storedTo(r.block.Seq, r.block.Hash)
			l.cfg.Observer.AuditCommitted(int(r.block.Count))
		}
	}
	l.spool.advance(records[len(records)-1].end)
	return nil
}

// rebase gives the spooled blocks from r on other numbers. ours: r is a change that
// is in the store after all; the chain goes on behind it. Else somebody else's block
// has r's number: the chain goes on behind theirs, and r's Prev stays, so that Verify
// finds the break for ever. The file is replaced before the first block is stored
// under its new number: a crash in between stores none twice.
func (l *Log) rebase(ctx context.Context, r *record, tail int64, ours, held bool) error {
	if !held {
		return errNeedsTurn
	}
	from, seq, prev := r.at, tail, r.block.Prev
	if ours {
		from, seq, prev = r.end, r.block.Seq, r.block.Hash
	}
	last := seq
	err := l.spool.rewrite(from, func(b *store.AuditBlock) {
		last++
		b.Seq, b.Prev = last, prev
		b.Hash = blockHash(b)
		prev = b.Hash
	})
	if err != nil {
		return unavailable(fmt.Errorf("rewrite the spool: %w", err))
	}
	l.state.rebase(seq, last, prev)
	if ours {
		l.state.storedTo(r.block.Seq, r.block.Hash)
		return nil
	}
	l.cfg.Logger.ErrorContext(ctx, "somebody else wrote to this process's audit chain", "from", r.block.Seq, "to", tail)
	l.note("another writer appended to this chain")
	return nil
}

// lost tells of a record that is not what was written. The file is kept for who wants
// to know what it was.
func (l *Log) lost(ctx context.Context, r *record) {
	aside, err := l.spool.keepAside()
	what := fmt.Sprintf("the audit spool is damaged from byte %d to %d", r.at, r.end)
	l.cfg.Logger.ErrorContext(ctx, what, "kept_as", aside, "cause", err)
	if l.state.damaged(Finding{Replica: l.cfg.Replica, Seq: max(r.block.Seq, 0), Problem: unreadable, Detail: what}) {
		l.note(what)
	}
}
