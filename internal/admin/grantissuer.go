package admin

import (
	"context"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// checkAssertions: who writes an issuer says whose keys are believed, and so can be everybody
// of whom it speaks, also where nothing of what it may assert is new. So all of that must be
// held, before and after; and an issuer that another one's documents name already stays
// theirs (RULES A6, A7).
func (p *plan) checkAssertions(ctx context.Context, s *step) error {
	d := s.document
	var before resource.MayAssert
	if s.old != nil {
		before = s.old.document.Issuer.MayAssert
	}
	if err := p.checkPlatformIssuer(s, before.Tenants); err != nil {
		return err
	}
	if err := p.holdsAssertions(ctx, d, before); err != nil {
		return err
	}
	taken := false
	err := all(ctx, p.in, resource.KindIssuer, func(r *row) {
		taken = taken || r.document.Issuer.URL == d.Issuer.URL && r.document.Name != d.Name && p.actor.mayWrite(r.target()) != nil
	})
	if err != nil {
		return describe(err)
	}
	if taken {
		p.problems.Add(d.Problem("url", "this issuer is known already: its users and services are not yours to prove"))
		return p.problems.Err() // package lint would name the other one
	}
	return p.holdsUsers(ctx, s)
}

// checkPlatformIssuer: a user of an issuer of the platform can be anybody, a super-admin too,
// and in every tenant that it may assert.
func (p *plan) checkPlatformIssuer(s *step, before []string) error {
	d := s.document
	switch {
	case d.Tenant != "":
	case d.Issuer.Subject == trust.SubjectUser, s.old != nil && s.old.document.Issuer.Subject == trust.SubjectUser:
		return notHeld(countersign.ReasonNotHeld, d.Problem("subject", "only a super-admin says who proves the platform's users").String())
	case slices.ContainsFunc(d.Issuer.MayAssert.Tenants, func(t string) bool { return !slices.Contains(before, t) }):
		return notHeld(countersign.ReasonNotHeld, d.Problem("may_assert.tenants", "only a super-admin lets an issuer speak for tenants").String())
	}
	return nil
}

// holdsAssertions refuses roles and scopes that the actor does not hold. A role that was named
// before and is none any more says nothing.
func (p *plan) holdsAssertions(ctx context.Context, d *resource.Document, before resource.MayAssert) error {
	notRole := func(name string) error {
		return notHeld(countersign.ReasonNotHeld, d.Problem("may_assert.roles", "you don't hold the role "+name+" there").String())
	}
	for upstream, name := range d.Issuer.MayAssert.Roles {
		if before.Roles[upstream] == name {
			continue
		}
		role, err := p.userRole(ctx, name)
		if err != nil {
			return err
		}
		if role == nil {
			return notRole(name)
		}
	}
	for _, said := range []resource.MayAssert{before, d.Issuer.MayAssert} {
		for _, name := range said.Roles {
			held, err := p.holdsRole(ctx, name, d.Tenant)
			if err != nil {
				return err
			}
			if !held {
				return notRole(name)
			}
		}
		for _, scope := range said.Scopes {
			if !p.actor.holdsScope(scope) {
				return notHeld(countersign.ReasonScopeNotGranted, d.Problem("may_assert.scopes", "you may not grant the scope "+scope).String())
			}
		}
	}
	return nil
}

// holdsRole reports whether the actor holds all of a role in a tenant; there is nothing of one
// that is not there.
func (p *plan) holdsRole(ctx context.Context, name, tenant string) (bool, error) {
	role, err := p.userRole(ctx, name)
	return err == nil && (role == nil || p.actor.covers(role.Permissions, tenant)), err
}

// holdsUsers refuses an issuer whose users were given more in its tenant than the actor has.
func (p *plan) holdsUsers(ctx context.Context, s *step) error {
	d := s.document
	if p.actor.covers(policy.UserPermissions(), d.Tenant) {
		return nil
	}
	urls := []string{d.Issuer.URL}
	if s.old != nil {
		urls = append(urls, s.old.document.Issuer.URL)
	}
	for page := (store.Page{Limit: store.MaxLimit}); ; {
		users, err := p.in.TenantUsers(ctx, d.Tenant, page)
		if err != nil {
			return describe(err)
		}
		for _, u := range users {
			page.After = u.ID
			if !slices.Contains(urls, u.Issuer) {
				continue
			}
			for _, name := range u.Roles {
				held, err := p.holdsRole(ctx, name, d.Tenant)
				if err != nil {
					return err
				}
				if !held {
					return notHeld(countersign.ReasonNotHeld, d.Problem("url", "its users hold more than you do").String())
				}
			}
		}
		if len(users) < store.MaxLimit {
			return nil
		}
	}
}
