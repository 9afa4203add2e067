package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// maxRoles bounds the roles that are held compiled; another one then takes the place of any.
const maxRoles = 10_000

// Role is a role as it is now, compiled. Shared: never change one.
type Role struct {
	UID, Name, Tenant  string
	Revision           int64
	MaxSessionDuration time.Duration
	Trust              []trust.Statement
	Permissions        policy.Permissions
	// SharedWith are the other tenants whose buckets may name it in allowed_roles.
	SharedWith []string
	// Broker is where real credentials come from instead of ours; nil = ours.
	Broker *resource.AWSBroker
}

// TrustsStill reports whether the role has a trust statement with that fingerprint: a
// session ends with the statement that proved it (RULES A5).
func (r *Role) TrustsStill(fingerprint string) bool {
	return slices.ContainsFunc(r.Trust, func(s trust.Statement) bool { return s.Fingerprint() == fingerprint })
}

// roles holds the roles that were asked for, until they change. The zero value is empty.
type roles struct {
	mu      sync.RWMutex
	held    map[string]*Role
	unknown unknownNames
	version int // grows with each change: what was read before it is not kept
}

// Role returns the role of that name; a held one without a database read.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (r *Registry) Role(ctx context.Context, name string) (*Role, error) {
	if r.stale() {
		return nil, errStale
	}
	s := &r.roles
	s.mu.RLock()
	role, version, unknown := s.held[name], s.version, s.unknown.has(name, r.now())
	s.mu.RUnlock()
	switch {
	case role != nil:
		return role, nil
	case unknown || !countersign.ValidName(name):
		return nil, errRoleUnknown
	}
	role, err := readRole(ctx, r.store, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, countersign.NotFound):
		if s.version == version {
			s.unknown.max = maxUnknown
			s.unknown.add(name, r.now())
		}
		return nil, errRoleUnknown
	case err != nil:
		return nil, err
	case s.version == version:
		s.keep(role)
	}
	return role, nil
}

// keep is called with the lock held.
func (s *roles) keep(role *Role) {
	if s.held == nil {
		s.held = make(map[string]*Role)
	}
	if len(s.held) >= maxRoles {
		for name := range s.held {
			delete(s.held, name)
			break
		}
	}
	s.held[role.Name] = role
}

func (s *roles) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.unknown.drop(name)
	delete(s.held, name)
}

func (s *roles) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.unknown.young, s.unknown.old = nil, nil
	s.held = nil
}

var errRoleUnknown = countersign.NewError(countersign.NotFound, countersign.ReasonRoleUnknown, "there is no such role")

// readRole reads and compiles a role. One that does not compile can't be assumed: it was
// saved by a version that knew more.
func readRole(ctx context.Context, from store.Objects, name string) (*Role, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	row, err := from.Object(ctx, resource.KindRole, name)
	if err != nil {
		return nil, fmt.Errorf("read role: %w", err)
	}
	document, err := resource.FromSpec(row.Kind, row.Name, row.Tenant, row.Spec)
	if err != nil {
		return nil, fmt.Errorf("read role %s: %w", row.Name, err)
	}
	role := &Role{
		UID: row.UID, Name: row.Name, Tenant: row.Tenant, Revision: row.Revision,
		MaxSessionDuration: time.Duration(document.Role.MaxSessionDuration), SharedWith: document.Role.SharedWith,
	}
	if role.MaxSessionDuration == 0 {
		role.MaxSessionDuration = time.Hour
	}
	if document.Role.Broker != nil {
		role.Broker = document.Role.Broker.AWS
	}
	if role.Trust, err = compileTrust(document.Role.Trust); err != nil {
		return nil, fmt.Errorf("compile the trust of role %s: %w", row.Name, err)
	}
	if role.Permissions, err = policy.CompilePermissions(permissionsOf(document.Role.Permissions)); err != nil {
		return nil, fmt.Errorf("compile the permissions of role %s: %w", row.Name, err)
	}
	return role, nil
}

func permissionsOf(list []resource.Permission) []policy.Permission {
	made := make([]policy.Permission, 0, len(list))
	for _, p := range list {
		made = append(made, policy.Permission(p))
	}
	return made
}
