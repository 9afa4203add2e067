package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// faultyStore is a real store that can fail, or be held up, or be cut off from what
// others do.
type faultyStore struct {
	store.Store
	broken atomic.Bool // no read answers, and no lease
	silent atomic.Bool // changes are forgotten before anybody reads them
	// failRevocations: only they can't be read.
	failRevocations atomic.Bool

	mu      sync.Mutex
	entered chan struct{}
	leave   chan struct{}
	// beforeChanges, if set, runs before each read of changes; onFault at each fault.
	beforeChanges, onFault func()
}

// hold makes the next read of a service wait, after it has read, until leave is
// closed; entered is closed when it has read.
func (s *faultyStore) hold() (entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered, s.leave = make(chan struct{}), make(chan struct{})
	return s.entered, s.leave
}

func (s *faultyStore) fault() error {
	if s.broken.Load() {
		if s.onFault != nil {
			s.onFault()
		}
		return countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "")
	}
	return nil
}

func (s *faultyStore) Service(ctx context.Context, name string) (store.Service, error) {
	if err := s.fault(); err != nil {
		return store.Service{}, err
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

func (s *faultyStore) FeedHead(ctx context.Context) (store.FeedHead, error) {
	if err := s.fault(); err != nil {
		return store.FeedHead{}, err
	}
	return s.Store.FeedHead(ctx)
}

func (s *faultyStore) Changes(ctx context.Context, after int64, limit int) ([]store.Change, error) {
	if s.beforeChanges != nil {
		s.beforeChanges()
	}
	if err := s.fault(); err != nil || s.silent.Load() {
		return nil, err
	}
	return s.Store.Changes(ctx, after, limit)
}

func (s *faultyStore) Revocations(ctx context.Context, after int64, alive time.Time, limit int) ([]store.Revocation, error) {
	if err := s.fault(); err != nil || s.failRevocations.Load() {
		return nil, errors.Join(err, countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, ""))
	}
	return s.Store.Revocations(ctx, after, alive, limit)
}

func (s *faultyStore) LeaseQuota(ctx context.Context, uid string, window time.Time, want, limit int64) (int64, error) {
	if err := s.fault(); err != nil {
		return 0, err
	}
	return s.Store.LeaseQuota(context.WithoutCancel(ctx), uid, window, want, limit) // a busy machine is no outage
}
