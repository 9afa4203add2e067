package server

import (
	"context"
	"sync"

	"github.com/countersign/countersign/internal/store"
)

// maxOwed is how many revocations one transaction stores: others who change something wait
// for it.
const maxOwed = 200

// owed are revocations that hold in this process and are to be stored: those that the database
// has lost (ADR 9), and those of services that this process served as they were, because it was
// cut off. They are bounded by what was revoked; a stop stores them, and a crash forgets them.
type owed struct {
	mu         sync.Mutex
	lost, late []store.Revocation
	// ahead is how many of late, from its beginning, were stored without their events.
	ahead int
}

func (s *Server) owesLost(revs []store.Revocation) {
	s.owed.mu.Lock()
	defer s.owed.mu.Unlock()
	s.owed.lost = append(s.owed.lost, revs...)
}

func (s *Server) owesLate(revs []store.Revocation) {
	s.owed.mu.Lock()
	defer s.owed.mu.Unlock()
	s.owed.late = append(s.owed.late, revs...)
}

func (o *owed) first(of *[]store.Revocation) []store.Revocation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return (*of)[:min(len(*of), maxOwed)]
}

func (o *owed) drop(of *[]store.Revocation, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if *of = (*of)[n:]; len(*of) == 0 {
		*of = nil
	}
	if of == &o.late {
		o.ahead = max(0, o.ahead-n)
	}
}

// notAhead are the next of late to be stored without their events.
func (o *owed) notAhead() []store.Revocation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.late[o.ahead:min(len(o.late), o.ahead+maxOwed)]
}

func (o *owed) wentAhead(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ahead += n
}

// storeAhead stores what was revoked or is owed while an outage's audit events are still being
// stored: until then no change is possible. It is for maintain alone.
func (s *Server) storeAhead(ctx context.Context) error {
	if err := s.admin.SettleAhead(ctx); err != nil {
		return err
	}
	for {
		batch := s.owed.notAhead()
		if len(batch) == 0 {
			return nil
		}
		stored, err := s.admin.StoreAhead(ctx, batch)
		if err != nil || !stored {
			return err
		}
		s.owed.wentAhead(len(batch))
	}
}

// storeOwed stores them, and keeps what could not be stored for the next time. It is for
// maintain alone, and for Close after it.
func (s *Server) storeOwed(ctx context.Context) error {
	for {
		batch := s.owed.first(&s.owed.late)
		if len(batch) == 0 {
			break
		}
		if err := s.admin.StoreOwed(ctx, batch, "this replica was cut off when the service lost something"); err != nil {
			return err
		}
		s.owed.drop(&s.owed.late, len(batch))
	}
	for {
		batch := s.owed.first(&s.owed.lost)
		if len(batch) == 0 {
			return nil
		}
		// All replicas that knew them owe them: what another one has stored is done.
		if err := s.registry.CatchUp(ctx); err != nil {
			return err
		}
		if left := s.registry.Unstored(batch); len(left) > 0 {
			if err := s.admin.StoreOwed(ctx, left, "the database had lost it"); err != nil {
				return err
			}
		}
		s.owed.drop(&s.owed.lost, len(batch))
	}
}
