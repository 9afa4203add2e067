package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// reads is what a plan reads from: the store, or a transaction.
type reads interface {
	store.Services
	store.Objects
	store.AccessKeys
	store.Users
}

// row is one stored object of any kind and the document that it means.
type row struct {
	uid, owner           string
	revision             int64
	createdAt, updatedAt time.Time
	document             *resource.Document
	// service is set for a Service, accessKey for an AccessKey, object for every other kind.
	service   *store.Service
	accessKey *store.AccessKey
	object    *store.Object
}

func (r *row) target() target {
	return target{r.document.Kind, r.document.Name, r.document.Tenant, r.owner}
}

func serviceRow(s store.Service) (*row, error) {
	trust, err := resource.DecodeTrust(s.Trust)
	if err != nil {
		return nil, fmt.Errorf("read service %s: %w", s.Name, err)
	}
	document := &resource.Document{Kind: resource.KindService, Name: s.Name, Tenant: s.Tenant, Service: &resource.Service{
		Scopes: s.Scopes, Audiences: s.Audiences, TokenLifetime: resource.Duration(s.TokenLifetime),
		JWKS: s.JWKS, JWKSURI: s.JWKSURI, Quota: resource.Quota{TokensPerMinute: s.TokensPerMinute},
		Trust: trust, SharedWith: s.SharedWith,
	}}
	return &row{
		uid: s.UID, owner: s.Owner, revision: s.Revision, createdAt: s.CreatedAt, updatedAt: s.UpdatedAt,
		document: document, service: &s,
	}, nil
}

func objectRow(o store.Object) (*row, error) {
	document, err := resource.FromSpec(o.Kind, o.Name, o.Tenant, o.Spec)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", o.Kind, o.Name, err)
	}
	return &row{
		uid: o.UID, owner: o.Owner, revision: o.Revision, createdAt: o.CreatedAt, updatedAt: o.UpdatedAt,
		document: document, object: &o,
	}, nil
}

func accessKeyRow(k store.AccessKey) *row {
	document := &resource.Document{Kind: resource.KindAccessKey, Name: k.Name, Tenant: k.Tenant, AccessKey: &resource.AccessKey{
		Service: k.Service, Role: k.Role, AccessKeyID: k.ID, ExpiresAt: k.ExpiresAt,
	}}
	updated := k.CreatedAt
	if !k.RevokedAt.IsZero() {
		updated = k.RevokedAt
	}
	return &row{uid: k.UID, revision: k.Revision, createdAt: k.CreatedAt, updatedAt: updated, document: document, accessKey: &k}
}

// find returns the row of that kind and name, or countersign.NotFound.
func find(ctx context.Context, in reads, kind, name string) (*row, error) {
	if kind == resource.KindService {
		s, err := in.Service(ctx, name)
		if err != nil {
			return nil, err
		}
		return serviceRow(s)
	}
	if kind == resource.KindAccessKey {
		k, err := in.AccessKey(ctx, name)
		if err != nil {
			return nil, err
		}
		return accessKeyRow(k), nil
	}
	o, err := in.Object(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	return objectRow(o)
}

// list returns one page of a kind.
func list(ctx context.Context, in reads, kind string, page store.Page) ([]*row, error) {
	var found []*row
	if kind == resource.KindService {
		services, err := in.Services(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			r, err := serviceRow(s)
			if err != nil {
				return nil, err
			}
			found = append(found, r)
		}
		return found, nil
	}
	if kind == resource.KindAccessKey {
		keys, err := in.AccessKeys(ctx, store.AccessKeyFilter{}, page)
		for _, k := range keys {
			found = append(found, accessKeyRow(k))
		}
		return found, err
	}
	objects, err := in.Objects(ctx, kind, page)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		r, err := objectRow(o)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

// all visits every row of a kind, page by page.
func all(ctx context.Context, in reads, kind string, visit func(*row)) error {
	return within(ctx, in, kind, store.Page{}, visit)
}

// within is all for the tenant that a page names.
func within(ctx context.Context, in reads, kind string, of store.Page, visit func(*row)) error {
	of.Limit = store.MaxLimit
	for {
		page, err := list(ctx, in, kind, of)
		if err != nil {
			return err
		}
		for _, r := range page {
			visit(r)
			of.After = r.document.Name
		}
		if len(page) < store.MaxLimit {
			return nil
		}
	}
}

func (r *row) detail() (ObjectDetail, error) {
	text, err := r.document.YAML()
	return ObjectDetail{
		Kind: r.document.Kind, Name: r.document.Name, UID: r.uid, Tenant: r.document.Tenant, Owner: r.owner,
		Revision: r.revision, CreatedAt: r.createdAt, UpdatedAt: r.updatedAt, Document: text,
	}, err
}

// detailOf is detail, with what no document says.
func (a *Admin) detailOf(ctx context.Context, r *row) (ObjectDetail, error) {
	d, err := r.detail()
	if err == nil && r.accessKey != nil {
		d.State = a.accessKeyState(ctx, r.accessKey)
	}
	return d, err
}

// held is under what kind and name the registry has it.
func (r *row) held() [2]string {
	if r.accessKey != nil {
		return [2]string{resource.KindAccessKey, r.accessKey.ID}
	}
	return [2]string{r.document.Kind, r.document.Name}
}

// Object returns one object of any kind, Service too.
//
// Errors: countersign.NotFound, Invalid (no such kind), Unavailable.
func (a *Admin) Object(ctx context.Context, kind, name string) (ObjectDetail, error) {
	if err := checkKind(kind); err != nil {
		return ObjectDetail{}, err
	}
	if !countersign.ValidName(name) {
		return ObjectDetail{}, unknownObject(kind, nil)
	}
	r, err := find(ctx, a.store, kind, name)
	if err != nil {
		return ObjectDetail{}, describeObject(kind, err)
	}
	return a.detailOf(ctx, r)
}

// RoleTenant returns whose a role is and since when there is one of that name; "" = the
// platform's, or there is none: what is older was another role's (RULES A5).
//
// Errors: countersign.Unavailable.
func (a *Admin) RoleTenant(ctx context.Context, name string) (tenant string, since time.Time, err error) {
	role, err := a.store.Object(ctx, resource.KindRole, name)
	if errors.Is(err, countersign.NotFound) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, describe(err)
	}
	return role.Tenant, role.CreatedAt, nil
}

// Objects lists the objects of a kind in order of name.
//
// Errors: countersign.Invalid (the kind, or the cursor), Unavailable.
func (a *Admin) Objects(ctx context.Context, kind string, page store.Page) ([]ObjectDetail, error) {
	if err := checkKind(kind); err != nil {
		return nil, err
	}
	if page.After != "" && !countersign.ValidName(page.After) {
		return nil, invalid(countersign.ReasonParameterInvalid, "after is not a cursor of this list")
	}
	rows, err := list(ctx, a.store, kind, page)
	if err != nil {
		return nil, describeObject(kind, err)
	}
	details := make([]ObjectDetail, 0, len(rows))
	for _, r := range rows {
		d, err := a.detailOf(ctx, r)
		if err != nil {
			return nil, err
		}
		details = append(details, d)
	}
	return details, nil
}

// DeleteObject removes one object of any kind; of a Service all tokens end.
//
// Errors: countersign.NotFound, Conflict (another revision), Denied (also: it comes from
// the server's configuration), Invalid (no such kind), Unavailable.
func (a *Admin) DeleteObject(ctx context.Context, actor Actor, kind, name string, revision int64) error {
	if kind == resource.KindService {
		return a.DeleteService(ctx, actor, name, revision)
	}
	c := &change{actor: actor, action: actionOf(kind, ApplyPruned), several: true}
	if err := checkKind(kind); err != nil {
		c.action = "apply.delete" // what was typed there stays out of the log
		return a.refused(ctx, c, err)
	}
	if err := actor.mayBegin(kind); err != nil {
		return a.refused(ctx, c, err)
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		if !countersign.ValidName(name) {
			return unknownObject(kind, nil)
		}
		r, err := find(ctx, tx, kind, name)
		if err != nil {
			return describeObject(kind, err)
		}
		if err := actor.mayDelete(r.target()); err != nil {
			return err
		}
		if err := actor.mayTake(r); err != nil {
			return err
		}
		if revision != AnyRevision && revision != r.revision {
			return changedMeanwhile(nil)
		}
		if err := a.mayDropConfig(actor, kind, name, r.owner); err != nil {
			return err
		}
		if err := nothingLeft(ctx, tx, r); err != nil {
			return err
		}
		c.objects = [][2]string{r.held()}
		if r.accessKey != nil {
			c.events = append(c.events, a.accessKeyEvent(c, r.accessKey, ApplyPruned))
			return tx.DeleteAccessKey(ctx, r.uid)
		}
		c.events = append(c.events, a.objectEvent(c, kind, name, ApplyPruned, "uid="+r.uid))
		return tx.DeleteObject(ctx, r.uid)
	})
}

func checkKind(kind string) error {
	if slices.Contains(resource.Kinds(), kind) {
		return nil
	}
	return invalid(countersign.ReasonParameterInvalid, "there is no such kind")
}

// describeObject gives the store's errors words for the caller.
func describeObject(kind string, err error) error {
	if errors.Is(err, countersign.NotFound) && countersign.ReasonOf(err) != countersign.ReasonObjectUnknown {
		return unknownObject(kind, err)
	}
	return describe(err)
}

func unknownObject(kind string, cause error) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such "+kind, cause)
}
