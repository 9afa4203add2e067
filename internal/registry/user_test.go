package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/store"
)

// What one replica writes of users, user roles and tenants, the others know after a poll.
func TestUsersOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, fixture.NewClock(start), 2)
	one, two := all[0], all[1]
	id := policy.UserID("https://i.example", "ann")
	known := func() (records int, tenant, role bool) {
		t.Helper()
		u, err := two.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		has, err := two.HasTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		r, err := two.UserRole(t.Context(), "helpdesk")
		if err != nil && !errors.Is(err, countersign.NotFound) {
			t.Fatal(err)
		}
		return len(u.Records), has, r != nil && slices.Contains(r.Permissions, "users.read") && r.HoldsIn("acme") && !r.HoldsIn("beta")
	}
	if n, tenant, role := known(); n != 0 || tenant || role {
		t.Errorf("before: %d %t %t", n, tenant, role)
	}
	write := func(fn func(ctx context.Context, tx store.Tx) error) {
		t.Helper()
		if err := one.store.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
		two.sync(t)
	}
	user := store.User{UID: "u", ID: id, Tenant: "acme", Issuer: "https://i.example", Subject: "ann", Revision: 1}
	write(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.CreateUser(ctx, user),
			tx.CreateObject(ctx, store.Object{UID: "t", Kind: "Tenant", Name: "acme", Spec: []byte(`{}`)}),
			tx.CreateObject(ctx, store.Object{UID: "r", Kind: "UserRole", Name: "helpdesk", Tenant: "acme", Spec: []byte(`{"permissions":["users.read"]}`)}))
	})
	if n, tenant, role := known(); n != 1 || !tenant || !role {
		t.Errorf("made: %d %t %t", n, tenant, role)
	}
	reads := two.store.Reads()
	known()
	if n := two.store.Reads() - reads; n != 0 {
		t.Errorf("%d reads for what is held", n)
	}
	write(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.DeleteUser(ctx, "u"), tx.DeleteObject(ctx, "t"), tx.DeleteObject(ctx, "r"))
	})
	if n, tenant, role := known(); n != 0 || tenant || role {
		t.Errorf("gone: %d %t %t", n, tenant, role)
	}
	for name, permissions := range map[string]int{"super-admin": len(policy.UserPermissions()), "tenant-admin": len(policy.UserPermissions()), "member": 0} {
		if r, err := two.UserRole(t.Context(), name); err != nil || len(r.Permissions) != permissions {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for _, odd := range []string{"", "x", "../acme", "a\x00"} {
		if u, err := two.User(t.Context(), odd); err != nil || len(u.Records) != 0 {
			t.Errorf("%q: %+v %v", odd, u, err)
		}
		if has, err := two.HasTenant(t.Context(), odd); err != nil || has {
			t.Errorf("%q: %t %v", odd, has, err)
		}
	}
}
