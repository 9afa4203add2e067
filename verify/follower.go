package verify

import (
	"context"
	"errors"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// How a feed is followed.
const (
	maxFeedWait  = 25 * time.Second       // how long the server may hold a request
	feedReserve  = 10 * time.Second       // what the rest of an exchange may take
	maxFeedBytes = 4 << 20                // of one page
	minFeedGap   = 200 * time.Millisecond // between two requests, unless there is more
	minBackoff   = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
	firstWait    = 2 * time.Second // what a Verify may wait for the first page
)

var (
	errMediaType = errors.New("the answer is not of type " + FeedMediaType)
	errNoPage    = errors.New("no page of the revocation feed came yet")
	errStale     = errors.New("the revocation feed is stale")
)

// feedPlace is where an issuer's feed is, and the keys that sign it.
type feedPlace struct {
	named     bool // false = the issuer has no feed
	url, jwks string
	err       error // why it can't be used
}

// position is up to where a feed is known. The zero value is: nothing is known.
type position struct {
	epoch string
	seq   int64
	// freshAt is the newest FreshAt of a page after which nothing was missing, in Unix
	// milliseconds.
	freshAt int64
}

// follower follows the feed of one issuer. run is its goroutine; what it alone uses is
// marked so. The rest is safe for concurrent use.
type follower struct {
	issuer     string
	locate     func(context.Context) feedPlace
	keys       KeySource
	client     *http.Client
	now        func() time.Time
	wait       time.Duration // that the server is asked to hold a request for
	maxStale   time.Duration
	limit      int            // of each set
	generation *atomic.Uint64 // goes up after every change of a set

	// sleep and taken are for tests: what waits, and what hears of every attempt.
	sleep func(context.Context, time.Duration)
	taken func(error)

	// set is what is in force, nil until the first whole state came.
	set atomic.Pointer[revocationSet]
	// fresh is the last moment, in Unix milliseconds of our clock, for which the set
	// is known to be the whole truth.
	fresh atomic.Int64
	// absent: the issuer's metadata names no feed.
	absent atomic.Bool
	// received is when the last page was taken, in Unix milliseconds of our clock.
	received atomic.Int64
	round    atomic.Pointer[round] // that runs, or comes next
	ended    <-chan struct{}       // closed when the verifier is
	failure  atomic.Pointer[error] // of the last attempt, nil = none
	// settled is closed when set or absent is there for the first time.
	settled   chan struct{}
	settledBy sync.Once

	// For run alone. building is a state that is not whole yet, begun up to
	// where it is known.
	at, begun position
	building  *revocationSet
}

// round is one attempt, with the pause before it.
type round struct {
	ctx    context.Context
	cancel context.CancelFunc
	// urgent: the server is not asked to hold the request, since somebody waits.
	urgent bool
	// hurried: cancel was called to have an urgent round.
	hurried atomic.Bool
	done    chan struct{}
}

func newRound(ctx context.Context, urgent bool) *round {
	r := &round{urgent: urgent, done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// run follows the feed until ctx ends. The first round is there already.
func (f *follower) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		r := f.round.Load()
		pause, err := f.step(r.ctx, r.urgent)
		r.cancel()
		if ctx.Err() != nil {
			return
		}
		hurried := err != nil && r.hurried.Load()
		switch {
		case hurried:
			pause = 0
		case err == nil:
			failures = 0
			f.received.Store(f.now().UnixMilli())
			f.failure.Store(nil)
		default:
			failures++
			f.failure.Store(&err)
			pause = backoff(failures)
		}
		next := newRound(ctx, hurried)
		f.round.Store(next)
		close(r.done)
		if f.taken != nil && !hurried {
			f.taken(err)
		}
		if pause > 0 {
			f.sleep(next.ctx, pause)
		}
	}
}

// overdue reports whether there was no page for too long though nothing has failed: the
// clock has jumped, as after a sleep of the machine, and the request that is held may
// never be answered.
func (f *follower) overdue(now time.Time) bool {
	return f.failure.Load() == nil && f.set.Load() != nil &&
		now.UnixMilli()-f.received.Load() > f.maxStale.Milliseconds()
}

// hurry gives up a request that is held, so that the server is asked anew at once, and
// waits for the answer until the timer fires or one of the contexts ends.
func (f *follower) hurry(ctx context.Context, now time.Time, timer <-chan time.Time) {
	for f.overdue(now) {
		r := f.round.Load()
		if !r.urgent && r.hurried.CompareAndSwap(false, true) {
			r.cancel()
		}
		select {
		case <-r.done:
		case <-timer:
			return
		case <-ctx.Done():
			return
		case <-f.ended:
			return
		}
	}
}

// step asks once, and says how long to pause before the next time.
func (f *follower) step(ctx context.Context, urgent bool) (pause time.Duration, err error) {
	place := f.locate(ctx)
	if place.named && f.absent.Load() {
		// A server that has learned it: up to now there was nothing to know.
		f.fresh.Store(f.now().UnixMilli())
		f.set.Store(newRevocationSet(f.issuer, f.limit, f.now()))
		f.absent.Store(false)
	}
	switch {
	case place.err != nil:
		return 0, place.err
	case !place.named && f.set.Load() == nil:
		// An older server. It is asked again when what it said has aged.
		f.absent.Store(true)
		f.settle()
		return discoveryAge, nil
	case !place.named:
		return 0, errNoFeed
	}
	asked, began := f.position(), f.now()
	body, err := f.ask(ctx, place.url, asked, urgent)
	if err != nil {
		return 0, err
	}
	now := f.now()
	page, err := f.open(ctx, body, now)
	if err == nil {
		err = f.take(page, asked, now)
	}
	if err != nil {
		return 0, err
	}
	if page.More {
		return 0, nil
	}
	return minFeedGap - min(max(now.Sub(began), 0), minFeedGap), nil
}

// errNoFeed: it was there before, so this is no older server.
var errNoFeed = errors.New("the issuer does not name its revocation feed any more")

// position is up to where the feed is known, or is being read anew.
func (f *follower) position() position {
	if f.building != nil {
		return f.begun
	}
	return f.at
}

// ask sends one request. An If-None-Match is never sent: a 304 is not signed, so it
// could not say that the state is fresh.
func (f *follower) ask(ctx context.Context, where string, asked position, urgent bool) (string, error) {
	u, err := url.Parse(where)
	if err != nil {
		return "", errDocument
	}
	wait := f.wait
	if urgent || f.building != nil || f.at.epoch == "" {
		wait = 0 // nothing to wait for
	}
	query := u.Query()
	query.Set("since", strconv.FormatInt(asked.seq, 10))
	query.Set("wait", wait.String())
	if asked.epoch != "" {
		query.Set("epoch", asked.epoch)
	}
	u.RawQuery = query.Encode()
	body, header, err := egress.Get(ctx, f.client, u.String(), FeedMediaType)
	if err != nil {
		return "", err
	}
	if mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || mediaType != FeedMediaType {
		return "", errMediaType
	}
	return string(body), nil
}

// settle lets go on who waits for the first page.
func (f *follower) settle() { f.settledBy.Do(func() { close(f.settled) }) }

// check reports whether the issuer's tokens may be judged by the set: it is there and it
// is fresh (RULES E4).
func (f *follower) check(now time.Time) error {
	if f.absent.Load() {
		return nil
	}
	cause := errStale
	if f.set.Load() == nil {
		cause = errNoPage
	} else if now.UnixMilli()-f.fresh.Load() <= f.maxStale.Milliseconds() {
		return nil
	}
	if failure := f.failure.Load(); failure != nil {
		cause = errors.Join(cause, *failure)
	}
	return countersign.WrapError(countersign.Unavailable, countersign.ReasonRevocationUnknown, msgRevocations, cause)
}

// backoff returns how long to wait after that many failures in a row: half of it is
// fixed, half random.
func backoff(failures int) time.Duration {
	wait := minBackoff
	for i := 1; i < failures && wait < maxBackoff; i++ {
		wait *= 2
	}
	half := min(wait, maxBackoff) / 2
	return half + time.Duration(rand.Int64N(int64(half)+1)) //nolint:gosec // spreads load, protects nothing
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
