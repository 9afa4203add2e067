package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// Bucket is a bucket of the gateway as it is now. Shared: never change one.
type Bucket struct {
	UID, Name, Tenant string
	Revision          int64
	// Anonymous: objects may be read without credentials.
	Anonymous bool
	// AllowedRoles are the only ones that get in; none = each whose permissions name it.
	AllowedRoles []string
	// SharedWith are the other tenants whose roles may name it.
	SharedWith []string
	// Origin is where the objects are. Its paths are absolute; whether they may be named
	// still, who opens them has to check.
	Origin resource.Origin
}

// OpenTo reports whether a role may be let into the bucket at all: what it may do there is
// for its permissions to say. A role of another tenant only as long as the bucket is shared
// with that (RULES A6); and one that allowed_roles names is meant only where the bucket's
// tenant may refer to it, so that a role that takes over a name gets nothing by that.
func (b *Bucket) OpenTo(role *Role) bool {
	if !mayRefer(role.Tenant, b.Tenant, b.SharedWith) {
		return false
	}
	return len(b.AllowedRoles) == 0 ||
		slices.Contains(b.AllowedRoles, role.Name) && mayRefer(b.Tenant, role.Tenant, role.SharedWith)
}

// errBucketUnknown is shared: it holds nothing of the request.
var errBucketUnknown = countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such bucket")

// Bucket returns the bucket of that name; a held one without a database read.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (r *Registry) Bucket(ctx context.Context, name string) (*Bucket, error) {
	if !countersign.ValidName(name) { // needs no database to be unknown
		return nil, errBucketUnknown
	}
	return view(ctx, r, &r.buckets, name, errBucketUnknown, r.readBucket)
}

// Buckets visits every bucket in order of name, until visit returns false. It reads the
// database, a page at a time.
//
// Errors: countersign.Unavailable.
func (r *Registry) Buckets(ctx context.Context, visit func(*Bucket) bool) error {
	if r.stale() {
		return errStale
	}
	for after := ""; ; {
		page, err := r.bucketPage(ctx, after)
		if err != nil {
			return err
		}
		for _, row := range page {
			after = row.Name
			b, err := r.bucketOf(row)
			if err != nil {
				continue // it was saved by a version that knew more, and can't be opened here
			}
			if !visit(b) {
				return nil
			}
		}
		if len(page) < store.MaxLimit {
			return nil
		}
	}
}

func (r *Registry) bucketPage(ctx context.Context, after string) ([]store.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	page, err := r.store.Objects(ctx, resource.KindBucket, store.Page{After: after, Limit: store.MaxLimit})
	if err != nil {
		return nil, fmt.Errorf("list buckets: %w", err)
	}
	return page, nil
}

func (r *Registry) readBucket(ctx context.Context, name string) (*Bucket, error) {
	row, err := r.store.Object(ctx, resource.KindBucket, name)
	if err != nil {
		return nil, fmt.Errorf("read bucket: %w", err)
	}
	return r.bucketOf(row)
}

func (r *Registry) bucketOf(row store.Object) (*Bucket, error) {
	document, err := resource.FromSpec(row.Kind, row.Name, row.Tenant, row.Spec)
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", row.Name, err)
	}
	d := document.Bucket
	b := &Bucket{
		UID: row.UID, Name: strings.Clone(row.Name), Tenant: row.Tenant, Revision: row.Revision,
		Anonymous: d.Anonymous, AllowedRoles: d.AllowedRoles, SharedWith: d.SharedWith, Origin: d.Origin,
	}
	if b.Origin.Dir != "" {
		b.Origin.Dir = r.paths.Absolute(b.Origin.Dir)
	}
	if b.Origin.S3 != nil && b.Origin.S3.Credentials.Static != nil {
		static := b.Origin.S3.Credentials.Static
		static.SecretAccessKeyFile = r.paths.Absolute(static.SecretAccessKeyFile)
	}
	return b, nil
}
