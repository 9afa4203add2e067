package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

const (
	// settleEvery is how soon a revocation that could not be stored is tried again.
	settleEvery = time.Second
	// maintainEvery is how often the schedule of the keys is looked at: keys are made a
	// whole period ahead, so minutes don't matter.
	maintainEvery = time.Minute
	// maxSkew is how far the store's clock may be off ours (RULES E3).
	maxSkew = time.Second
)

// changed is told of every change that this process or another one made.
func (s *Server) changed(c store.Change) {
	if c.Kind == "" || c.Kind == resource.KindRoutePolicy {
		s.iam.PoliciesChanged()
	}
	if c.Kind == "" || c.Kind == "SigningKey" {
		s.staleKeys.Store(true)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// maintain keeps what this process does by itself: it stores late revocations, takes over
// the keys that another replica made, and makes those that are due.
func (s *Server) maintain(ctx context.Context) error {
	settle, due := time.NewTicker(settleEvery), time.NewTicker(maintainEvery)
	defer settle.Stop()
	defer due.Stop()
	s.maintainKeys(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-settle.C:
			s.complain(ctx, "a revocation could not be stored ahead of an outage's events yet", s.storeAhead(ctx))
			s.complain(ctx, "a revocation that holds here could not be stored yet", s.admin.Settle(ctx))
			s.complain(ctx, "revocations that hold here and that the database lacks could not be stored yet", s.storeOwed(ctx))
		case <-due.C:
			s.maintainKeys(ctx)
		}
		s.reloadKeys(ctx)
	}
}

// reloadKeys takes over what changed; what fails is tried again a second later.
func (s *Server) reloadKeys(ctx context.Context) {
	if !s.staleKeys.CompareAndSwap(true, false) {
		return
	}
	if err := s.keys.Reload(ctx); err != nil {
		s.staleKeys.Store(true)
		s.complain(ctx, "the signing keys could not be read again", err)
	}
}

func (s *Server) maintainKeys(ctx context.Context) {
	s.complain(ctx, "the next signing key could not be made", s.admin.MaintainKeys(ctx))
}

// complainEvery is how often the same trouble is told of.
const complainEvery = time.Minute

// complain is for maintain alone.
func (s *Server) complain(ctx context.Context, what string, err error) {
	now := s.now()
	if err == nil || errors.Is(err, context.Canceled) || now.Sub(s.complained[what]).Abs() < complainEvery {
		return
	}
	s.complained[what] = now
	s.logger.WarnContext(ctx, what, slog.Any("error", err))
}

// storeReady: a replica that has lost its database serves with what it knows, and takes
// itself out only when that is too old (RULES E4). The embedded database is never lost
// without the disk.
func (s *Server) storeReady(ctx context.Context) (state, error) {
	if !s.shared() {
		return healthy, s.store.Ping(ctx)
	}
	_, degradedNow, stale := s.registry.Fresh()
	switch {
	case stale:
		return healthy, countersign.NewError(countersign.Unavailable, countersign.ReasonStale, "the database is away for too long")
	case degradedNow || s.audit.Degraded():
		return degraded, nil
	}
	return healthy, nil
}

// clockReady: a replica whose clock is off would mint and revoke by another time than the
// others (RULES E3).
func (s *Server) clockReady(context.Context) (state, error) {
	if skew := s.registry.Skew(); skew.Abs() > maxSkew {
		return healthy, countersign.NewError(countersign.Unavailable, "", "the clock is off the store's by "+skew.String())
	}
	return healthy, nil
}
