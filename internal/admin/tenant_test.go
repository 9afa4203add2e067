package admin_test

import (
	"errors"
	"strings"
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

// RULES A6: an issuer of a tenant may be said to speak for that one alone.
func TestRuleA6TenantsIssuerAssertsNoOther(t *testing.T) {
	t.Parallel()
	const issuer = "kind: Issuer\nname: r\nurl: https://k.example\nsubject: workload\nprofile: oidc\naudiences: [c]\n"
	r := newRig(t)
	for _, said := range []string{"[beta]", "[acme, beta]"} {
		wantProblem(t, r, issuer+"tenant: acme\nmay_assert: {tenants: "+said+"}\n", "may_assert.tenants", "Issuer", "r")
	}
	r.apply(t, request(issuer+"tenant: acme\nmay_assert: {tenants: [acme]}\n"))
	r.apply(t, request(strings.NewReplacer("name: r", "name: platform", "[c]", "[d]").Replace(issuer)+"may_assert: {tenants: [acme, beta]}\n"))
}
