package admin

import (
	"context"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// AssignRole gives a user a role in a tenant, or super-admin on the platform. Who has it
// already stays as they are.
//
// Errors: countersign.Invalid (no role of that tenant), NotFound, Conflict (another
// revision), Denied (RULES A7), Unavailable.
func (a *Admin) AssignRole(ctx context.Context, actor Actor, ref UserRef, role string, revision int64) (store.User, error) {
	c := &change{actor: actor, action: "user.role.assign"}
	return a.changeUser(ctx, c, ref, revision, func(ctx context.Context, tx store.Tx, u *store.User) (string, error) {
		if err := a.mayAssign(ctx, tx, actor, u.Tenant, role); err != nil {
			return "", err
		}
		if slices.Contains(u.Roles, role) {
			return "", nil
		}
		if len(u.Roles) >= MaxUserRoles {
			return "", countersign.NewError(countersign.Conflict, countersign.ReasonParameterInvalid, "a user has at most 64 roles in a tenant")
		}
		u.Roles = sortedDistinct(append(slices.Clone(u.Roles), role))
		return " role=" + role, nil
	})
}

// RemoveRole takes a role from a user. Who has not got it stays as they are.
//
// Errors: as AssignRole; countersign.Conflict also for the last super-admin.
func (a *Admin) RemoveRole(ctx context.Context, actor Actor, ref UserRef, role string, revision int64) (store.User, error) {
	c := &change{actor: actor, action: "user.role.remove"}
	return a.changeUser(ctx, c, ref, revision, func(ctx context.Context, tx store.Tx, u *store.User) (string, error) {
		if !countersign.ValidName(role) {
			return "", unknownUserRole()
		}
		if !slices.Contains(u.Roles, role) {
			return "", nil
		}
		before := *u
		u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(r string) bool { return r == role })
		if role == policy.RoleSuperAdmin {
			if err := a.keepSuperAdmin(ctx, tx, before); err != nil {
				return "", err
			}
		}
		return " role=" + role, nil
	})
}

// mayAssign decides whether a role can be held in a tenant, and whether the actor may give it.
func (a *Admin) mayAssign(ctx context.Context, tx store.Tx, actor Actor, tenant, name string) error {
	role, err := userRole(ctx, tx, name)
	switch {
	case err != nil:
		return err
	case (name == policy.RoleSuperAdmin) != (tenant == ""):
		return invalid(countersign.ReasonParameterInvalid, "super-admin is held on the platform, every other role in a tenant")
	case role == nil || !role.HoldsIn(tenant):
		return unknownUserRole()
	case name == policy.RoleSuperAdmin && !actor.SuperAdmin, !actor.covers(role.Permissions, tenant):
		return notHeld(countersign.ReasonNotHeld, "nobody grants what they don't hold")
	}
	return nil
}

// keepSuperAdmin refuses to lose the last super-admin that is assigned here. Who could not log
// in, because no issuer of the platform's users has their issuer's URL, does not stand in for
// who could.
func (a *Admin) keepSuperAdmin(ctx context.Context, tx store.Tx, before store.User) error {
	if before.Tenant != "" || before.Disabled || !slices.Contains(before.Roles, policy.RoleSuperAdmin) {
		return nil
	}
	issuers, err := userIssuers(ctx, tx)
	if err != nil {
		return err
	}
	couldLogIn := issuers[before.Issuer]
	for page := (store.Page{Limit: store.MaxLimit}); ; {
		users, err := tx.TenantUsers(ctx, "", page)
		if err != nil {
			return err
		}
		for _, u := range users {
			if u.UID != before.UID && !u.Disabled && slices.Contains(u.Roles, policy.RoleSuperAdmin) && (issuers[u.Issuer] || !couldLogIn) {
				return nil
			}
			page.After = u.ID
		}
		if len(users) < store.MaxLimit {
			return countersign.NewError(countersign.Conflict, countersign.ReasonLastSuperAdmin, "this is the last super-admin who could log in")
		}
	}
}

// userIssuers returns the URLs of the issuers whose users can be super-admins: the platform's.
func userIssuers(ctx context.Context, in reads) (map[string]bool, error) {
	urls := make(map[string]bool)
	err := all(ctx, in, resource.KindIssuer, func(r *row) {
		if d := r.document; d.Tenant == "" && d.Issuer.Subject == "user" {
			urls[d.Issuer.URL] = true
		}
	})
	return urls, err
}

func unknownUserRole() error {
	return countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such role in that tenant")
}
