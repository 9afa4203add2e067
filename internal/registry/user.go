package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// User is what is known here of a user, in all tenants. Shared: never change one.
type User struct {
	// Records are the stored ones in order of tenant; none for a user who is not known.
	Records []store.User
}

// Record returns what is known of the user in a tenant; ok is false where nothing is.
func (u *User) Record(tenant string) (record store.User, ok bool) {
	for _, r := range u.Records {
		if r.Tenant == tenant {
			return r, true
		}
	}
	return store.User{}, false
}

// UserRole is a user role: what it lets do, and where. Shared: never change one.
type UserRole struct {
	Name string
	// Tenant is where it holds; "" = in every tenant.
	Tenant      string
	Permissions []string
}

// HoldsIn reports whether the role can be held in a tenant.
func (r *UserRole) HoldsIn(tenant string) bool { return r.Tenant == "" || r.Tenant == tenant }

var errNoView = countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such user role or tenant")

// tenant is that there is one.
type tenant struct{}

// User returns what is known of a user; a held one without a database read. A user who is
// not known is an empty one.
//
// Errors: countersign.Unavailable.
func (r *Registry) User(ctx context.Context, id string) (*User, error) {
	if !policy.ValidUserID(id) {
		return &User{}, nil
	}
	return view(ctx, r, &r.users, id, errNoView, func(ctx context.Context, id string) (*User, error) {
		records, err := r.store.UserRecords(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read a user: %w", err)
		}
		return &User{Records: records}, nil
	})
}

// UserRole returns a user role that is not built in, or a built-in one.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (r *Registry) UserRole(ctx context.Context, name string) (*UserRole, error) {
	if permissions, built := policy.BuiltInRole(name); built {
		return &UserRole{Name: name, Permissions: permissions}, nil
	}
	if !countersign.ValidName(name) {
		return nil, errNoView
	}
	return view(ctx, r, &r.userRoles, name, errNoView, func(ctx context.Context, name string) (*UserRole, error) {
		row, err := r.store.Object(ctx, resource.KindUserRole, name)
		if err != nil {
			return nil, fmt.Errorf("read a user role: %w", err)
		}
		document, err := resource.FromSpec(row.Kind, row.Name, row.Tenant, row.Spec)
		if err != nil {
			return nil, fmt.Errorf("read user role %s: %w", row.Name, err)
		}
		return &UserRole{Name: row.Name, Tenant: row.Tenant, Permissions: document.UserRole.Permissions}, nil
	})
}

// HasTenant reports whether there is a tenant of that name.
//
// Errors: countersign.Unavailable.
func (r *Registry) HasTenant(ctx context.Context, name string) (bool, error) {
	if !countersign.ValidName(name) {
		return false, nil
	}
	_, err := view(ctx, r, &r.tenants, name, errNoView, func(ctx context.Context, name string) (*tenant, error) {
		if _, err := r.store.Object(ctx, resource.KindTenant, name); err != nil {
			return nil, fmt.Errorf("read a tenant: %w", err)
		}
		return &tenant{}, nil
	})
	if errors.Is(err, countersign.NotFound) {
		return false, nil
	}
	return err == nil, err
}
