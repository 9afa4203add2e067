package iam_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/admin"
)

// RULES A6: who may see a kind in one tenant hears nothing of it in another one in which they are
// a member: not by where the next page begins either.
func TestRuleA6NextNamesNothingThatIsNotSeen(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	for _, tenant := range []string{"acme", "beta"} {
		for _, n := range []string{"1", "2"} {
			o.configure(t, "kind: Service\nname: "+tenant+"-hidden-"+n+"\ntenant: "+tenant+
				"\n---\nkind: UserRole\nname: "+tenant+"-hidden-"+n+"\ntenant: "+tenant+"\npermissions: [users.read]\n")
		}
	}
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "pat", "beta")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(o.people, "pat"), Tenant: "beta"}, "tenant-admin", admin.AnyRevision)
	must(t, err)
	pat := o.people.token(t, "pat", map[string]any{"tenant": "acme"}) // a member there, who may nothing
	for _, path := range []string{"/admin/services", "/admin/resources/Service", "/admin/user-roles", "/admin/resources/UserRole"} {
		got := o.as(t, pat, "GET", path+"?limit=1", "").want(t, 403)
		if strings.Contains(got.body, "hidden") {
			t.Errorf("%s: %s", path, got.body)
		}
		o.as(t, pat, "GET", path+"?limit=1", "", "X-Active-Tenant-ID", "beta").want(t, 200, `"beta-hidden-1"`)
	}
}
