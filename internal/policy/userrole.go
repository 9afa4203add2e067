package policy

import "slices"

// The built-in user roles. A role other than RoleSuperAdmin holds in one tenant.
const (
	// RoleSuperAdmin may do everything, everywhere.
	RoleSuperAdmin = "super-admin"
	// RoleTenantAdmin has every permission in its tenant.
	RoleTenantAdmin = "tenant-admin"
	// RoleMember belongs to a tenant and may do nothing there by itself.
	RoleMember = "member"
)

// The permissions that a user role can have, each in the tenant in which it holds. Of the
// kinds, read is to see its objects and write to make, change and delete them.
const (
	TenantsRead  = "tenants.read"  // see the tenant
	TenantsWrite = "tenants.write" // change what it says
	UsersRead    = "users.read"
	UsersWrite   = "users.write" // add, change and remove users, and the roles of users
	SessionsRead = "sessions.read"
	// RevocationsWrite ends the tokens and sessions of the tenant's services and roles.
	RevocationsWrite = "revocations.write"
)

// kinds are the objects that have a permission to read and one to write.
var kinds = []string{"access-keys", "buckets", "issuers", "roles", "route-policies", "services", "user-roles"}

var permissionNames = func() []string {
	names := []string{TenantsRead, TenantsWrite, UsersRead, UsersWrite, SessionsRead, RevocationsWrite}
	for _, kind := range kinds {
		names = append(names, Read(kind), Write(kind))
	}
	slices.Sort(names)
	return names
}()

// Read is the permission to see the objects of a kind, named like its collection: services.
func Read(collection string) string { return collection + ".read" }

// Write is the permission to make, change and delete the objects of a kind.
func Write(collection string) string { return collection + ".write" }

// UserPermissions returns the closed list of permissions that a user role can have, sorted.
func UserPermissions() []string { return slices.Clone(permissionNames) }

// KnownUserPermission reports whether there is a permission of that name.
func KnownUserPermission(name string) bool {
	_, found := slices.BinarySearch(permissionNames, name)
	return found
}

// BuiltInRole returns the permissions of a built-in user role in its tenant; ok is false for
// every other name. Those of RoleSuperAdmin are no list: see [Rights].
func BuiltInRole(name string) (permissions []string, ok bool) {
	switch name {
	case RoleTenantAdmin, RoleSuperAdmin:
		return UserPermissions(), true
	case RoleMember:
		return nil, true
	}
	return nil, false
}
