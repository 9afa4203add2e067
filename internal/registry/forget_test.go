package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

// A load that read before the change ends after Forget: its view is not kept, and
// who asks after Forget does not get it.
func TestForgetOvertakesALoad(t *testing.T) {
	t.Parallel()
	s, c := &faultyStore{Store: fixture.NewStore(t)}, fixture.NewClock(start)
	register(t, s, "document-service", "uid-1")
	r := newRegistry(t, s, c, 0)

	entered, leave := s.hold()
	old := make(chan error, 1)
	go func() { _, err := r.Service(t.Context(), "document-service"); old <- err }()
	<-entered // the load has the old row in its hand
	change(t, s, "document-service", func(s *store.Service) { s.Disabled = true })
	r.Forget("document-service")
	if service, err := r.Service(t.Context(), "document-service"); err != nil || !service.Disabled {
		t.Fatalf("after Forget: %+v, %v; want the disabled service", service, err)
	}
	close(leave)
	if err := <-old; err != nil {
		t.Fatal(err)
	}
	if service, err := r.Service(t.Context(), "document-service"); err != nil || !service.Disabled {
		t.Fatalf("the old load brought the old view back: %+v, %v", service, err)
	}
}

func TestForgetOvertakesALoadOfAnUnknownName(t *testing.T) {
	t.Parallel()
	s, c := &faultyStore{Store: fixture.NewStore(t)}, fixture.NewClock(start)
	r := newRegistry(t, s, c, 0)
	entered, leave := s.hold()
	old := make(chan error, 1)
	go func() { _, err := r.Service(t.Context(), "document-service"); old <- err }()
	<-entered
	register(t, s, "document-service", "uid-1")
	r.Forget("document-service")
	close(leave)
	if err := <-old; !errors.Is(err, countersign.NotFound) {
		t.Fatal(err)
	}
	if _, err := r.Service(t.Context(), "document-service"); err != nil {
		t.Fatalf("the service exists, but: %v", err)
	}
}

// Many readers and one writer: after each Forget nobody sees what was before.
func TestForgetRace(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	const services, rounds = 3, 40
	for i := range services {
		register(t, s, fmt.Sprint("service-", i), fmt.Sprint("uid-", i))
	}
	r := newRegistry(t, s, c, 2) // with evictions
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for reader := range 4 {
		readers.Go(func() {
			for i := reader; ctx.Err() == nil; i++ {
				_, _ = r.Service(ctx, fmt.Sprint("service-", i%services))
				_, _ = r.Service(ctx, fmt.Sprint("nobody-", i%100))
			}
		})
	}
	for round := range rounds {
		name := fmt.Sprint("service-", round%services)
		var revision int64
		change(t, s, name, func(s *store.Service) { revision = s.Revision })
		r.Forget(name)
		service, err := r.Service(t.Context(), name)
		if err != nil || service.Revision != revision {
			t.Errorf("revision %v, %v; want %d", service, err, revision)
		}
	}
	cancel()
	readers.Wait()
}
