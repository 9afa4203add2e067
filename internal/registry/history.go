package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// A database that lost its last commits (a failover to a standby that lacked them, a recovery
// to a point in time) gives their numbers anew. Who goes on from a number that meant something
// else would miss what has it now. So each number has a mark, and a poll asks whether the
// newest one that is known here still has its own. If not, everything is read anew, and the
// numbers count in a new epoch, so that whoever follows the feed starts anew too (ADR 9).

// marked is a number and its mark.
type marked struct {
	seq  int64
	mark string
}

// otherThan reports whether a mark tells that the number was given anew. No mark tells
// nothing: a version before gave the number, or nobody remembers it.
func (m marked) otherThan(mark string) bool { return m.mark != "" && mark != "" && m.mark != mark }

// wentBack reports whether a head tells by itself that the numbers were given anew.
func (r *Registry) wentBack(head store.FeedHead) bool {
	return head.Seq < r.position || head.Seq == r.known.seq && r.known.otherThan(head.Mark)
}

// diverged reports whether the newest number that is known here has another mark. Ask after
// what is new was read: whichever server answered that, this one has it or is found out.
func (r *Registry) diverged(ctx context.Context) (bool, error) {
	if !r.shared || r.known.mark == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	mark, err := r.store.Mark(ctx, r.known.seq)
	if err != nil {
		return false, fmt.Errorf("ask for the mark of a number: %w", err)
	}
	if mark != "" {
		return r.known.otherThan(mark), nil
	}
	head, err := r.store.FeedHead(ctx) // the number may not have been given at all
	if err != nil {
		return false, fmt.Errorf("ask for the head again: %w", err)
	}
	return head.Seq < r.known.seq, nil
}

// remember takes a head whose number everything up to was applied.
func (r *Registry) remember(head store.FeedHead) {
	if head.Mark != "" {
		r.known = marked{seq: head.Seq, mark: head.Mark}
	}
}

// restart is resync when the history is another one: first it begins an epoch, unless another
// process has.
func (r *Registry) restart(ctx context.Context, head store.FeedHead, next *poll) error {
	if !r.rewritten {
		r.rewritten = true // until it is done
		r.logger.ErrorContext(ctx, "the database has another history than is known here, as after a recovery or a failover that lost commits: everything is read anew, here and by receivers",
			slog.Int64("known_up_to", r.position), slog.Int64("database_is_at", head.Seq))
	}
	epoch, err := r.beginEpoch(ctx, r.polled.Load().epoch)
	if err != nil {
		return err
	}
	next.epoch = epoch
	return r.resync(ctx, head, epoch)
}

// beginEpoch begins another epoch than was, if that is still the one, and returns which it is
// now. A poll from within a transaction of this process can't have one of its own: it fails
// when its time is over, and the next poll begins the epoch.
func (r *Registry) beginEpoch(ctx context.Context, was string) (epoch string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = r.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.Serialize(ctx); err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		epoch, err = tx.Meta(ctx, metaEpoch)
		if err != nil && !errors.Is(err, countersign.NotFound) {
			return err //nolint:wrapcheck // wrapped below
		}
		if epoch != was {
			return nil
		}
		epoch = rand.Text()
		return tx.SetMeta(ctx, metaEpoch, epoch) //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return "", fmt.Errorf("begin an epoch: %w", err)
	}
	return epoch, nil
}

// FeedPage is what a follower of the feed is told.
type FeedPage struct {
	// Epoch names the count of the numbers.
	Epoch string
	// Since is the number that was asked for, or 0 where that was of another epoch.
	Since int64
	// Entries are the live revocations above Since, complete up to Seq. More: not up to Head.
	Entries []store.Revocation
	Seq     int64
	More    bool
	// Ahead: the number that was asked for is above Head, and there is nothing else in the page.
	// Either another replica was faster, or the numbers were given anew.
	Ahead bool
}

// Page is [Registry.RevocationsSince] for who followed an epoch, in one look.
func (r *Registry) Page(epoch string, since int64, limit int) FeedPage {
	now := r.now()
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	p := FeedPage{Epoch: r.feedEpoch, Since: since}
	if epoch != p.Epoch {
		p.Since = 0
	}
	if p.Ahead = p.Since > r.feed.list.head; p.Ahead {
		return p
	}
	p.Entries, p.Seq, p.More = r.feed.list.since(p.Since, max(limit, 1), now)
	return p
}

// enter puts another list of another epoch in force, and returns which revocations of the
// old one are alive and not in it.
func (r *Registry) enter(anew feedList, epoch string) (lost []store.Revocation) {
	f := &r.feed
	if epoch != r.feedEpoch { // who calls it is the one writer
		lost = missing(f.list.all, anew.all, r.now())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list, r.feedEpoch = anew, epoch
	f.tell()
	return lost
}

// missing returns what of old is alive and not in anew, whatever its number.
func missing(old, anew iter.Seq[store.Revocation], now time.Time) (lost []store.Revocation) {
	has := make(map[store.Revocation]struct{})
	for entry := range anew {
		entry.Seq = 0
		has[entry] = struct{}{}
	}
	for entry := range old {
		entry.Seq = 0
		if _, ok := has[entry]; !ok && (entry.ExpiresAt.IsZero() || entry.ExpiresAt.After(now)) {
			lost = append(lost, entry)
		}
	}
	return lost
}

// all ranges over the entries, ended ones too.
func (l *feedList) all(yield func(store.Revocation) bool) {
	for _, c := range l.chunks {
		for data := c.data; len(data) > 0; {
			var rec record
			rec, data = nextRecord(data)
			if !yield(parseRevocation(rec)) {
				return
			}
		}
	}
}

// Unstored returns those of revs that are alive and not in the feed, whatever their numbers.
func (r *Registry) Unstored(revs []store.Revocation) (left []store.Revocation) {
	r.feed.mu.RLock()
	list := r.feed.list
	r.feed.mu.RUnlock()
	return missing(slices.Values(revs), list.all, r.now())
}
