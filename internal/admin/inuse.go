package admin

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// nothingLeft refuses to delete what something belongs to: a tenant with objects or users,
// a user role that somebody has. Nothing is deleted along with it by surprise, and nothing
// is left that the next one of the name would get (RULES A5).
func nothingLeft(ctx context.Context, tx store.Tx, r *row) error {
	switch r.document.Kind {
	case resource.KindTenant:
		return emptyTenant(ctx, tx, r.document.Name)
	case resource.KindUserRole:
		_, err := tx.RoleHolder(ctx, r.document.Name)
		if err == nil {
			return inUse("somebody has the role")
		}
		if !errors.Is(err, countersign.NotFound) {
			return err
		}
	}
	return nil
}

func emptyTenant(ctx context.Context, tx store.Tx, tenant string) error {
	page := store.Page{Tenant: tenant, Limit: 1}
	for _, kind := range resource.Kinds() {
		found, err := list(ctx, tx, kind, page)
		if err != nil {
			return err
		}
		for _, r := range found { // access keys are listed without the tenant: those of its services are gone with these
			if r.document.Tenant == tenant {
				return inUse("a " + kind + " belongs to the tenant")
			}
		}
	}
	users, err := tx.TenantUsers(ctx, tenant, store.Page{Limit: 1})
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return inUse("a user belongs to the tenant")
	}
	return nil
}

func inUse(msg string) error {
	return countersign.NewError(countersign.Conflict, countersign.ReasonInUse, msg)
}
