package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// readTimeout bounds one question to the store: a connection that hangs must not end
	// the polling.
	readTimeout = 5 * time.Second
	// pollGap is between two polls, however many hints come.
	pollGap = 20 * time.Millisecond
	// maxGap is below the day after which the store forgets changes: after a longer time
	// without a poll nobody knows what was missed.
	maxGap = 12 * time.Hour

	metaEpoch   = "epoch"
	kindService = "Service"
	kindUser    = "User" // its name is the user's id
)

// Follow keeps the view equal to the store until ctx ends: it polls every Config.Poll,
// and at once when the store gives a hint or this process committed something. Where
// nobody else writes it polls only when poked. Run it once. It returns nil.
func (r *Registry) Follow(ctx context.Context) error {
	var hints <-chan struct{}
	if r.shared {
		hints = r.store.Hints()
		r.Poke() // what came between New and now
		if r.mayHaveChanged(ctx) != nil {
			return nil
		}
	}
	timer := time.NewTimer(r.pollEvery)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if r.shared || r.behind() {
			timer.Reset(r.pollEvery)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-due:
		case <-hints:
		case <-r.poked:
		}
		before := r.behind()
		err := r.Sync(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.tell(ctx, before, err)
		timer.Reset(pollGap)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// mayHaveChanged tells OnChange what it can't know: what came after it had loaded its
// things and before New took the position.
func (r *Registry) mayHaveChanged(ctx context.Context) error {
	if r.onChange == nil {
		return nil
	}
	if err := r.syncing.take(ctx); err != nil {
		return err
	}
	defer r.syncing.give()
	r.onChange(store.Change{Seq: r.position})
	return nil
}

// tell logs when the store is lost and when it is there again.
func (r *Registry) tell(ctx context.Context, before bool, err error) {
	switch {
	case err != nil && !before:
		r.logger.WarnContext(ctx, "the store can't be asked for changes", slog.Any("error", err))
	case err == nil && before:
		r.logger.InfoContext(ctx, "the store answers again, and its changes are known here")
	}
}

// Poke makes Follow poll at once. It does not wait.
func (r *Registry) Poke() {
	select {
	case r.poked <- struct{}{}:
	default: // one is on its way already
	}
}

func (r *Registry) behind() bool { return r.failed.Load() }

// Sync is one poll: it asks the store what is new and applies it. When it returns nil the
// view has everything that was committed before Sync began. Calls wait for each other.
//
// Errors: countersign.Unavailable; what was learned until then is applied.
func (r *Registry) Sync(ctx context.Context) error {
	if err := r.syncing.take(ctx); err != nil {
		return err
	}
	defer r.syncing.give()
	return r.poll(ctx)
}

// CatchUp returns when the view has everything that was committed before the call: at
// once where nobody else writes, else after a poll that began since, whoever made it. Who
// tells somebody that nothing is left to do, because of what the view says, calls it first:
// the view may be of a moment ago, and wrong in either direction.
//
// Errors: countersign.Unavailable, also when ctx ends.
func (r *Registry) CatchUp(ctx context.Context) error {
	if !r.shared {
		return nil
	}
	begun := r.polls.Load()
	if err := r.syncing.take(ctx); err != nil {
		return err
	}
	defer r.syncing.give()
	if r.polled.Load().number > begun {
		return nil // many wait for one
	}
	return r.poll(ctx)
}

// poll is Sync for who has its turn.
func (r *Registry) poll(ctx context.Context) error {
	err := r.sync(ctx)
	r.failed.Store(err != nil)
	r.prune()
	return err
}

// turn is a lock which who waits can give up.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
			"the store is not available", fmt.Errorf("wait for a poll: %w", ctx.Err()))
	}
}

func (t turn) give() { <-t }

func (r *Registry) sync(ctx context.Context) error {
	last := r.polled.Load()
	next, head, err := r.askHead(ctx)
	if err != nil {
		return err
	}
	next.epoch = last.epoch
	moved := head.Seq != r.position
	if r.shared && (moved || r.failed.Load() || last.epoch == "") {
		if next.epoch, err = r.epoch(ctx); err != nil {
			return err
		}
	}
	other := last.epoch != "" && next.epoch != last.epoch // a database that was restored
	missed := next.storeNow.Sub(last.storeNow) > maxGap || age(last.at, next.at) > maxGap
	rewritten := r.rewritten || r.wentBack(head)
	switch {
	case rewritten:
	case r.lost || other || missed:
		err = r.resync(ctx, head, next.epoch)
	case moved:
		err = r.catchUp(ctx, head.Seq)
	}
	if err == nil && moved && !rewritten && !other {
		rewritten, err = r.diverged(ctx)
	}
	if err == nil && rewritten {
		err = r.restart(ctx, head, next)
	}
	if err != nil {
		return err
	}
	if rewritten || other {
		r.known = marked{}
	}
	r.remember(head)
	r.polled.Store(next)
	if r.shared {
		r.overtake(last.at)
		r.missOwn(rewritten || other)
	}
	return nil
}

// begin is the first poll. The position is taken before the revocations are read, so
// that nothing falls between them and the next poll.
func (r *Registry) begin(ctx context.Context) error {
	next, head, err := r.askHead(ctx)
	if err != nil {
		return err
	}
	if next.epoch, err = r.epoch(ctx); err != nil {
		return err
	}
	if err := r.readRevocations(ctx, head.Seq, nil); err != nil {
		return err
	}
	r.position, r.feedEpoch, r.late = head.Seq, next.epoch, late{} // nothing was minted yet
	r.remember(head)
	r.polled.Store(next)
	return nil
}

func (r *Registry) askHead(ctx context.Context) (next *poll, head store.FeedHead, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	number, began := r.polls.Add(1), r.now()
	if head, err = r.store.FeedHead(ctx); err != nil {
		return nil, head, fmt.Errorf("poll the store: %w", err)
	}
	middle := began.Add(r.now().Sub(began) / 2)
	return &poll{number: number, at: began, storeNow: head.Now, skew: head.Now.Sub(middle)}, head, nil
}

func (r *Registry) epoch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	epoch, err := r.store.Meta(ctx, metaEpoch)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return "", fmt.Errorf("read the epoch: %w", err)
	}
	return epoch, nil
}

// catchUp applies what came after the position. It does not go past head, also where there is
// more by now: of that the mark is not known, and so nobody could tell whether it stayed.
func (r *Registry) catchUp(ctx context.Context, head int64) error {
	if err := r.readRevocations(ctx, head, nil); err != nil { // first: they end tokens
		return err
	}
	for r.position < head {
		page, err := r.changes(ctx)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			r.forgetObject(c.Kind, c.Name)
			if r.shared { // else nobody is cut off, and nobody asks for it
				r.late.change(c)
			}
			if r.onChange != nil {
				r.onChange(c)
			}
		}
		r.position = min(page[len(page)-1].Seq, head)
	}
	r.position = max(r.position, head)
	return nil
}

func (r *Registry) changes(ctx context.Context) ([]store.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	page, err := r.store.Changes(ctx, r.position, store.MaxLimit)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	return page, nil
}

// resync starts anew, because what was missed is not known. Revocations that only we
// know stay in force: they end by themselves. Where the epoch is another one the database has
// lost them, and OnLost hears of it.
func (r *Registry) resync(ctx context.Context, head store.FeedHead, epoch string) error {
	r.lost, r.late.anew = true, true // until it is done
	r.forgetAll()
	var anew feedList
	if err := r.readRevocations(ctx, head.Seq, &anew); err != nil {
		return err
	}
	if lost := r.enter(anew, epoch); len(lost) > 0 && r.onLost != nil {
		r.onLost(lost)
	}
	r.position = head.Seq
	r.lost, r.rewritten = false, false
	if r.onChange != nil {
		r.onChange(store.Change{Seq: head.Seq})
	}
	return nil
}

// readRevocations takes the revocations that are alive and newer than those in the list,
// page by page; nil = the feed's own list. The store's numbers are in the order of the
// commits, so the list is complete up to the last one of each page, and up to head after
// the last page. Those past head are in force at once and get into the list by the next poll,
// as in catchUp; where nobody else writes there is no other history, and head may be 0.
func (r *Registry) readRevocations(ctx context.Context, head int64, into *feedList) error {
	alive := r.now().Add(-keepEnded)
	after := r.feed.read()
	if into != nil {
		after = 0
	}
	for more := true; more; {
		page, err := r.revocationPage(ctx, after, alive)
		if err != nil {
			return err
		}
		for _, rev := range page {
			r.revocations.add(rev)
			after = rev.Seq
		}
		more = len(page) == store.MaxLimit
		if n := len(page); r.shared && n > 0 && page[n-1].Seq > head {
			at := slices.IndexFunc(page, func(rev store.Revocation) bool { return rev.Seq > head })
			r.own.add(page[at:]...)
			page, after, more = page[:at], head, false
		}
		if r.shared {
			r.late.revocations(page)
		}
		upTo := after
		if !more {
			upTo = max(upTo, head)
		}
		if into == nil {
			r.feed.extend(page, upTo)
		} else {
			into.extend(page, upTo)
		}
	}
	return nil
}

func (r *Registry) revocationPage(ctx context.Context, after int64, alive time.Time) ([]store.Revocation, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	page, err := r.store.Revocations(ctx, after, alive, store.MaxLimit)
	if err != nil {
		return nil, fmt.Errorf("read the revocations: %w", err)
	}
	return page, nil
}

// prune forgets what has ended. Who calls it holds syncing.
func (r *Registry) prune() {
	now := r.now()
	r.revocations.prune(now)
	if now.Sub(r.feed.pruned) >= pruneEvery {
		r.feed.pruned = now
		r.feed.prune(now)
	}
}
