package admin_test

import (
	"errors"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
)

// RULES A6: names are unique across tenants, and the platform (no tenant) is written by
// a super-admin only. There are no references between objects yet.
func TestRuleA6NamesAreUniqueAcrossTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, _, err := r.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "a", Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "other", ""} {
		_, _, err := r.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "a", Tenant: tenant})
		if !errors.Is(err, countersign.Conflict) || countersign.ReasonOf(err) != countersign.ReasonNameTaken {
			t.Errorf("the name again in tenant %q: %v", tenant, err)
		}
	}
	for _, tenant := range []string{"acme", ""} {
		_, _, err := r.CreateService(t.Context(), admin.Actor{ID: "user:i|alice"}, admin.ServiceSpec{Name: "b", Tenant: tenant})
		if !errors.Is(err, countersign.Denied) {
			t.Errorf("somebody else wrote to tenant %q: %v", tenant, err)
		}
	}
	for _, tenant := range []string{"Acme", "a/b", "-", "a b"} {
		if _, _, err := r.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "c", Tenant: tenant}); !errors.Is(err, countersign.Invalid) {
			t.Errorf("tenant %q: %v", tenant, err)
		}
	}
	d, err := r.Service(t.Context(), "a")
	if err != nil || d.Tenant != "acme" {
		t.Errorf("got %+v, %v", d, err)
	}
}
