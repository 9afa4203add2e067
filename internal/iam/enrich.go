package iam

import (
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/policy"
)

// enrich is POST /system/enrich: what is true of a user's token here. The tenant is a hint
// in the request and verified in the answer. The token is in the body, since this is for
// services alone; a token that is refused is a 400 of the body, not a 401 of the caller.
//
// Source: DESIGN §8.
func (a *API) enrich(w http.ResponseWriter, r *http.Request) error {
	const action = "enrich"
	caller, err := a.machine(r, action, policy.ScopeS2S)
	if err != nil {
		return err
	}
	u, err := a.enriched(r, caller)
	if err != nil {
		return a.refuseCaller(r, action, authn.Caller{Principal: caller}, err)
	}
	// Who it was, as the id that the API has for them: no name and no address.
	a.answered(r, action, caller, "user="+u.ID+" tenant="+u.Tenant)
	return answer{status: http.StatusOK, body: iamclient.Enriched{
		UserID: u.ID, Issuer: u.Issuer, Subject: u.Subject, Tenant: u.Tenant, Roles: texts(u.Roles()), Permissions: held(u),
		Scopes: texts(u.Token.Scopes), SuperAdmin: u.SuperAdmin && !u.Hinted, Tenants: memberships(u), ExpiresAt: u.Token.ExpiresAt,
	}}.write(w)
}

func (a *API) enriched(r *http.Request, caller *countersign.Principal) (*authn.User, error) {
	var in iamclient.Enrich
	if err := document(r, &in); err != nil {
		return nil, err
	}
	if in.Tenant != "" && !countersign.ValidName(in.Tenant) {
		return nil, invalid(countersign.ReasonParameterInvalid, "tenant is the name of a tenant")
	}
	hint := in.Tenant
	if of := caller.Service.Tenant; of != "" { // it learns nothing of other tenants
		if hint != "" && hint != of {
			return nil, countersign.NewError(countersign.Denied, countersign.ReasonTenantNotMember, "the service belongs to another tenant")
		}
		hint = of
	}
	u, err := a.authn.User(r.Context(), in.Token, hint)
	switch code := countersign.CodeOf(err); {
	case err == nil:
	case code == countersign.BadToken || code == countersign.Expired:
		return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonOf(err), "the user's token is not valid", err)
	default:
		return nil, err
	}
	if caller.Service.Tenant != "" {
		u.Memberships = []authn.Membership{{Tenant: u.Tenant, Roles: u.Roles()}}
	}
	return u, nil
}
