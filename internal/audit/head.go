package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const (
	// sealEvery is the least time between two signatures while the chain grows.
	sealEvery = time.Second
	// rowEvery is the least time between two heads in the database where there is a
	// head file, which has the newest one. Without a file it is sealEvery.
	rowEvery = time.Minute
)

// errNotFinal: the chain's last block may still get another number.
var errNotFinal = errors.New("the audit chain waits for the store")

// seal is the sealer goroutine. It signs outside the writer, and leaves the row to
// the next block's transaction; only where no block comes it makes its own.
func (l *Log) seal() {
	ctx := context.Background()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var rowAt time.Time
	failing := false
	for {
		select {
		case <-l.stop:
			return
		case <-timer.C: // at least sealEvery since the last time
		}
		if _, _, staged := l.state.next(); staged != nil {
			// While the log spools the head waits.
			if err := l.putHead(ctx, staged); err != nil && !errors.Is(err, errSpooling) {
				l.cfg.Logger.WarnContext(ctx, "a signed audit head could not be stored", "cause", err)
			}
		}
		select {
		case <-l.stop:
			return
		case <-l.grown:
		}
		now := time.Now()
		withRow := l.cfg.HeadFile == "" || now.Sub(rowAt) >= rowEvery
		_, err := l.sign(withRow)
		if errors.Is(err, errNotFinal) {
			timer.Reset(sealEvery) // the end of the spool wakes us
			continue
		}
		if err != nil && !failing {
			l.cfg.Logger.ErrorContext(ctx, "the audit chain can't be signed", "cause", err)
		}
		if failing = err != nil; failing {
			signal(l.grown) // try again
		} else if withRow {
			rowAt = now
		}
		timer.Reset(sealEvery)
	}
}

// sign signs the last block's hash and writes the head file. With row the head also
// waits for the next transaction.
func (l *Log) sign(row bool) (store.AuditHead, error) {
	seq, hash, final := l.state.final()
	if !final {
		return store.AuditHead{}, errNotFinal
	}
	h := store.AuditHead{
		Replica: l.cfg.Replica, Seq: seq, Hash: slices.Clone(hash),
		At: l.cfg.Now().UTC().Truncate(time.Microsecond),
	}
	var err error
	if h.KID, h.Signature, err = l.cfg.Signer.SignHead(headMessage(&h)); err != nil {
		return store.AuditHead{}, fmt.Errorf("sign the audit head: %w", err)
	}
	if l.cfg.HeadFile != "" {
		if err := writeHeadFile(l.cfg.HeadFile, &h); err != nil {
			return store.AuditHead{}, fmt.Errorf("write the head file: %w", err)
		}
	}
	l.state.seal(h, row)
	return h, nil
}

// putHead stores a head of our chain in a transaction of its own.
func (l *Log) putHead(ctx context.Context, h *store.AuditHead) error {
	if err := l.lockTurn(ctx); err != nil {
		return err
	}
	defer l.unlockTurn()
	if l.Degraded() {
		return unavailable(errSpooling) // also: its block is not there yet
	}
	if err := l.storeHead(ctx, h); err != nil {
		l.degrade(ctx, err)
		return err
	}
	l.state.stored(h)
	return nil
}

func (l *Log) storeHead(ctx context.Context, h *store.AuditHead) error {
	ctx, cancel := context.WithTimeout(ctx, l.writeTimeout())
	defer cancel()
	err := l.cfg.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.PutAuditHead(ctx, *h) })
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// sealNow signs the tail, if it is not signed, and stores the head. The sealer does
// not run, or not yet.
func (l *Log) sealNow(ctx context.Context) error {
	seq, hash := l.state.last()
	sealed, row := l.state.heads()
	if seq == 0 || row.Seq == seq && sealed.Seq == seq && slices.Equal(sealed.Hash, hash) {
		return nil
	}
	h, err := l.sign(false)
	if errors.Is(err, errNotFinal) {
		return nil // the next process signs
	}
	if err != nil {
		return unavailable(err)
	}
	if err = l.putHead(ctx, &h); err != nil && l.Degraded() {
		l.state.seal(h, true) // it waits for the store, or the next process signs
		return nil
	}
	return err
}
