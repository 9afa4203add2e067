package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func aUser(id, tenant string) store.User {
	return store.User{
		ID: id, Tenant: tenant, UID: "uid-" + id + "-" + tenant, Issuer: "https://é", Subject: "sub-" + id,
		Roles: []string{"member", "tenant-admin"}, Username: "name-" + id, Email: id + "@example.com", DisplayName: "Ä " + id,
		Revision: 1, CreatedAt: at(0), UpdatedAt: at(1),
	}
}

func createUsers(t *testing.T, s store.Store, users ...store.User) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, u := range users {
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
		}
		return nil
	})
}

func userCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"RoundTrip": userRoundTrip, "Refused": userRefused, "OptimisticLock": userOptimisticLock,
		"Delete": userDelete, "Find": userFind, "RoleHolder": userRoleHolder, "TenantPages": tenantPages,
	}
}

func userRoundTrip(t *testing.T, s store.Store) {
	one, two := aUser("u1", "acme"), aUser("u1", "")
	two.Roles, two.Disabled, two.Username, two.Email, two.DisplayName = nil, true, "", "", ""
	createUsers(t, s, one, two, aUser("u2", "acme"))
	same(t, must[store.User](t)(s.User(t.Context(), "u1", "acme")), one)
	same(t, must[store.User](t)(s.User(t.Context(), "u1", "")), two)
	same(t, must[[]store.User](t)(s.UserRecords(t.Context(), "u1")), []store.User{two, one})
	same(t, must[[]store.User](t)(s.TenantUsers(t.Context(), "acme", store.Page{Limit: 1})), []store.User{one})
	same(t, must[[]store.User](t)(s.TenantUsers(t.Context(), "acme", store.Page{After: "u1"})), []store.User{aUser("u2", "acme")})
	for _, other := range [][2]string{{"u1", "beta"}, {"u3", "acme"}, {"", ""}} {
		_, err := s.User(t.Context(), other[0], other[1])
		want(t, err, countersign.NotFound)
	}
}

func userRefused(t *testing.T, s store.Store) {
	createUsers(t, s, aUser("u1", "acme"))
	again, uid := aUser("u1", "acme"), aUser("u2", "acme")
	again.UID, uid.UID = "other", "uid-u1-acme"
	for _, test := range []struct {
		user store.User
		code countersign.Code
	}{
		{again, countersign.Conflict}, {uid, countersign.Conflict},
		{store.User{ID: "u", Issuer: "i", Subject: "s"}, countersign.Invalid},
		{store.User{UID: "u", ID: "u", Issuer: "i"}, countersign.Invalid},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateUser(ctx, test.user) })
		want(t, err, test.code)
	}
	_, err := s.TenantUsers(t.Context(), "acme", store.Page{Limit: store.MaxLimit + 1})
	want(t, err, countersign.Invalid)
	_, err = s.FindUsers(t.Context(), "subject", []string{"x"})
	want(t, err, countersign.Invalid)
	_, err = s.FindUsers(t.Context(), store.UserID, make([]string, store.MaxUserValues+1))
	want(t, err, countersign.Invalid)
}

func userOptimisticLock(t *testing.T, s store.Store) {
	createUsers(t, s, aUser("u1", "acme"))
	write := func(change func(*store.User)) error {
		u := aUser("u1", "acme")
		u.Revision = 2
		change(&u)
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateUser(ctx, u) })
	}
	want(t, write(func(u *store.User) { u.Revision = 1 }), countersign.Conflict)
	want(t, write(func(u *store.User) { u.Revision = 3 }), countersign.Conflict)
	want(t, write(func(u *store.User) { u.Tenant = "beta" }), countersign.Conflict)
	want(t, write(func(u *store.User) { u.UID = "former" }), countersign.NotFound)
	changed := aUser("u1", "acme")
	changed.Revision, changed.Roles, changed.Disabled, changed.Email, changed.UpdatedAt = 2, []string{"member"}, true, "", at(7)
	want(t, write(func(u *store.User) { *u = changed; u.CreatedAt, u.Issuer = at(99), "https://other" }), "")
	same(t, must[store.User](t)(s.User(t.Context(), "u1", "acme")), changed)
}

func userDelete(t *testing.T, s store.Store) {
	createUsers(t, s, aUser("u1", "acme"), aUser("u1", "beta"))
	remove := func() error {
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.DeleteUser(ctx, "uid-u1-acme") })
	}
	want(t, remove(), "")
	want(t, remove(), countersign.NotFound)
	same(t, must[[]store.User](t)(s.UserRecords(t.Context(), "u1")), []store.User{aUser("u1", "beta")})
}

func userFind(t *testing.T, s store.Store) {
	var all []store.User
	var ids []string
	for i := range 250 {
		u := aUser(fmt.Sprintf("u%03d", i), "acme")
		all, ids = append(all, u), append(ids, u.ID)
	}
	bare := aUser("v", "acme")
	bare.Username, bare.Email = "", ""
	createUsers(t, s, append(all, bare)...)
	same(t, must[[]store.User](t)(s.FindUsers(t.Context(), store.UserID, append(ids, "nobody"))), all)
	same(t, must[[]store.User](t)(s.FindUsers(t.Context(), store.UserEmail, []string{"u007@example.com", ""})), all[7:8])
	same(t, must[[]store.User](t)(s.FindUsers(t.Context(), store.UserUsername, []string{"name-u249", "' OR 1=1 --", "%"})), all[249:])
	same(t, len(must[[]store.User](t)(s.FindUsers(t.Context(), store.UserID, nil))), 0)
}

func userRoleHolder(t *testing.T, s store.Store) {
	createUsers(t, s, aUser("u1", "acme"))
	same(t, must[store.User](t)(s.RoleHolder(t.Context(), "tenant-admin")).ID, "u1")
	for _, role := range []string{"admin", "tenant", "memb%", "member,"} {
		_, err := s.RoleHolder(t.Context(), role)
		want(t, err, countersign.NotFound)
	}
}

// A page of one tenant has nothing of another's, nor of the platform.
func tenantPages(t *testing.T, s store.Store) {
	create(t, s, aService("a"), aService("b"), aService("c"))
	other := aService("d")
	other.UID, other.Tenant = "uid-d", "beta-tenant"
	create(t, s, other)
	o := anObject("o2")
	o.Tenant = "beta-tenant"
	createObjects(t, s, anObject("o1"), o, anObject("o3"))
	services := must[[]store.Service](t)(s.Services(t.Context(), store.Page{Tenant: "beta-tenant"}))
	objects := must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{Tenant: "acme", Limit: 1}))
	same(t, []string{services[0].Name, objects[0].Name}, []string{"d", "o1"})
	same(t, len(services)+len(objects), 2)
	rest := must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{Tenant: "acme", After: "o1"}))
	same(t, []int{len(rest), len(must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{Tenant: "nobody"})))}, []int{1, 0})
	same(t, rest[0].Name, "o3")
	ours, mine := aService("e"), anObject("o4")
	ours.Tenant, mine.Tenant = "", ""
	create(t, s, ours)
	createObjects(t, s, mine)
	services = must[[]store.Service](t)(s.Services(t.Context(), store.Page{Platform: true}))
	objects = must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{Platform: true}))
	same(t, len(services)+len(objects), 2)
	same(t, []string{services[0].Name, objects[0].Name}, []string{"e", "o4"})
}
