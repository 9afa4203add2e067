package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newRegistry(tb testing.TB, s store.Store, c *fixture.Clock, maxServices int) *registry.Registry {
	tb.Helper()
	r, err := registry.New(tb.Context(), registry.Config{Store: s, Now: c.Now, MaxServices: maxServices})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func update(tb testing.TB, s store.Store, fn func(ctx context.Context, tx store.Tx) error) {
	tb.Helper()
	if err := s.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

// register stores a service with one secret.
func register(tb testing.TB, s store.Store, name, uid string) {
	tb.Helper()
	update(tb, s, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, store.Service{UID: uid, Name: name, CreatedAt: start}); err != nil {
			return err
		}
		return tx.PutClientSecret(ctx, store.ClientSecret{ID: "secret-" + uid, ServiceUID: uid, Hash: make([]byte, 32), CreatedAt: start})
	})
}

func change(tb testing.TB, s store.Store, name string, fn func(*store.Service)) {
	tb.Helper()
	update(tb, s, func(ctx context.Context, tx store.Tx) error {
		service, err := tx.Service(ctx, name)
		if err != nil {
			return err
		}
		service.Revision++
		fn(&service)
		return tx.UpdateService(ctx, service)
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	closed := fixture.NewStore(t)
	_ = closed.Close()
	for name, test := range map[string]struct {
		cfg  registry.Config
		want countersign.Code
	}{
		"no store":       {registry.Config{}, countersign.Invalid},
		"negative bound": {registry.Config{Store: fixture.NewStore(t), MaxServices: -1}, countersign.Invalid},
		"closed store":   {registry.Config{Store: closed}, countersign.Unavailable},
	} {
		if _, err := registry.New(t.Context(), test.cfg); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestTokenPathMakesNoDatabaseRead(t *testing.T) { //nolint:paralleltest // counts allocations
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)
	if _, err := r.Service(t.Context(), "document-service"); err != nil {
		t.Fatal(err)
	}
	before, ctx := s.Reads(), t.Context()
	allocations := testing.AllocsPerRun(100, func() {
		c.Advance(time.Hour) // a view does not grow old by itself
		service, err := r.Service(ctx, "document-service")
		if err != nil || len(service.Secrets) != 1 {
			t.Fatalf("%v, %v", service, err)
		}
		if revoked, err := r.Revoked(ctx, registry.TokenFacts{JTI: "jti", Service: "document-service", ServiceUID: "uid-1", IssuedAt: c.Now()}); revoked || err != nil {
			t.Fatalf("revoked %v, %v", revoked, err)
		}
		r.Used("document-service", "secret-uid-1", c.Now())
		if from := r.MintFrom(registry.TokenFacts{Service: "document-service", ServiceUID: "uid-1"}); !from.IsZero() {
			t.Fatal(from)
		}
	})
	if reads := s.Reads() - before; reads != 0 {
		t.Errorf("%d database reads for a known service, want 0", reads)
	}
	if allocations != 0 {
		t.Errorf("%v allocations, want 0", allocations)
	}
}

func TestServiceViewHasLiveSecretsOnly(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		hash := make([]byte, 32)
		hash[0] = 7
		return errors.Join(
			tx.PutClientSecret(ctx, store.ClientSecret{ID: "ended", ServiceUID: "uid-1", Hash: hash, CreatedAt: start, ExpiresAt: start}),
			tx.PutClientSecret(ctx, store.ClientSecret{ID: "grace", ServiceUID: "uid-1", Hash: hash, CreatedAt: start.Add(1000), ExpiresAt: start.Add(time.Hour)}),
			tx.PutClientSecret(ctx, store.ClientSecret{ID: "short", ServiceUID: "uid-1", Hash: hash[:31], CreatedAt: start.Add(2000)}),
			tx.PutClientSecret(ctx, store.ClientSecret{ID: "empty", ServiceUID: "uid-1", CreatedAt: start.Add(3000)}))
	})
	service, err := newRegistry(t, s, c, 0).Service(t.Context(), "document-service")
	if err != nil {
		t.Fatal(err)
	}
	if len(service.Secrets) != 2 || service.Secrets[0].ID != "secret-uid-1" || service.Secrets[1].ID != "grace" {
		t.Fatalf("secrets %+v, want the first and the one in grace", service.Secrets)
	}
	if service.Secrets[1].Hash[0] != 7 || !service.Secrets[1].ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", service.Secrets[1])
	}
}

func TestForgetShowsTheChange(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)
	for _, disabled := range []bool{true, false, true} {
		if _, err := r.Service(t.Context(), "document-service"); err != nil {
			t.Fatal(err)
		}
		change(t, s, "document-service", func(s *store.Service) { s.Disabled = disabled })
		r.Forget("document-service")
		if service, err := r.Service(t.Context(), "document-service"); err != nil || service.Disabled != disabled {
			t.Fatalf("%+v, %v; want disabled %v", service, err, disabled)
		}
	}
}

func TestUnknownNamesAreCheap(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	r := newRegistry(t, s, c, 0)
	ask := func(name string, want countersign.Code) int64 {
		t.Helper()
		before := s.Reads()
		if _, err := r.Service(t.Context(), name); !errors.Is(err, want) {
			t.Fatalf("%q: %v, want %v", name, err, want)
		}
		return s.Reads() - before
	}
	if ask("nobody", countersign.NotFound) != 1 || ask("nobody", countersign.NotFound) != 0 {
		t.Error("the second question within a minute reached the database")
	}
	c.Advance(time.Minute)
	if ask("nobody", countersign.NotFound) != 1 {
		t.Error("after a minute the name is asked for again")
	}
	for _, name := range []string{"", "-a", "A", "a b", "a/b", "a'--", "é", string(make([]byte, 64)), "a\x00"} {
		if ask(name, countersign.NotFound) != 0 {
			t.Errorf("%q, which is no name, reached the database", name)
		}
	}
	// A registration is seen at once.
	ask("late", countersign.NotFound)
	register(t, s, "late", "uid-1")
	r.Forget("late")
	if _, err := r.Service(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	// A flood of names neither grows without bound nor hides one that exists.
	for i := range 300 {
		ask(fmt.Sprint("flood-", i), countersign.NotFound)
	}
	if _, err := r.Service(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
}

func TestBoundKeepsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	for i := range 50 {
		register(t, s, fmt.Sprint("service-", i), fmt.Sprint("uid-", i))
	}
	r := newRegistry(t, s, c, 10)
	ask := func(name string) int64 {
		t.Helper()
		before := s.Reads()
		if _, err := r.Service(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return s.Reads() - before
	}
	for i := range 50 {
		ask(fmt.Sprint("service-", i))
		if reads := ask("service-0"); reads != 0 && i > 0 {
			t.Fatalf("after %d others the busy one was read again", i)
		}
	}
	var cached int
	for i := range 50 {
		if r.Cached(fmt.Sprint("service-", i)) {
			cached++
		}
	}
	if cached != 10 {
		t.Errorf("%d services are cached, the bound is 10", cached)
	}
	r.Forget("service-0")
	if ask("service-0") != 2 { // the service and its secrets
		t.Error("a forgotten service was not read again")
	}
}

func TestDatabaseErrorIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	s, c := &faultyStore{Store: fixture.NewStore(t)}, fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)
	s.broken.Store(true)
	if _, err := r.Service(t.Context(), "document-service"); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("%v, want Unavailable", err)
	}
	revoked, err := r.Revoked(t.Context(), registry.TokenFacts{JTI: "jti", Service: "document-service", ServiceUID: "uid-1", IssuedAt: start})
	if !errors.Is(err, countersign.Unavailable) || !revoked {
		t.Fatalf("revoked %v, %v; want true and Unavailable", revoked, err)
	}
	s.broken.Store(false)
	if _, err := r.Service(t.Context(), "document-service"); err != nil {
		t.Fatalf("the error was kept: %v", err)
	}
	s.broken.Store(true) // and a known service needs no database
	if revoked, err := r.Revoked(t.Context(), registry.TokenFacts{JTI: "jti", Service: "document-service", ServiceUID: "uid-1", IssuedAt: start}); revoked || err != nil {
		t.Fatalf("revoked %v, %v", revoked, err)
	}
}

// A load belongs to nobody: who gives up does not spoil it for those who wait.
func TestCancelledCallerDoesNotCancelTheLoad(t *testing.T) {
	t.Parallel()
	s, c := &faultyStore{Store: fixture.NewStore(t)}, fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)
	entered, leave := s.hold()
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := r.Service(ctx, "document-service"); first <- err }()
	<-entered
	go func() { _, err := r.Service(t.Context(), "document-service"); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, want Unavailable that wraps context.Canceled", err)
	}
	close(leave)
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestConcurrentMissesLoadOnce(t *testing.T) {
	t.Parallel()
	s, c := &faultyStore{Store: fixture.NewStore(t)}, fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)
	entered, leave := s.hold()
	before := s.Reads()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := r.Service(t.Context(), "document-service"); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	close(leave)
	group.Wait()
	if reads := s.Reads() - before; reads != 2 {
		t.Errorf("%d reads, want 2: the service and its secrets", reads)
	}
}
