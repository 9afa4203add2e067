package iam

import "github.com/countersign/countersign/internal/web"

// userRoutes are those of the user-context family that are no resource kinds: tenants,
// users and oneself.
func (a *API) userRoutes() map[string]web.Handler {
	return map[string]web.Handler{
		"GET /me":                               a.me,
		"GET /me/tenants":                       a.myTenants,
		"GET /tenants":                          operation(a, a.userContext, "tenant.list", parsePage, a.listTenants),
		"GET /tenants/{id}":                     operation(a, a.userContext, "tenant.get", parseTenantID, a.getTenant),
		"PUT /tenants/{id}":                     operation(a, a.userContext, "tenant.change", parsePutTenant, a.putTenant),
		"DELETE /tenants/{id}":                  operation(a, a.userContext, "tenant.delete", parseDeleteTenant, a.deleteTenant),
		"GET /admin/sessions":                   operation(a, a.userContext, "session.list", parsePage, a.listSessions),
		"GET /admin/users":                      operation(a, a.userContext, "user.list", parsePage, a.listUsers),
		"POST /admin/users":                     operation(a, a.userContext, "user.create", parseAddUser, a.addUser),
		"GET /admin/users/{id}":                 operation(a, a.userContext, "user.get", parseTenantID, a.getUser),
		"PATCH /admin/users/{id}":               operation(a, a.userContext, "user.change", parsePatchUser, a.patchUser),
		"DELETE /admin/users/{id}":              operation(a, a.userContext, "user.delete", parseChangeUser, a.deleteUser),
		"PUT /admin/users/{id}/roles/{role}":    operation(a, a.userContext, "user.role.assign", parseChangeUser, a.assignRole),
		"DELETE /admin/users/{id}/roles/{role}": operation(a, a.userContext, "user.role.remove", parseChangeUser, a.removeRole),
	}
}
