package routepolicy

import (
	"sync"

	"github.com/countersign/countersign/condition"
)

// The variables of a condition.
const (
	varService     = "principal.service"
	varUserIssuer  = "principal.user.issuer"
	varUserSubject = "principal.user.subject"
	varUserRoles   = "principal.user.roles"
	varScopes      = "principal.scopes"
	varTenant      = "principal.tenant"
	varRoles       = "principal.roles"
	varMethod      = "request.method"
	varPath        = "request.path"
	varPathParams  = "request.path_params"
	varTime        = "request.time"
)

// schema is made at the first use: not every program has conditions.
var schema = sync.OnceValues(func() (*condition.Schema, error) {
	return condition.NewSchema(
		condition.Variable{Name: varService, Type: condition.String},
		condition.Variable{Name: varUserIssuer, Type: condition.String},
		condition.Variable{Name: varUserSubject, Type: condition.String},
		condition.Variable{Name: varUserRoles, Type: condition.Strings, MaxLength: 64},
		condition.Variable{Name: varScopes, Type: condition.Strings, MaxLength: 64},
		condition.Variable{Name: varTenant, Type: condition.String, MaxLength: 64},
		condition.Variable{Name: varRoles, Type: condition.Strings, MaxItems: 4},
		condition.Variable{Name: varMethod, Type: condition.String, MaxLength: 32},
		condition.Variable{Name: varPath, Type: condition.String, MaxLength: maxPathBytes},
		condition.Variable{Name: varPathParams, Type: condition.StringMap, MaxItems: maxSegments},
		condition.Variable{Name: varTime, Type: condition.Time},
	)
})

// inputOf returns what conditions see of a call, but for the path's parameters.
func inputOf(c *call) condition.Input {
	p := c.principal
	input := condition.Input{
		varService: p.Service.Name, varUserIssuer: p.User.Issuer, varUserSubject: p.User.Subject,
		varUserRoles: p.User.Roles, varScopes: p.Scopes, varTenant: p.Tenant,
		varRoles: []string(nil), varMethod: c.method, varPath: c.path,
	}
	if p.Session.Role != "" {
		input[varRoles] = []string{p.Session.Role}
	}
	if !c.time.IsZero() {
		input[varTime] = c.time
	}
	return input
}
