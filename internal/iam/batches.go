package iam

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/countersign/countersign"
)

// maxBatches is how many batches are remembered.
const maxBatches = 4096

// batches remembers which reports were stored, so that one that is sent again is
// stored once. Key: service uid and batch id. Bound: as many as newBatches was told,
// the oldest goes first. Lifetime: this process; a batch that is sent again over a
// restart, or after a commit whose outcome nobody knows, is stored twice and can be
// told by its event ids. Safe for concurrent use.
type batches struct {
	most int

	mu    sync.Mutex
	known map[batchID]*batch
	order []batchID // a ring of the stored ones, oldest at next once it is full
	next  int
}

type batchID struct{ serviceUID, id string }

// batchKey is a batch's name and a hash of its content.
type batchKey struct {
	batchID
	sum [sha256.Size]byte
}

// batch is one that is being stored (done is open) or is stored (done is closed).
type batch struct {
	sum    [sha256.Size]byte
	done   chan struct{}
	stored bool // set before done is closed
}

func newBatches(most int) *batches {
	return &batches{most: most, known: make(map[batchID]*batch)}
}

func hashBatch(serviceUID, id string, content []byte) batchKey {
	return batchKey{batchID{serviceUID, id}, sha256.Sum256(content)}
}

// once runs save unless this batch is stored already. While another request stores
// it, once waits for that one's outcome, and tries itself if it failed.
//
// Errors: those of save; countersign.Conflict for another content under the same id;
// countersign.Unavailable when ctx ends first.
func (b *batches) once(ctx context.Context, key batchKey, save func(ctx context.Context) error) error {
	for {
		entry, mine := b.enter(key)
		if entry.sum != key.sum {
			return countersign.NewError(countersign.Conflict, countersign.ReasonParameterInvalid,
				"another batch had this batch_id")
		}
		if mine {
			return b.run(ctx, key, entry, save)
		}
		select {
		case <-entry.done:
		case <-ctx.Done():
			return countersign.WrapError(countersign.Unavailable, "", "the batch is still being stored", ctx.Err())
		}
		if entry.stored {
			return nil
		}
	}
}

// enter returns the batch of that name; mine is true when it was not known and the
// caller must now store it.
func (b *batches) enter(key batchKey) (entry *batch, mine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if entry, known := b.known[key.batchID]; known {
		return entry, false
	}
	entry = &batch{sum: key.sum, done: make(chan struct{})}
	b.known[key.batchID] = entry
	return entry, true
}

func (b *batches) run(ctx context.Context, key batchKey, entry *batch, save func(ctx context.Context) error) error {
	stored := false
	// Deferred, so that a panic in save does not leave others waiting for ever.
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		entry.stored = stored
		if stored {
			b.remember(key.batchID)
		} else {
			delete(b.known, key.batchID)
		}
		close(entry.done)
	}()
	if err := save(ctx); err != nil {
		return err
	}
	stored = true
	return nil
}

// remember counts id among the stored ones and forgets the oldest.
func (b *batches) remember(id batchID) {
	if len(b.order) < b.most {
		b.order = append(b.order, id)
		return
	}
	delete(b.known, b.order[b.next])
	b.order[b.next] = id
	b.next = (b.next + 1) % b.most
}
