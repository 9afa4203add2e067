package admin

import (
	"context"
	"errors"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// Limits of users.
const (
	// MaxUserRoles bounds the roles of a user in one tenant.
	MaxUserRoles = 64
	maxProfile   = 254 // bytes of a user name or an e-mail address
)

// UserRef names the record of a user in a tenant; "" is the platform.
type UserRef struct{ ID, Tenant string }

// User returns what is known of a user in a tenant. What the actor may not see does not
// exist for it.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (a *Admin) User(ctx context.Context, actor Actor, ref UserRef) (store.User, error) {
	if !policy.ValidUserID(ref.ID) || !actor.May(policy.UsersRead, ref.Tenant) {
		return store.User{}, unknownUser(nil)
	}
	u, err := a.store.User(ctx, ref.ID, ref.Tenant)
	return u, describeUser(err)
}

// Users lists the users of a tenant in order of id.
//
// Errors: countersign.Denied, countersign.Unavailable.
func (a *Admin) Users(ctx context.Context, actor Actor, tenant string, page store.Page) ([]store.User, error) {
	if !actor.May(policy.UsersRead, tenant) {
		return nil, notAdministrator()
	}
	users, err := a.store.TenantUsers(ctx, tenant, page)
	return users, describeUser(err)
}

// UserTenants returns in which tenants something is known of a user: for super-admins.
//
// Errors: countersign.Denied, countersign.Unavailable.
func (a *Admin) UserTenants(ctx context.Context, actor Actor, id string) ([]store.User, error) {
	if !actor.SuperAdmin {
		return nil, notAdministrator()
	}
	records, err := a.store.UserRecords(ctx, id)
	return records, describeUser(err)
}

// FindUsers returns the records that have one of the values, of every tenant: for services
// that look people up.
//
// Errors: countersign.Invalid (more than 1000 values), countersign.Unavailable.
func (a *Admin) FindUsers(ctx context.Context, field store.UserField, values []string) ([]store.User, error) {
	users, err := a.store.FindUsers(ctx, field, values)
	return users, describeUser(err)
}

// IsMember reports whether a user was made a member of a tenant here, and not kept out.
//
// Errors: countersign.Unavailable.
func (a *Admin) IsMember(ctx context.Context, id, tenant string) (bool, error) {
	u, err := a.registry.User(ctx, id)
	if err != nil {
		return false, describeUser(err)
	}
	record, ok := u.Record(tenant)
	return ok && !record.Disabled, nil
}

// AddUser makes a user a member of a tenant or, with tenant "", known on the platform. Who
// is one already is returned as they are.
//
// Errors: countersign.Invalid, NotFound (the tenant), Conflict (too many tenants), Denied,
// Unavailable.
func (a *Admin) AddUser(ctx context.Context, actor Actor, issuer, subject, tenant string) (made store.User, created bool, err error) {
	c := &change{actor: actor, action: "user.create"}
	if !actor.Anywhere(policy.UsersWrite) {
		return made, false, a.refused(ctx, c, notAdministrator())
	}
	if !nameable(issuer) || !nameable(subject) {
		return made, false, a.refused(ctx, c, invalid(countersign.ReasonParameterInvalid,
			"issuer and subject are 1 to 512 printable bytes each: a user is the pair"))
	}
	id := policy.UserID(issuer, subject)
	c.several = true
	err = a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		if err := mayAdd(ctx, tx, actor, tenant); err != nil {
			return err
		}
		made, err = tx.User(ctx, id, tenant)
		if err == nil || !errors.Is(err, countersign.NotFound) {
			return err
		}
		others, err := tx.UserRecords(ctx, id)
		if err != nil {
			return err
		}
		if len(others) >= store.MaxLimit {
			return countersign.NewError(countersign.Conflict, countersign.ReasonParameterInvalid, "the user is in too many tenants")
		}
		now := a.clock()
		made = store.User{UID: randomID(16), ID: id, Tenant: tenant, Issuer: issuer, Subject: subject, Revision: 1, CreatedAt: now, UpdatedAt: now}
		created = true
		a.tellOfUser(c, made, "")
		return tx.CreateUser(ctx, made)
	})
	return made, created && err == nil, err
}

func mayAdd(ctx context.Context, tx store.Tx, actor Actor, tenant string) error {
	if !actor.May(policy.UsersWrite, tenant) {
		return unknownTenant()
	}
	if tenant == "" {
		return nil
	}
	if _, err := tx.Object(ctx, resource.KindTenant, tenant); errors.Is(err, countersign.NotFound) {
		return unknownTenant()
	} else if err != nil {
		return err
	}
	return nil
}

// ChangeUser changes a user in a tenant at the revision that the actor has seen. Disabled on
// the platform, a user is so everywhere, and what the user's tokens proved ends; disabled in
// a tenant, the user is no member there, whatever the token says.
//
// Errors: countersign.Invalid, NotFound, Conflict (another revision; the last super-admin),
// Denied, Unavailable.
func (a *Admin) ChangeUser(ctx context.Context, actor Actor, ref UserRef, revision int64, in UserChange) (store.User, error) {
	c := &change{actor: actor, action: "user.change"}
	if err := in.check(a.localDirectory); err != nil {
		return store.User{}, a.refused(ctx, c, err)
	}
	return a.changeUser(ctx, c, ref, revision, func(ctx context.Context, tx store.Tx, u *store.User) (string, error) {
		before := *u
		changed := in.apply(u)
		if len(changed) == 0 {
			return "", nil
		}
		detail := " changed=" + strings.Join(changed, ",")
		if !u.Disabled || before.Disabled {
			return detail, nil
		}
		if err := a.keepSuperAdmin(ctx, tx, before); err != nil {
			return "", err
		}
		return detail, a.revokeUser(ctx, tx, c, *u)
	})
}

// DeleteUser forgets what is known of a user in a tenant. What their tokens say by
// themselves still counts: to keep somebody out, disable them.
//
// Errors: countersign.NotFound, Conflict (another revision; the last super-admin), Denied,
// Unavailable.
func (a *Admin) DeleteUser(ctx context.Context, actor Actor, ref UserRef, revision int64) error {
	c := &change{actor: actor, action: "user.delete", several: true}
	if !actor.Anywhere(policy.UsersWrite) {
		return a.refused(ctx, c, notAdministrator())
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		u, err := a.currentUser(ctx, tx, actor, ref, revision)
		if err != nil {
			return err
		}
		if err := a.keepSuperAdmin(ctx, tx, u); err != nil {
			return err
		}
		a.tellOfUser(c, u, "")
		if err := a.revokeUser(ctx, tx, c, u); err != nil {
			return err
		}
		return tx.DeleteUser(ctx, u.UID)
	})
}

// changeUser changes one record: fn changes it, and tells what it did; "" = nothing, then
// nothing is written.
func (a *Admin) changeUser(ctx context.Context, c *change, ref UserRef, revision int64,
	fn func(ctx context.Context, tx store.Tx, u *store.User) (detail string, err error),
) (store.User, error) {
	c.several = true
	if !c.actor.Anywhere(policy.UsersWrite) {
		return store.User{}, a.refused(ctx, c, notAdministrator())
	}
	var made store.User
	err := a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		u, err := a.currentUser(ctx, tx, c.actor, ref, revision)
		if err != nil {
			return err
		}
		made = u
		detail, err := fn(ctx, tx, &u)
		if err != nil || detail == "" {
			return err
		}
		u.Revision++
		u.UpdatedAt = a.clock()
		a.tellOfUser(c, u, detail)
		made = u
		return tx.UpdateUser(ctx, u)
	})
	return made, err
}

// currentUser reads a record and holds it against who may change it and the revision that
// was asked for. Who holds more than the actor is not the actor's to change (RULES A7).
func (a *Admin) currentUser(ctx context.Context, tx store.Tx, actor Actor, ref UserRef, revision int64) (store.User, error) {
	if !policy.ValidUserID(ref.ID) || !actor.May(policy.UsersWrite, ref.Tenant) {
		if actor.May(policy.UsersRead, ref.Tenant) {
			return store.User{}, notAdministrator()
		}
		return store.User{}, unknownUser(nil)
	}
	u, err := tx.User(ctx, ref.ID, ref.Tenant)
	if err != nil {
		return store.User{}, describeUser(err)
	}
	for _, name := range u.Roles {
		role, err := userRole(ctx, tx, name)
		if err != nil {
			return store.User{}, err
		}
		if role != nil && !actor.covers(role.Permissions, u.Tenant) {
			return store.User{}, notHeld(countersign.ReasonNotHeld, "the user holds more than you do")
		}
	}
	if revision != AnyRevision && revision != u.Revision {
		return store.User{}, countersign.NewError(countersign.Conflict, countersign.ReasonRevisionMismatch, "the user was changed meanwhile: read it again")
	}
	return u, nil
}

// revokeUser ends what the tokens of a user of the platform proved until now (RULES A5).
func (a *Admin) revokeUser(ctx context.Context, tx store.Tx, c *change, u store.User) error {
	if u.Tenant != "" {
		return nil
	}
	return a.putRevocation(ctx, tx, c, a.revocation(RevokeSelector{Issuer: u.Issuer, Subject: u.Subject}, a.clock()))
}

func (a *Admin) tellOfUser(c *change, u store.User, detail string) {
	told := *c
	told.name, told.detail = u.ID, "uid="+u.UID+detail
	if u.Tenant != "" {
		told.detail += " tenant=" + u.Tenant
	}
	c.objects = append(c.objects, [2]string{"User", u.ID})
	c.events = append(c.events, a.event(&told, audit.Changed, countersign.ReasonOK))
}

func describeUser(err error) error {
	if errors.Is(err, countersign.NotFound) {
		return unknownUser(err)
	}
	if err != nil {
		return describe(err)
	}
	return nil
}

func unknownUser(cause error) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such user", cause)
}
