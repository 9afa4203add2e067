package registry_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// Follow needs no help: what A commits is seen at B, and it ends with its context.
func TestRuleE2Follow(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2, func(cfg *registry.Config) { cfg.Poll = time.Millisecond })
	a, b := both[0], both[1]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Follow(ctx) }()
	for i := range 3 {
		news := b.Watch()
		rev := put(t, a.store, store.Revocation{Service: "a", Before: start.Add(time.Duration(i) * time.Second), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
		<-news
		if entries, _, _ := b.RevocationsSince(rev.Seq-1, 10); len(entries) != 1 || entries[0] != rev {
			t.Errorf("%+v, want %+v", entries, rev)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Own commits are polled at once, however long the pause is.
func TestRuleE2OwnCommitPokes(t *testing.T) {
	t.Parallel()
	a := replicas(t, fixture.NewClock(start), 1, func(cfg *registry.Config) { cfg.Poll = time.Hour })[0]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Follow(ctx) }()
	for i := range 3 {
		news := a.Watch()
		commit(t, a.store, a.Registry, store.Revocation{Service: "a", Before: start.Add(time.Duration(i) * time.Second), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
		<-news
	}
	cancel()
	<-ended
}

// What was loaded before New may be old when Follow begins: it says so.
func TestRuleE2FollowBeginsWithAnything(t *testing.T) {
	t.Parallel()
	told := make(chan store.Change, 10)
	a := replicas(t, fixture.NewClock(start), 1, func(cfg *registry.Config) {
		cfg.OnChange = func(c store.Change) { told <- c }
	})[0]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Follow(ctx) }()
	if c := <-told; c.Kind != "" || c.Name != "" {
		t.Errorf("%+v", c)
	}
	cancel()
	<-ended
}

// The operator hears once that the store is lost, and once that it is back.
func TestFollowTellsOfAnOutage(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	b := replicas(t, fixture.NewClock(start), 1, func(cfg *registry.Config) {
		cfg.Poll, cfg.Logger = time.Millisecond, log.Logger(slog.LevelInfo)
	})[0]
	b.store.broken.Store(true)
	polls := make(chan struct{}, 1)
	b.store.onFault = func() {
		select {
		case polls <- struct{}{}:
		default:
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Follow(ctx) }()
	for range 3 {
		<-polls
	}
	news := b.Watch()
	put(t, b.store, store.Revocation{JTI: "jti", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	b.store.broken.Store(false)
	<-news
	cancel()
	<-ended
	if lost := strings.Count(log.String(), `"level":"WARN"`); lost != 1 {
		t.Errorf("told %d times that the store is lost:\n%s", lost, log.String())
	}
}

// Where nobody else writes a revocation that could not be read back gets into the feed later.
func TestFollowRepeatsAPullThatFailed(t *testing.T) {
	t.Parallel()
	s := &faultyStore{Store: fixture.NewStore(t)}
	register(t, s, "a", "uid-a")
	r, err := registry.New(t.Context(), registry.Config{Store: s, Now: fixture.NewClock(start).Now, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	news := r.Watch()
	s.failRevocations.Store(true)
	commit(t, s, r, store.Revocation{JTI: "jti", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	if !revoked(t, r, "jti", "a", "uid-a", start) {
		t.Error("it does not hold")
	}
	if entries, _, _ := r.RevocationsSince(0, 10); len(entries) != 0 {
		t.Errorf("%+v", entries)
	}
	s.failRevocations.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Follow(ctx) }()
	<-news
	cancel()
	<-ended
}

func TestRuleE2WhereNobodyElseWritesFollowReadsNothing(t *testing.T) {
	t.Parallel()
	s := fixture.NewStore(t)
	r, err := registry.New(t.Context(), registry.Config{Store: s, Now: fixture.NewClock(start).Now, Poll: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	before := s.Reads()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Follow(ctx) }()
	r.Forget("a")
	cancel()
	if err := <-ended; err != nil || s.Reads() != before {
		t.Errorf("%v, %d reads", err, s.Reads()-before)
	}
}
