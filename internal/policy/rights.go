package policy

import (
	"maps"
	"slices"
)

// Rights are what somebody may do at our own API, by tenant. The zero value is nothing.
// Shared: never changed once made.
type Rights struct {
	superAdmin bool
	// platform tells that what is said of "" counts.
	platform bool
	byTenant map[string][]string // permissions, sorted and distinct
}

// SuperAdminRights are all there are, everywhere.
func SuperAdminRights() Rights { return Rights{superAdmin: true} }

// NewRights returns permissions by tenant. The platform is no tenant: what is said of ""
// is left out.
func NewRights(byTenant map[string][]string) Rights {
	r := Rights{byTenant: make(map[string][]string, len(byTenant))}
	for tenant, permissions := range byTenant {
		if tenant == "" {
			continue
		}
		sorted := slices.Clone(permissions)
		slices.Sort(sorted)
		r.byTenant[tenant] = slices.Compact(sorted)
	}
	return r
}

// applied are the kinds that a service may write (RULES G4).
var applied = []string{"buckets", "issuers", "roles", "route-policies", "services"}

// ApplyRights are those of a service that applies documents: in its own tenant, or on the
// platform if it belongs to none (RULES G4).
func ApplyRights(tenant string) Rights {
	r := Rights{platform: true, byTenant: make(map[string][]string, 1)}
	for _, kind := range applied {
		r.byTenant[tenant] = append(r.byTenant[tenant], Read(kind), Write(kind))
	}
	slices.Sort(r.byTenant[tenant])
	return r
}

// SuperAdmin reports whether these are the rights of a super-admin.
func (r Rights) SuperAdmin() bool { return r.superAdmin }

// May reports whether the permission is held in a tenant; in "", the platform, only a
// super-admin holds any (RULES A6).
func (r Rights) May(permission, tenant string) bool {
	if r.superAdmin {
		return true
	}
	_, found := slices.BinarySearch(r.byTenant[tenant], permission)
	return found && (tenant != "" || r.platform)
}

// Anywhere reports whether the permission is held in some tenant.
func (r Rights) Anywhere(permission string) bool {
	if r.superAdmin {
		return true
	}
	for tenant := range r.byTenant {
		if r.May(permission, tenant) {
			return true
		}
	}
	return false
}

// Cover reports whether all permissions are held in a tenant: who grants them must hold
// them (RULES A7).
func (r Rights) Cover(permissions []string, tenant string) bool {
	return !slices.ContainsFunc(permissions, func(p string) bool { return !r.May(p, tenant) })
}

// Tenants returns the tenants in which the permission is held, sorted; all = everywhere.
func (r Rights) Tenants(permission string) (tenants []string, all bool) {
	if r.superAdmin {
		return nil, true
	}
	for _, tenant := range slices.Sorted(maps.Keys(r.byTenant)) {
		if r.May(permission, tenant) {
			tenants = append(tenants, tenant)
		}
	}
	return tenants, false
}

// Within returns what is left of the rights in one tenant. A super-admin keeps what an
// administrator of that tenant has.
func (r Rights) Within(tenant string) Rights {
	if r.superAdmin {
		return NewRights(map[string][]string{tenant: permissionNames})
	}
	return NewRights(map[string][]string{tenant: r.byTenant[tenant]})
}
