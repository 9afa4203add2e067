package admin

import (
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/store"
)

// newService checks what an administrator says of a service and makes the record of
// it: a fresh uid, scopes and audiences sorted and distinct.
func newService(spec ServiceSpec, now time.Time) (store.Service, error) {
	if _, err := policy.ParseName(spec.Name); err != nil {
		return store.Service{}, err
	}
	if policy.Reserved(spec.Name) {
		return store.Service{}, invalid(countersign.ReasonNameReserved, "the name is reserved")
	}
	for _, label := range []string{spec.Tenant, spec.Owner} {
		if label != "" && !countersign.ValidName(label) {
			return store.Service{}, invalid(countersign.ReasonNameInvalid, "a tenant and an owner are written like a name")
		}
	}
	scopes, err := checkScopes(spec.Scopes)
	if err != nil {
		return store.Service{}, err
	}
	audiences, err := checkAudiences(spec.Audiences)
	if err != nil {
		return store.Service{}, err
	}
	lifetime := spec.TokenLifetime
	if lifetime != 0 && (lifetime < MinTokenLifetime || lifetime > MaxTokenLifetime || lifetime%time.Second != 0) {
		return store.Service{}, invalid(countersign.ReasonParameterInvalid,
			"the token lifetime is whole seconds from 1 minute to 1 hour")
	}
	return store.Service{
		UID: randomID(16), Name: spec.Name, Tenant: spec.Tenant, Owner: spec.Owner,
		Scopes: scopes, Audiences: audiences, TokenLifetime: lifetime,
		Revision: 1, CreatedAt: now, UpdatedAt: now,
	}, nil
}

func checkScopes(asked []string) ([]string, error) {
	if len(asked) > MaxGranted {
		return nil, countersign.NewError(countersign.BadScope, countersign.ReasonParameterInvalid, "a service has at most 64 scopes")
	}
	length := 0
	for _, scope := range asked {
		if !policy.ValidScope(scope) {
			return nil, countersign.NewError(countersign.BadScope, countersign.ReasonParameterInvalid,
				"a scope is printable ASCII without spaces, quotes and backslashes")
		}
		length += len(scope) + 1
	}
	// More could never be asked for in one token request.
	if length > policy.MaxScopeBytes+1 {
		return nil, countersign.NewError(countersign.BadScope, countersign.ReasonParameterInvalid, "the scopes are too long together")
	}
	return sortedDistinct(asked), nil
}

func checkAudiences(asked []string) ([]string, error) {
	if len(asked) > MaxGranted {
		return nil, countersign.NewError(countersign.BadTarget, countersign.ReasonParameterInvalid, "a service has at most 64 audiences")
	}
	for _, audience := range asked {
		if _, err := policy.ParseAudience(audience); err != nil {
			return nil, err
		}
	}
	return sortedDistinct(asked), nil
}

// sortedDistinct never returns nil, so that an empty list reads as [] everywhere.
func sortedDistinct(values []string) []string {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return append([]string{}, slices.Compact(sorted)...)
}

// wellFormedTokenID reports whether id can be the jti of a token of ours.
func wellFormedTokenID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
