package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
)

// loadTimeout ends a load that nobody may be waiting for any more.
const loadTimeout = 10 * time.Second

// errUnknown is shared: it holds nothing of the request.
var errUnknown = countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such service")

// missed is the way of a name that is not cached.
func (r *Registry) missed(ctx context.Context, s *shard, hash uint64, name string) (*Service, error) {
	// What can't be a name needs no database to be unknown.
	if !countersign.ValidName(name) || s.isUnknown(name, r.now()) {
		return nil, errUnknown
	}
	// One load at a time for a name. It is nobody's own: it goes on when the request
	// that began it is given up.
	loading := r.loads.Load().DoChan(name, func() (any, error) {
		loadCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return r.load(loadCtx, s, hash, name)
	})
	select {
	case done := <-loading:
		if done.Err != nil {
			return nil, done.Err
		}
		return done.Val.(*Service), nil
	case <-ctx.Done():
		return nil, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
			"the store is not available", fmt.Errorf("load a service: %w", ctx.Err()))
	}
}

// load reads a service and keeps what it found, unless Forget came in between.
func (r *Registry) load(ctx context.Context, s *shard, hash uint64, name string) (*Service, error) {
	load := s.begin(name)
	defer s.end(name, load)
	// Another load may have ended between the caller's look and this one's beginning.
	if service := s.service(hash, name); service != nil {
		return service, nil
	}
	row, err := r.store.Service(ctx, name)
	if errors.Is(err, countersign.NotFound) {
		s.keepUnknown(name, load, r.now())
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("load a service: %w", err)
	}
	secrets, err := r.store.ClientSecrets(ctx, row.UID)
	if err != nil {
		return nil, fmt.Errorf("load client secrets: %w", err)
	}
	record := pack(row, secrets, r.now())
	made := r.lists.unpack(record)
	s.keep(load, hash, record, made)
	return &made.view, nil
}
