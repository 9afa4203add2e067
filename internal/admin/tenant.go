package admin

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// NoRevision as the revision of a change means "only if there is none".
const NoRevision int64 = 0

// Tenant is a tenant as it is stored.
type Tenant struct {
	store.Object
	DisplayName string
}

// Tenant returns a tenant that the actor may see. One that it may not see does not exist
// for it.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (a *Admin) Tenant(ctx context.Context, actor Actor, name string) (Tenant, error) {
	if !countersign.ValidName(name) || !actor.May(policy.TenantsRead, name) {
		return Tenant{}, unknownTenant()
	}
	return a.tenant(ctx, a.store, name)
}

func (a *Admin) tenant(ctx context.Context, in store.Objects, name string) (Tenant, error) {
	o, err := in.Object(ctx, resource.KindTenant, name)
	if errors.Is(err, countersign.NotFound) {
		return Tenant{}, unknownTenant()
	}
	if err != nil {
		return Tenant{}, describe(err)
	}
	return readTenant(o)
}

func readTenant(o store.Object) (Tenant, error) {
	d, err := resource.FromSpec(o.Kind, o.Name, o.Tenant, o.Spec)
	if err != nil {
		return Tenant{}, err
	}
	return Tenant{o, d.OfTenant.DisplayName}, nil
}

// CheckTenant refuses the name of a tenant that is not there, for an administrator of the
// platform who names one.
//
// Errors: countersign.Denied, countersign.Unavailable.
func (a *Admin) CheckTenant(ctx context.Context, name string) error {
	exists, err := a.registry.HasTenant(ctx, name)
	switch {
	case err != nil:
		return describe(err)
	case !exists:
		return countersign.NewError(countersign.Denied, countersign.ReasonTenantNotMember, "there is no such tenant")
	}
	return nil
}

// Tenants lists the tenants that the actor may see, in order of name, at most limit of them
// behind after.
//
// Errors: countersign.Unavailable.
func (a *Admin) Tenants(ctx context.Context, actor Actor, after string, limit int) ([]Tenant, error) {
	names, all := actor.Rights.Tenants(policy.TenantsRead)
	var made []Tenant
	if actor.SuperAdmin || all {
		page, err := a.store.Objects(ctx, resource.KindTenant, store.Page{After: after, Limit: limit})
		if err != nil {
			return nil, describe(err)
		}
		for _, o := range page {
			t, err := readTenant(o)
			if err != nil {
				return nil, err
			}
			made = append(made, t)
		}
		return made, nil
	}
	for _, name := range names { // sorted
		if name <= after || len(made) == limit {
			continue
		}
		t, err := a.tenant(ctx, a.store, name)
		switch {
		case errors.Is(err, countersign.NotFound):
			continue
		case err != nil:
			return nil, err
		}
		made = append(made, t)
	}
	return made, nil
}

// PutTenant makes a tenant, or changes what it is called. Revision is the one that is
// changed, [AnyRevision], or [NoRevision] for one that is not there yet. A change that would
// change nothing writes nothing.
//
// Errors: countersign.Invalid, NotFound (there is none to change, or none that the actor may
// see), Conflict (there is one already, or with another revision), Denied, Unavailable.
func (a *Admin) PutTenant(ctx context.Context, actor Actor, name, displayName string, revision int64) (made Tenant, created bool, err error) {
	c := &change{actor: actor, action: "tenant.change", several: true}
	document := &resource.Document{Kind: resource.KindTenant, Name: name, OfTenant: &resource.Tenant{DisplayName: displayName}}
	switch {
	case !actor.Anywhere(policy.TenantsWrite):
		err = notAdministrator()
	case !countersign.ValidName(name) || policy.Reserved(name):
		err = invalid(countersign.ReasonNameInvalid, "a tenant is called by a name: 1 to 63 characters, a-z, 0-9 and -, none that is reserved")
	case !resource.ValidDisplayName(displayName):
		err = invalid(countersign.ReasonParameterInvalid, "display_name has at most 256 bytes, all printable")
	}
	if err != nil {
		return Tenant{}, false, a.refused(ctx, c, err)
	}
	err = a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		old, err := a.tenant(ctx, tx, name)
		if errors.Is(err, countersign.NotFound) {
			created = true
			made, err = a.createTenant(ctx, tx, c, document, revision)
			return err
		}
		if err != nil {
			return err
		}
		made, err = a.changeTenant(ctx, tx, c, old, document, revision)
		return err
	})
	return made, created && err == nil, err
}

func (a *Admin) createTenant(ctx context.Context, tx store.Tx, c *change, d *resource.Document, revision int64) (Tenant, error) {
	if !c.actor.SuperAdmin {
		// Who may see it would be told of one that is there: the answer is the same.
		return Tenant{}, unknownTenant()
	}
	if revision != NoRevision {
		return Tenant{}, unknownTenant()
	}
	now := a.clock()
	spec, err := d.Spec()
	if err != nil {
		return Tenant{}, err
	}
	o := store.Object{UID: randomID(16), Kind: d.Kind, Name: d.Name, Spec: spec, Revision: 1, CreatedAt: now, UpdatedAt: now}
	c.objects = [][2]string{{d.Kind, d.Name}}
	c.events = append(c.events, a.objectEvent(c, d.Kind, d.Name, ApplyCreated, "uid="+o.UID))
	return Tenant{o, d.OfTenant.DisplayName}, tx.CreateObject(ctx, o)
}

func (a *Admin) changeTenant(ctx context.Context, tx store.Tx, c *change, old Tenant, d *resource.Document, revision int64) (Tenant, error) {
	if err := c.actor.mayWrite(target{d.Kind, d.Name, "", old.Owner}); err != nil {
		return Tenant{}, err
	}
	switch {
	case revision == NoRevision:
		return Tenant{}, countersign.NewError(countersign.Conflict, countersign.ReasonRevisionMismatch, "there is a tenant of that name")
	case revision != AnyRevision && revision != old.Revision:
		return Tenant{}, countersign.NewError(countersign.Conflict, countersign.ReasonRevisionMismatch, "the tenant was changed meanwhile: read it again")
	}
	if err := notOfConfig(old.Owner); err != nil {
		return Tenant{}, err
	}
	if old.DisplayName == d.OfTenant.DisplayName { // idempotent: nothing happens, and nothing is told
		return old, nil
	}
	spec, err := d.Spec()
	if err != nil {
		return Tenant{}, err
	}
	o := old.Object
	o.Spec, o.UpdatedAt = spec, a.clock()
	o.Revision++
	c.objects = [][2]string{{d.Kind, d.Name}}
	c.events = append(c.events, a.objectEvent(c, d.Kind, d.Name, ApplyChanged, "uid="+o.UID+" changed=display_name"))
	return Tenant{o, d.OfTenant.DisplayName}, tx.UpdateObject(ctx, o)
}

func unknownTenant() error { return Unseen() }
