package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// mayProve decides whether the actor may say how a service proves itself, and so can be it: who
// has not every permission of its tenant must hold its scopes, and opens neither the STS nor our
// own API by it (RULES A7).
func mayProve(actor Actor, s store.Service) error {
	if actor.covers(policy.UserPermissions(), s.Tenant) {
		return nil
	}
	for _, scope := range s.Scopes {
		if !actor.holdsScope(scope) {
			return notHeld(countersign.ReasonScopeNotGranted, "the service has the scope "+scope+", which you don't hold")
		}
	}
	for _, audience := range s.Audiences {
		if policy.SuperAdminAudience(audience) {
			return notHeld(countersign.ReasonAudienceNotGranted, "the service has the audience "+audience+", which you don't hold")
		}
	}
	return nil
}

// mayGrant decides whether the actor may give a service what it has over before; nil = it is
// new (RULES A6, A7). lookup finds the service that an audience names; nil = there is none.
func mayGrant(actor Actor, s store.Service, before *store.Service, lookup func(name string) (*resource.Document, error)) error {
	var scopes, audiences []string
	if before != nil {
		if err := mayProve(actor, *before); err != nil {
			return err
		}
		scopes, audiences = before.Scopes, before.Audiences
	}
	for _, scope := range s.Scopes {
		if !slices.Contains(scopes, scope) && !actor.holdsScope(scope) {
			return notHeld(countersign.ReasonScopeNotGranted, "you may not grant the scope "+scope)
		}
	}
	for _, audience := range s.Audiences {
		ofTenant := audience == s.Name && s.Tenant != "" && !policy.SuperAdminAudience(audience)
		if actor.SuperAdmin || ofTenant || slices.Contains(audiences, audience) {
			continue
		}
		var named *resource.Document
		var err error
		if countersign.ValidName(audience) && audience != s.Name {
			if named, err = lookup(audience); err != nil {
				return err
			}
		}
		if !actor.holdsAudience(audience, s.Tenant, named) {
			return notHeld(countersign.ReasonAudienceNotGranted, "you may not grant the audience "+audience)
		}
	}
	return nil
}

// foreignAudience returns an audience of a tenant's service that names one which is not the
// tenant's, nor the platform's, nor shared with it (RULES A6); "" = there is none. What names no service yet is
// looked at when a token is asked for, as all are.
func foreignAudience(s store.Service, lookup func(name string) (*resource.Document, error)) (string, error) {
	if s.Tenant == "" {
		return "", nil
	}
	for _, audience := range s.Audiences {
		if audience == s.Name || policy.Reserved(audience) || !countersign.ValidName(audience) {
			continue
		}
		named, err := lookup(audience)
		if err != nil {
			return "", err
		}
		if named != nil && named.Tenant != "" && named.Tenant != s.Tenant && !slices.Contains(named.SharedWith(), s.Tenant) {
			return audience, nil
		}
	}
	return "", nil
}

// serviceNamed is a lookup of mayGrant.
func serviceNamed(ctx context.Context, in reads) func(name string) (*resource.Document, error) {
	return func(name string) (*resource.Document, error) {
		found, err := find(ctx, in, resource.KindService, name)
		if errors.Is(err, countersign.NotFound) {
			return nil, nil //nolint:nilnil // that there is none is an answer
		}
		if err != nil {
			return nil, err
		}
		return found.document, nil
	}
}

// serviceNamed is a lookup of mayGrant: what there will be.
func (p *plan) serviceNamed(ctx context.Context) func(name string) (*resource.Document, error) {
	return func(name string) (*resource.Document, error) {
		return p.target(ctx, reference{resource.KindService, name, "audiences"})
	}
}

// checkGrants refuses documents that grant what the actor does not hold (RULES A7).
func (p *plan) checkGrants(ctx context.Context) error {
	if p.actor.SuperAdmin || p.request.FromConfig {
		return nil
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.document == nil || s.told.Action == ApplyUnchanged {
			continue
		}
		if err := p.checkGrant(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) checkGrant(ctx context.Context, s *step) error {
	d := s.document
	switch {
	case d.Service != nil:
		row := store.Service{Name: d.Name, Tenant: d.Tenant, Scopes: d.Service.Scopes, Audiences: d.Service.Audiences}
		var before *store.Service
		if s.old != nil {
			before = s.old.service
		}
		return mayGrant(p.actor, row, before, p.serviceNamed(ctx))
	case d.UserRole != nil:
		permissions := d.UserRole.Permissions
		if s.old != nil { // who takes away must hold it too
			permissions = slices.Concat(permissions, s.old.document.UserRole.Permissions)
		}
		if !p.actor.covers(permissions, d.Tenant) {
			return notHeld(countersign.ReasonNotHeld, d.Problem("permissions", "you hold not all of these permissions there").String())
		}
	case d.Issuer != nil:
		return p.checkAssertions(ctx, s)
	}
	return nil
}

// userRole is a user role; nil = there is none.
func userRole(ctx context.Context, in reads, name string) (*registry.UserRole, error) {
	if permissions, built := policy.BuiltInRole(name); built {
		return &registry.UserRole{Name: name, Permissions: permissions}, nil
	}
	if !countersign.ValidName(name) {
		return nil, nil //nolint:nilnil // that there is none is an answer
	}
	found, err := find(ctx, in, resource.KindUserRole, name)
	if errors.Is(err, countersign.NotFound) {
		return nil, nil //nolint:nilnil // that there is none is an answer
	}
	if err != nil {
		return nil, err
	}
	return &registry.UserRole{Name: name, Tenant: found.document.Tenant, Permissions: found.document.UserRole.Permissions}, nil
}

// userRole is a user role as it will be; nil = there is none.
func (p *plan) userRole(ctx context.Context, name string) (*registry.UserRole, error) {
	if permissions, built := policy.BuiltInRole(name); built {
		return &registry.UserRole{Name: name, Permissions: permissions}, nil
	}
	found, err := p.target(ctx, reference{resource.KindUserRole, name, ""})
	if found == nil || err != nil {
		return nil, err
	}
	return &registry.UserRole{Name: name, Tenant: found.Tenant, Permissions: found.UserRole.Permissions}, nil
}
