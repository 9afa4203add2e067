package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const maxReplicaName = 255

// recover stores the spool and finds out where the chain goes on. See Open.
func (l *Log) recover(ctx context.Context) error {
	damaged := l.spool != nil && l.spool.damagedTail
	for l.Degraded() {
		// A long spool needs several rounds; each stores something or fails.
		left := l.spool.left()
		if err := l.drainRest(ctx, writeTimeout); err != nil && l.spool.left() >= left {
			return unavailable(err)
		}
	}
	if err := l.recoverChain(ctx); err != nil {
		return err
	}
	if damaged {
		// There was at least one block more. Its number stays free, so that Verify finds
		// that it is gone.
		seq, _, _ := l.state.next()
		l.state.skip(seq)
	}
	l.state.storedAll()
	return nil
}

func (l *Log) recoverChain(ctx context.Context) error {
	tail, err := l.cfg.Store.AuditTail(ctx, l.cfg.Replica)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return unavailable(err)
	}
	if tail.Seq == 0 {
		tail.Hash = genesis()
	}
	newest, err := l.newestStoredHead(ctx)
	if err != nil {
		return err
	}
	l.state.row = newest
	filed, err := l.recoverHeadFile(ctx)
	if err != nil {
		return err
	}
	if newest, err = l.reconcile(ctx, newest, filed); err != nil {
		return err
	}
	l.state.seq, l.state.hash, l.state.sealed = tail.Seq, tail.Hash, newest
	same, err := l.holds(ctx, &newest)
	switch {
	case err != nil:
		return err
	case newest.Seq > tail.Seq:
		l.state.seq, l.state.hash = newest.Seq, newest.Hash
		l.alarm(ctx, fmt.Sprintf("blocks %d to %d are missing from the end of the chain", tail.Seq+1, newest.Seq))
		return nil
	case !same && newest.Seq == tail.Seq:
		// Signing this block would bless it. The chain goes on from the one that was signed.
		l.state.hash = newest.Hash
		l.alarm(ctx, fmt.Sprintf("block %d, the last one, is not the one that was signed", newest.Seq))
		return nil
	case tail.Seq > 0 && !bytes.Equal(blockHash(&tail), tail.Hash):
		l.alarm(ctx, fmt.Sprintf("block %d, the last one, is not what was written", tail.Seq))
		return nil
	case !same:
		l.alarm(ctx, fmt.Sprintf("block %d is not the one that was signed", newest.Seq))
	}
	return l.sealNow(ctx)
}

// reconcile makes the head file and the newest stored head the same, and returns it.
// The head file's goes into the database before another takes its place: where it
// contradicts the chain, it stays there as evidence.
func (l *Log) reconcile(ctx context.Context, stored, filed store.AuditHead) (store.AuditHead, error) {
	switch {
	case filed.Seq > stored.Seq:
		return filed, l.putHead(ctx, &filed)
	case filed.Seq < stored.Seq && l.cfg.HeadFile != "":
		if err := writeHeadFile(l.cfg.HeadFile, &stored); err != nil {
			return store.AuditHead{}, unavailable(err)
		}
	}
	return stored, nil
}

// holds reports whether the stored chain has the block that h tells of.
func (l *Log) holds(ctx context.Context, h *store.AuditHead) (bool, error) {
	if h.Seq == 0 {
		return true, nil
	}
	blocks, err := l.cfg.Store.AuditBlocks(ctx, store.AuditRange{Replica: h.Replica, After: h.Seq - 1, Limit: 1})
	if err != nil {
		return false, unavailable(err)
	}
	return len(blocks) == 1 && blocks[0].Seq == h.Seq && bytes.Equal(blockHash(&blocks[0]), h.Hash), nil
}

// alarm tells of a chain that is not what it was: in the log, and in the chain.
func (l *Log) alarm(ctx context.Context, what string) {
	l.cfg.Logger.ErrorContext(ctx, "the audit chain was changed while this process did not run", "finding", what)
	l.note(what)
}

// newestStoredHead returns the newest head of our chain whose signature is good: a
// forged one must not be able to move the chain.
func (l *Log) newestStoredHead(ctx context.Context) (store.AuditHead, error) {
	heads, err := l.cfg.Store.AuditHeads(ctx, l.cfg.Replica)
	if err != nil {
		return store.AuditHead{}, unavailable(err)
	}
	for i := len(heads) - 1; i >= 0; i-- {
		if l.signedBy(&heads[i]) {
			return heads[i], nil
		}
		l.cfg.Logger.ErrorContext(ctx, "a stored audit head has a bad signature", "seq", heads[i].Seq)
	}
	return store.AuditHead{}, nil
}

func (l *Log) signedBy(h *store.AuditHead) bool {
	return l.cfg.Signer.VerifyHead(h.KID, headMessage(h), h.Signature)
}

// recoverHeadFile returns the head in the head file; the zero head when there is
// none for our chain.
func (l *Log) recoverHeadFile(ctx context.Context) (store.AuditHead, error) {
	if l.cfg.HeadFile == "" {
		return store.AuditHead{}, nil
	}
	h, err := readHeadFile(l.cfg.HeadFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if l.state.row.Seq > 0 {
			l.cfg.Logger.WarnContext(ctx, "the audit head file is missing; a new one is written", "file", l.cfg.HeadFile)
		}
		return store.AuditHead{}, nil
	case errors.Is(err, errHeadFile) || err == nil && !l.signedBy(&h):
		return store.AuditHead{}, l.setAside(ctx)
	case err != nil:
		return store.AuditHead{}, unavailable(err)
	case h.Replica != l.cfg.Replica:
		// The process had another name the last time. Verify holds that chain against
		// the head from now on.
		return store.AuditHead{}, l.storeHead(ctx, &h)
	}
	return h, nil
}

// setAside renames a head file that we did not sign. That there was one stays a
// finding of this process.
func (l *Log) setAside(ctx context.Context) error {
	aside := l.cfg.HeadFile + ".bad"
	if err := os.Rename(l.cfg.HeadFile, aside); err != nil {
		return unavailable(err)
	}
	const what = "the head file that was found at start is forged or damaged"
	l.cfg.Logger.ErrorContext(ctx, what, "kept_as", aside)
	l.found = append(l.found, Finding{Replica: l.cfg.Replica, Problem: headForged, Detail: what})
	l.note(what)
	return nil
}
