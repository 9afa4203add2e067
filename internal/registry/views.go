package registry

import (
	"context"
	"errors"
	"sync"

	"github.com/countersign/countersign"
)

// views holds compiled objects of one kind by their name, until they change, and the names
// that were unknown a moment ago. The zero value is empty.
type views[T any] struct {
	mu      sync.RWMutex
	held    map[string]*T
	unknown unknownNames
	version int // grows with each change: what was read before it is not kept
}

// maxViews bounds what is held of each kind; another one then takes the place of any.
const maxViews = 20_000

// view returns what is held under a name, or what read finds. unknown is the error for a
// name that there is none of.
//
// Errors: unknown, and those of read.
func view[T any](ctx context.Context, r *Registry, s *views[T], name string, unknown error, read func(ctx context.Context, name string) (*T, error)) (*T, error) {
	if r.stale() {
		return nil, errStale
	}
	s.mu.RLock()
	held, version, isUnknown := s.held[name], s.version, s.unknown.has(name, r.now())
	s.mu.RUnlock()
	switch {
	case held != nil:
		return held, nil
	case isUnknown:
		return nil, unknown
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	fresh, err := read(ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, countersign.NotFound):
		if s.version == version {
			s.unknown.max = maxUnknown
			s.unknown.add(name, r.now())
		}
		return nil, unknown
	case err != nil:
		return nil, err
	case s.version == version:
		s.keep(name, fresh)
	}
	return fresh, nil
}

// keep is called with the lock held.
func (s *views[T]) keep(name string, fresh *T) {
	if s.held == nil {
		s.held = make(map[string]*T)
	}
	if len(s.held) >= maxViews {
		for other := range s.held {
			delete(s.held, other)
			break
		}
	}
	s.held[name] = fresh
}

func (s *views[T]) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.unknown.drop(name)
	delete(s.held, name)
}

func (s *views[T]) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.unknown.young, s.unknown.old = nil, nil
	s.held = nil
}
