package authn

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/trust"
)

// UserTokens proves users by the tokens of other issuers; trust.Verifier does.
type UserTokens interface {
	// UserToken returns who a user's token is about.
	//
	// Errors: countersign.BadToken, Expired, Upstream, Unavailable, Internal.
	UserToken(ctx context.Context, token string) (trust.Identity, error)
}

// activeTenant is the header by which a user says in which tenant a request is meant. It is
// a hint: who is no member there is refused.
const activeTenant = "X-Active-Tenant-Id"

// Membership is that a user belongs to a tenant.
type Membership struct {
	Tenant string
	// Roles are those of the token and those that were assigned here; sorted, distinct.
	Roles []string
}

// User is a proven user as our own API sees them.
type User struct {
	ID string
	// Issuer and Subject are the proven pair; Token is what the token says.
	Issuer, Subject string
	Token           trust.Identity
	// Rights are what the user may do; with a hint, what is left of it in that tenant.
	Rights policy.Rights
	// SuperAdmin: the user is one, whatever the hint leaves.
	SuperAdmin bool
	// Tenant is the active one: that of the hint, else the token's, else the only one; "" =
	// none, or the platform. Hinted: the request has named it.
	Tenant string
	Hinted bool
	// Memberships are all of the user's, in order of tenant.
	Memberships []Membership
}

// Membership returns the user's roles in a tenant; ok is false for who is no member.
func (u *User) Membership(tenant string) (m Membership, ok bool) {
	for _, m := range u.Memberships {
		if m.Tenant == tenant {
			return m, true
		}
	}
	return Membership{}, false
}

// Roles returns the user's roles in the active tenant, with super-admin where that is one. In
// a tenant that the request has named, a super-admin is what [policy.Rights.Within] leaves.
func (u *User) Roles() []string {
	m, _ := u.Membership(u.Tenant)
	switch {
	case !u.SuperAdmin:
		return m.Roles
	case u.Hinted:
		roles := append(slices.Clone(m.Roles), policy.RoleTenantAdmin)
		slices.Sort(roles)
		return slices.Compact(roles)
	}
	return append(slices.Clone(m.Roles), policy.RoleSuperAdmin)
}

// User proves who a user's token is about, and finds out what that user may do: hint is the
// tenant that the request names, "" = none.
//
// Errors: those of UserTokens.UserToken; countersign.Denied (the user is disabled, or no
// member of the tenant), with which the proven user is returned for the audit event;
// countersign.Unavailable.
func (a *Authenticator) User(ctx context.Context, token, hint string) (*User, error) {
	if a.users == nil {
		return nil, countersign.NewError(countersign.BadToken, countersign.ReasonIssuerUnknown, "no issuer of users is known")
	}
	id, err := a.users.UserToken(ctx, token)
	if err != nil {
		return nil, err
	}
	return a.userOf(ctx, id, hint)
}

// userOf finds out what a proven user may do.
func (a *Authenticator) userOf(ctx context.Context, id trust.Identity, hint string) (*User, error) {
	u := &User{ID: policy.UserID(id.Issuer, id.Subject), Issuer: id.Issuer, Subject: id.Subject, Token: id}
	known, err := a.registry.User(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if platform, ok := known.Record(""); ok && platform.Disabled {
		return u, countersign.NewError(countersign.Denied, countersign.ReasonUserDisabled, "the user is disabled")
	}
	if err := a.memberships(ctx, u, known); err != nil {
		return nil, err
	}
	if u.Rights, err = a.rights(ctx, u); err != nil {
		return nil, err
	}
	return u, a.choose(ctx, u, hint)
}

// memberships collects where the user belongs. What was assigned here counts for the tokens
// of the platform's issuers, and of the tenant's own in that tenant: a tenant's issuer, which
// its administrators chose, speaks for no other tenant and for no super-admin (RULES A4, A6).
func (a *Authenticator) memberships(ctx context.Context, u *User, known *registry.User) error {
	id := &u.Token
	roles := make(map[string][]string)
	if id.Tenant != "" {
		roles[id.Tenant] = append(roles[id.Tenant], policy.RoleMember)
	}
	for _, role := range id.Roles {
		switch {
		case role == policy.RoleSuperAdmin:
			u.SuperAdmin = u.SuperAdmin || id.IssuerTenant == ""
		case id.Tenant != "":
			roles[id.Tenant] = append(roles[id.Tenant], role)
		}
	}
	for _, r := range known.Records {
		switch {
		case id.IssuerTenant != "" && id.IssuerTenant != r.Tenant:
		case r.Tenant == "":
			u.SuperAdmin = u.SuperAdmin || slices.Contains(r.Roles, policy.RoleSuperAdmin)
		case r.Disabled: // there, whatever the token says
			delete(roles, r.Tenant)
		default:
			roles[r.Tenant] = append(append(roles[r.Tenant], policy.RoleMember), r.Roles...)
		}
	}
	for tenant, held := range roles {
		exists, err := a.registry.HasTenant(ctx, tenant)
		if err != nil {
			return err
		}
		if !exists {
			continue
		}
		slices.Sort(held)
		u.Memberships = append(u.Memberships, Membership{tenant, slices.Compact(held)})
	}
	slices.SortFunc(u.Memberships, func(a, b Membership) int { return compareText(a.Tenant, b.Tenant) })
	return nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// rights are those of the roles. A role that is not there, or not one of the tenant, gives
// none.
func (a *Authenticator) rights(ctx context.Context, u *User) (policy.Rights, error) {
	if u.SuperAdmin {
		return policy.SuperAdminRights(), nil
	}
	byTenant := make(map[string][]string, len(u.Memberships))
	for _, m := range u.Memberships {
		for _, name := range m.Roles {
			role, err := a.registry.UserRole(ctx, name)
			if errors.Is(err, countersign.NotFound) || err == nil && (!role.HoldsIn(m.Tenant) || name == policy.RoleSuperAdmin) {
				continue
			}
			if err != nil {
				return policy.Rights{}, err
			}
			byTenant[m.Tenant] = append(byTenant[m.Tenant], role.Permissions...)
		}
	}
	return policy.NewRights(byTenant), nil
}

// choose settles the active tenant. Whether there is a tenant that the user does not belong
// to, nobody learns from the answer.
func (a *Authenticator) choose(ctx context.Context, u *User, hint string) error {
	switch {
	case hint != "":
		_, member := u.Membership(hint)
		if !member && u.SuperAdmin {
			var err error
			if member, err = a.registry.HasTenant(ctx, hint); err != nil {
				return err
			}
		}
		if !member {
			return countersign.NewError(countersign.Denied, countersign.ReasonTenantNotMember, "you are no member of that tenant")
		}
		u.Tenant, u.Hinted, u.Rights = hint, true, u.Rights.Within(hint)
	case u.SuperAdmin: // the platform
	default:
		if _, member := u.Membership(u.Token.Tenant); member {
			u.Tenant = u.Token.Tenant
		} else if len(u.Memberships) == 1 {
			u.Tenant = u.Memberships[0].Tenant
		}
	}
	return nil
}

// TenantHint reads the header of the active tenant; "" = none came.
//
// Errors: countersign.BadHeader.
func TenantHint(h http.Header) (string, error) {
	values := h[activeTenant]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated, "X-Active-Tenant-ID came twice")
	case !countersign.ValidName(values[0]):
		return "", countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderMalformed, "X-Active-Tenant-ID is the name of a tenant")
	}
	return values[0], nil
}
