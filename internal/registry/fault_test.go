package registry_test

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// faultyStore is a real store whose reads of services can fail or be held up.
type faultyStore struct {
	store.Store
	broken atomic.Bool

	mu      sync.Mutex
	entered chan struct{}
	leave   chan struct{}
}

// hold makes the next read of a service wait, after it has read, until leave is
// closed; entered is closed when it has read.
func (s *faultyStore) hold() (entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered, s.leave = make(chan struct{}), make(chan struct{})
	return s.entered, s.leave
}

func (s *faultyStore) Service(ctx context.Context, name string) (store.Service, error) {
	if s.broken.Load() {
		return store.Service{}, countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "")
	}
	service, err := s.Store.Service(ctx, name)
	s.mu.Lock()
	entered, leave := s.entered, s.leave
	s.entered, s.leave = nil, nil
	s.mu.Unlock()
	if entered != nil {
		close(entered)
		<-leave
	}
	return service, err
}
