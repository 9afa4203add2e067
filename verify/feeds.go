package verify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/egress"
)

// defaultMaxStaleness is Config.MaxStaleness where it is 0.
const defaultMaxStaleness = 10 * time.Minute

// feeds owns the followers of a verifier: one goroutine each, from the first token of a
// configured issuer until close.
type feeds struct {
	followers []*follower
	// generation counts the changes of all sets. A token that was found not to be
	// revoked stays so until it moves.
	generation atomic.Uint64
	ctx        context.Context // ends with the verifier
	patience   time.Duration   // that a Verify has for the first page, from the start on
	longing    time.Duration   // that one has for a page that is overdue

	started   atomic.Bool
	impatient chan struct{} // closed when patience has run out

	mu     sync.Mutex
	closed bool
	timer  *time.Timer
	wg     sync.WaitGroup
}

func newFeeds(ctx context.Context) *feeds {
	fs := &feeds{ctx: ctx, patience: firstWait, longing: firstWait, impatient: make(chan struct{})}
	fs.generation.Store(1) // so that 0 is a token that was never looked at
	return fs
}

// isFollowed reports whether an issuer's feed is to be followed, if it has one.
func isFollowed(cfg *issuer) bool {
	return cfg.Profile == Countersign && !cfg.IgnoreRevocations &&
		(cfg.RevocationsURL != "" || cfg.Keys == nil && cfg.JWKSURL == "")
}

// follow adds the follower of an issuer, or finds the one that is there. It is called by
// New only.
func (fs *feeds) follow(cfg Issuer, m *remotes, maxStale time.Duration) *follower {
	d := m.discovery(cfg)
	place := feedPlace{named: true, url: cfg.RevocationsURL, jwks: cfg.RevocationsJWKSURL}
	locate := func(context.Context) feedPlace { return place }
	if cfg.RevocationsURL == "" {
		locate = discovered(d)
	}
	id := remoteID{
		issuer: cfg.URL, jwksURL: cfg.JWKSURL, allowPrivate: cfg.AllowPrivateAddresses,
		feed: true, feedURL: cfg.RevocationsURL, feedJWKS: cfg.RevocationsJWKSURL,
	}
	keys := m.set(id, func(ctx context.Context) (*keySet, time.Duration, error) {
		found := locate(ctx)
		if found.err != nil {
			return nil, 0, found.err
		}
		return d.keys(ctx, found.jwks)
	})
	for _, f := range fs.followers {
		if f.keys == KeySource(keys) {
			return f
		}
	}
	wait := min(maxFeedWait, maxStale/2) // so that an answer comes before the last one is stale
	f := &follower{
		issuer: cfg.URL, locate: locate, keys: keys, now: m.now, wait: wait, maxStale: maxStale, limit: maxRevocations,
		client: egress.New(egress.Config{
			AllowPrivateAddresses: cfg.AllowPrivateAddresses, RootCAs: m.roots,
			Timeout: wait + feedReserve, MaxBodyBytes: maxFeedBytes,
		}),
		generation: &fs.generation, sleep: sleep, ended: fs.ctx.Done(), settled: make(chan struct{}),
	}
	fs.followers = append(fs.followers, f)
	return f
}

// discovered returns a locate that goes by the issuer's metadata. A feed that was named
// once goes on being asked for where it was: in an upgrade old servers answer too, and a
// server that has lost its feed has not become one that never had it.
func discovered(d *discovery) func(context.Context) feedPlace {
	var last atomic.Pointer[feedPlace]
	return func(ctx context.Context) feedPlace {
		found, err := d.locate(ctx)
		switch {
		case err != nil:
			return feedPlace{err: err}
		case found.feed.named && found.feed.err == nil:
			last.Store(&found.feed)
		case !found.feed.named && last.Load() != nil:
			return *last.Load()
		}
		return found.feed
	}
}

// start starts the followers, once.
func (fs *feeds) start() {
	if fs.started.Load() {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed || fs.started.Load() || len(fs.followers) == 0 {
		return
	}
	for _, f := range fs.followers {
		f.round.Store(newRound(fs.ctx, false))
		fs.wg.Go(func() { f.run(fs.ctx) })
	}
	fs.timer = time.AfterFunc(fs.patience, func() { close(fs.impatient) })
	fs.started.Store(true)
}

// close ends the followers and waits for them; their context has ended before.
func (fs *feeds) close() {
	fs.mu.Lock()
	fs.closed = true
	if fs.timer != nil {
		fs.timer.Stop()
	}
	fs.mu.Unlock()
	fs.wg.Wait()
	for _, f := range fs.followers {
		f.client.CloseIdleConnections()
	}
}

// await waits for the first word of a feed, as long as there is patience.
func (fs *feeds) await(ctx context.Context, f *follower) {
	select {
	case <-f.settled:
		return
	default:
	}
	select {
	case <-f.settled:
	case <-fs.impatient:
	case <-fs.ctx.Done():
	case <-ctx.Done():
	}
}

// check refuses a revoked token, and one of which that can't be told: of an issuer whose
// feed is stale. What other feeds say of it counts as far as it is known.
func (fs *feeds) check(ctx context.Context, e *entry, now time.Time) error {
	for _, f := range fs.followers {
		fs.await(ctx, f)
	}
	if f := e.issuer.follower; f != nil {
		if err := fs.checkFresh(ctx, f, now); err != nil {
			return err
		}
	}
	generation := fs.generation.Load() // before the look: a change in between is looked at again
	if e.unrevoked.Load() == generation {
		return nil
	}
	for _, f := range fs.followers {
		if set := f.set.Load(); set != nil && set.covers(e.token, now) {
			return errRevoked
		}
	}
	e.unrevoked.Store(generation)
	return nil
}

// checkFresh reports whether a feed is fresh enough to go by. Where it is only our clock
// that has moved, there is a page to wait for.
func (fs *feeds) checkFresh(ctx context.Context, f *follower, now time.Time) error {
	err := f.check(now)
	if err == nil || fs.longing <= 0 || !f.overdue(now) {
		return err
	}
	timer := time.NewTimer(fs.longing)
	defer timer.Stop()
	f.hurry(ctx, now, timer.C)
	return f.check(now)
}
