package iam

import (
	"net/http"
	"strconv"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/policy"
)

// me is GET /me: who calls, what they may do, and where they belong.
//
// Source: DESIGN §8.
func (a *API) me(w http.ResponseWriter, r *http.Request) error {
	actor, caller, err := a.whoAsks(r, "me")
	if err != nil {
		return err
	}
	out := iamclient.Me{
		Service: caller.Principal.Service.Name, Tenant: actor.Tenant, SuperAdmin: actor.SuperAdmin,
		Roles: []string{policy.RoleSuperAdmin}, Permissions: policy.UserPermissions(), Tenants: []iamclient.Membership{},
	}
	switch u := caller.User; {
	case u != nil:
		out.ID, out.Issuer, out.Subject = u.ID, u.Issuer, u.Subject
		out.Roles, out.Permissions, out.Tenants = texts(u.Roles()), held(u), memberships(u)
	case caller.Login != "":
		out.Login = caller.Login
	default:
		out.LocalAdministrator = "local:" + strconv.FormatUint(uint64(caller.UID), 10)
	}
	if caller.User == nil && !actor.SuperAdmin { // the request names a tenant
		out.Roles = []string{policy.RoleTenantAdmin}
	}
	return answer{status: http.StatusOK, body: out}.write(w)
}

// myTenants is GET /me/tenants: where the user belongs.
//
// Source: DESIGN §8.
func (a *API) myTenants(w http.ResponseWriter, r *http.Request) error {
	_, caller, err := a.whoAsks(r, "me")
	if err != nil {
		return err
	}
	out := iamclient.MembershipList{Items: []iamclient.Membership{}}
	if caller.User != nil {
		out.Items = memberships(caller.User)
	}
	return answer{status: http.StatusOK, body: out}.write(w)
}

func (a *API) whoAsks(r *http.Request, action string) (actor admin.Actor, caller authn.Caller, err error) {
	if actor, caller, err = a.enter(r, action, a.actorOfUser); err == nil {
		_, err = query(r)
	}
	return actor, caller, err
}

func memberships(u *authn.User) []iamclient.Membership {
	list := make([]iamclient.Membership, 0, len(u.Memberships))
	for _, m := range u.Memberships {
		list = append(list, iamclient.Membership{Tenant: m.Tenant, Roles: texts(m.Roles)})
	}
	return list
}

// held are the permissions of a user in the active tenant.
func held(u *authn.User) []string {
	list := []string{}
	for _, p := range policy.UserPermissions() {
		if u.Rights.May(p, u.Tenant) {
			list = append(list, p)
		}
	}
	return list
}

// texts is never null in JSON.
func texts(list []string) []string { return append([]string{}, list...) }
