package policy_test

import (
	"testing"

	"github.com/countersign/countersign/internal/policy"
)

// RULES A6, A7: what is held in a tenant is held there alone, and the platform is nobody's
// but a super-admin's.
func TestRuleA7Rights(t *testing.T) {
	t.Parallel()
	r := policy.NewRights(map[string][]string{
		"acme": {policy.UsersWrite, policy.UsersRead, policy.UsersRead}, "beta": {policy.TenantsRead}, "": policy.UserPermissions(),
	})
	for _, held := range [][2]string{{policy.UsersRead, "acme"}, {policy.UsersWrite, "acme"}, {policy.TenantsRead, "beta"}} {
		if !r.May(held[0], held[1]) || !r.Anywhere(held[0]) {
			t.Errorf("lacks %v", held)
		}
	}
	for _, other := range [][2]string{{policy.UsersRead, "beta"}, {policy.TenantsRead, "acme"}, {policy.UsersRead, ""}, {policy.TenantsRead, ""}, {"", ""}, {"", "acme"}, {"users.*", "acme"}} {
		if r.May(other[0], other[1]) {
			t.Errorf("has %v", other)
		}
	}
	if r.SuperAdmin() || r.Cover([]string{policy.UsersRead, policy.TenantsRead}, "acme") || !r.Cover(nil, "acme") || r.Anywhere(policy.TenantsWrite) {
		t.Error("wrong rights")
	}
	within := policy.SuperAdminRights().Within("acme")
	if within.SuperAdmin() || within.May(policy.TenantsRead, "beta") || within.May(policy.TenantsRead, "") || !within.Cover(policy.UserPermissions(), "acme") {
		t.Error("a super-admin within a tenant is not its administrator")
	}
	if (policy.Rights{}).Anywhere(policy.TenantsRead) {
		t.Error("the zero value has rights")
	}
}
