package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// reference is where a document names another object.
type reference struct {
	kind, name string
	path       string
}

// referencesOf returns what a document refers to by its name. What a pattern of names
// matches is for each decision to say.
func referencesOf(d *resource.Document) (found []reference) {
	if d.RoutePolicy != nil {
		found = append(found, reference{resource.KindService, d.RoutePolicy.Service, "service"})
	}
	if d.Role != nil {
		for i, p := range d.Role.Permissions {
			if countersign.ValidName(p.Bucket) { // else a template, or a name that no bucket of ours has
				found = append(found, reference{resource.KindBucket, p.Bucket, fmt.Sprintf("permissions[%d].bucket", i)})
			}
		}
	}
	if d.Bucket != nil {
		for i, name := range d.Bucket.AllowedRoles {
			found = append(found, reference{resource.KindRole, name, fmt.Sprintf("allowed_roles[%d]", i)})
		}
	}
	statements := d.Trust()
	for i := range statements {
		at := fmt.Sprintf("trust[%d].", i)
		if name, path := statements[i].IssuerName(); name != "" {
			found = append(found, reference{resource.KindIssuer, name, at + path})
		}
		if s := statements[i].Service; s != nil {
			for _, name := range s.Names {
				if countersign.ValidName(name) {
					found = append(found, reference{resource.KindService, name, at + "service.names"})
				}
			}
		}
	}
	return found
}

// checkReferences refuses references to objects of another tenant, unless these are shared
// with the document's (RULES A6). What does not exist yet may be named, but in allowed_roles: the
// decision looks again. The platform's documents may name any.
func (p *plan) checkReferences(ctx context.Context, d *resource.Document) error {
	if d.Tenant == "" && !p.actor.SuperAdmin && !p.request.FromConfig {
		return p.checkPlatformReferences(ctx, d)
	}
	if d.Tenant == "" && d.Bucket == nil {
		return nil
	}
	if d.Issuer != nil && slices.ContainsFunc(d.Issuer.MayAssert.Tenants, func(t string) bool { return t != d.Tenant }) {
		p.problems.Add(d.Problem("may_assert.tenants", "an issuer of a tenant speaks for no other"))
	}
	if d.Service != nil {
		foreign, err := foreignAudience(store.Service{Name: d.Name, Tenant: d.Tenant, Audiences: d.Service.Audiences}, p.serviceNamed(ctx))
		if err != nil {
			return describe(err)
		}
		if foreign != "" {
			p.problems.Add(d.Problem("audiences", "the service "+foreign+" belongs to another tenant, and is not shared with "+d.Tenant))
		}
	}
	for _, r := range referencesOf(d) {
		target, err := p.target(ctx, r)
		if err != nil {
			return describe(err)
		}
		if target == nil && d.Bucket != nil {
			// Whoever came to make a role of that name would be let in.
			p.problems.Add(d.Problem(r.path, "there is no "+r.kind+" of this name"))
		}
		if target != nil && d.Tenant != "" && !isForAll(target) && target.Tenant != d.Tenant && !slices.Contains(target.SharedWith(), d.Tenant) {
			p.problems.Add(d.Problem(r.path, "the "+r.kind+" belongs to another tenant, and is not shared with "+d.Tenant))
		}
	}
	return nil
}

// checkPlatformReferences refuses what would open objects of tenants to a service that writes
// the platform's (RULES G4): the platform's documents may name any, and are taken at their word
// when it is decided. So what they name must be there, and be the platform's.
func (p *plan) checkPlatformReferences(ctx context.Context, d *resource.Document) error {
	if d.Role != nil {
		for i, permission := range d.Role.Permissions {
			if !countersign.ValidName(permission.Bucket) {
				p.problems.Add(d.Problem(fmt.Sprintf("permissions[%d].bucket", i), "must be the name of a bucket: only a super-admin opens those of tenants"))
			}
		}
	}
	for _, r := range referencesOf(d) {
		if r.kind == resource.KindIssuer || d.Role != nil && r.kind == resource.KindService {
			continue // whom a role trusts gets what is the platform's
		}
		target, err := p.target(ctx, r)
		if err != nil {
			return describe(err)
		}
		if target == nil || target.Tenant != "" {
			p.problems.Add(d.Problem(r.path, "the platform has no "+r.kind+" of this name: only a super-admin opens those of tenants"))
		}
	}
	return nil
}

// isForAll: an issuer of the platform may be trusted by everybody's documents. It asserts what
// its own document lets it, and opens nothing but what trusts it.
func isForAll(target *resource.Document) bool {
	return target.Kind == resource.KindIssuer && target.Tenant == ""
}

// target returns what a reference will mean; nil = nothing.
func (p *plan) target(ctx context.Context, r reference) (*resource.Document, error) {
	if beside := p.named[r.kind][r.name]; beside != nil {
		return beside, nil
	}
	if p.pruned[r.kind][r.name] {
		return nil, nil
	}
	found, err := find(ctx, p.in, r.kind, r.name)
	if errors.Is(err, countersign.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return found.document, nil
}
