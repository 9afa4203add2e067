package registry

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const (
	maxUses = 100_000
	// writeEvery is how far the stored time of last use may lag.
	writeEvery = time.Hour
	// forgetUse is how long a secret that rests is remembered after its last write.
	forgetUse = 2 * writeEvery
	// noteEvery keeps a busy secret from writing to memory with each token.
	noteEvery = time.Minute
	// usesPerUpdate keeps a flush from holding up the commits of the token path.
	usesPerUpdate = 200
)

// uses are the times of last use that are not written yet. Key: secret id.
type uses struct {
	mu      sync.RWMutex
	secrets map[string]*use
	full    atomic.Bool // so that a secret that has no room costs no lock
	// flushing: one flush at a time.
	flushing sync.Mutex
}

type use struct {
	noted   atomic.Int64 // Unix microseconds
	written int64        // what the store has from us; owned by the flush
}

func (u *uses) init() { u.secrets = make(map[string]*use) }

// Used notes that a secret was used. FlushUsed writes what was noted, at most once
// an hour per secret; the server calls it in the background and at stop. It does
// not wait and does not fail: beyond 100,000 secrets within hours it forgets, and
// the time of last use stays older than it is.
func (r *Registry) Used(_, secretID string, at time.Time) { r.uses.note(secretID, at.UnixMicro()) }

// LastUsed returns when this process last saw the secret used, to the minute; the
// zero time if it has not, lately.
func (r *Registry) LastUsed(secretID string) time.Time {
	r.uses.mu.RLock()
	defer r.uses.mu.RUnlock()
	if known := r.uses.secrets[secretID]; known != nil {
		return time.UnixMicro(known.noted.Load()).UTC()
	}
	return time.Time{}
}

func (u *uses) note(id string, at int64) {
	u.mu.RLock()
	known := u.secrets[id]
	u.mu.RUnlock()
	if known == nil {
		if !u.full.Load() {
			u.add(id, at)
		}
		return
	}
	for {
		noted := known.noted.Load()
		if at-noted < noteEvery.Microseconds() || known.noted.CompareAndSwap(noted, at) {
			return
		}
	}
}

// add begins the note of a secret, where there is room.
func (u *uses) add(id string, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.secrets[id] != nil || len(u.secrets) >= maxUses {
		return
	}
	fresh := new(use)
	fresh.noted.Store(at)
	// Its text may be a part of all that is known of a service.
	u.secrets[strings.Clone(id)] = fresh
	u.full.Store(len(u.secrets) >= maxUses)
}

// FlushUsed writes the noted uses. What could not be written is kept for the next
// time.
//
// Errors: countersign.Unavailable.
func (r *Registry) FlushUsed(ctx context.Context) error {
	r.uses.flushing.Lock()
	defer r.uses.flushing.Unlock()
	due := r.uses.due(r.now())
	for len(due) > 0 {
		batch := due[:min(usesPerUpdate, len(due))]
		due = due[len(batch):]
		err := r.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			for _, d := range batch {
				if err := tx.TouchClientSecret(ctx, d.id, time.UnixMicro(d.at)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write when secrets were used: %w", err)
		}
		for _, d := range batch {
			d.use.written = d.at
		}
	}
	return nil
}

type dueUse struct {
	id  string
	use *use
	at  int64
}

// due returns what has to be written, and forgets secrets that rest.
func (u *uses) due(now time.Time) []dueUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	var due []dueUse
	for id, known := range u.secrets {
		noted := known.noted.Load()
		switch {
		case noted-known.written >= writeEvery.Microseconds():
			due = append(due, dueUse{id: id, use: known, at: noted})
		case now.UnixMicro()-noted >= forgetUse.Microseconds():
			delete(u.secrets, id)
		}
	}
	u.full.Store(len(u.secrets) >= maxUses)
	return due
}
