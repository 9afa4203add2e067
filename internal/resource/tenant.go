package resource

import (
	"slices"
	"unicode"

	"github.com/countersign/countersign/internal/policy"
)

// MaxDisplayName bounds what people call a tenant or a user, in bytes.
const MaxDisplayName = 256

// Tenant is a customer: what is its own carries its name. It has no tenant itself.
type Tenant struct {
	DisplayName string `json:"display_name,omitempty"`
}

// UserRole is what users may do who hold it in a tenant: in its own tenant, or in every one
// where it is of the platform.
type UserRole struct {
	Permissions []string `json:"permissions"`
}

func readTenant(f *fields) *Tenant {
	if f.has("tenant") {
		f.wrong("tenant", "does not go with a Tenant: it belongs to the platform")
	}
	t := &Tenant{DisplayName: f.text("display_name")}
	if !ValidDisplayName(t.DisplayName) {
		f.wrong("display_name", "must have at most 256 bytes, all printable")
	}
	return t
}

// ValidDisplayName reports whether a text can be shown as a name; "" can.
func ValidDisplayName(text string) bool {
	if len(text) > MaxDisplayName {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

func readUserRole(f *fields) *UserRole {
	permissions := f.texts("permissions", maxItems)
	f.required("permissions")
	f.each("permissions", permissions, func(text string) string {
		if policy.KnownUserPermission(text) {
			return ""
		}
		if near := nearest(text, policy.UserPermissions()); near != "" {
			return "unknown permission; did you mean " + near + "?"
		}
		return "unknown permission"
	})
	if _, built := policy.BuiltInRole(f.r.document.Name); built {
		f.wrong("name", "the role is built in")
	}
	role := &UserRole{Permissions: sorted(permissions)}
	if role.Permissions == nil {
		role.Permissions = []string{}
	}
	slices.Sort(role.Permissions)
	return role
}
