package iam

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/web"
)

// The scopes of our own API.
const (
	// scopeAuditWrite lets a service report what it decided.
	scopeAuditWrite = "audit:write"
	// scopeApply lets a service write resource documents (RULES G4).
	scopeApply = "iam:apply"
	// scopeAdmin lets a service administer for a user, where iam.mode is s2s (RULES G3).
	scopeAdmin = "iam:admin"
)

// Mode says what a request on a user's route brings besides the user's token (RULES G3).
type Mode string

// The modes.
const (
	// Forward: the user's token, which a service may have passed on beside its own.
	Forward Mode = "forward"
	// S2S: the user's token, and that of a service with the scope iam:admin.
	S2S Mode = "s2s"
)

// Every route belongs to exactly one of these families. Headers that name a user, a tenant
// or roles (X-User-Id and its like) are read by none: a bare id is no identity (RULES G3).

// userContext is the door of the user-context family: who comes in is a user, whose roles
// decide what package admin lets them do, or the local administrator. A service's token
// alone is refused, whatever its scopes.
func (a *API) userContext(r *http.Request, action string) (admin.Actor, error) {
	actor, _, err := a.enter(r, action, a.actorOfUser)
	return actor, err
}

// administrator is the door of what concerns the whole platform: super-admins alone.
func (a *API) administrator(r *http.Request, action string) (admin.Actor, error) {
	actor, _, err := a.enter(r, action, a.actorOfAdministrator)
	return actor, err
}

// resources is the door of the resource kinds: as userContext, and a service alone with the
// scope iam:apply, for objects of its own owner label and tenant (RULES G4).
func (a *API) resources(r *http.Request, action string) (admin.Actor, error) {
	actor, _, err := a.enter(r, action, a.actorOfResources)
	return actor, err
}

// decision says who a proven caller is at a door, or refuses them.
type decision func(r *http.Request, caller authn.Caller) (admin.Actor, error)

// enter proves who sent r and decides; package admin asks the same again when nobody else can
// change anything. The user that the server runs as is not asked again: there is nothing that
// could be taken from it.
func (a *API) enter(r *http.Request, action string, decide decision) (admin.Actor, authn.Caller, error) {
	caller, err := a.both(r, action)
	if err != nil {
		return admin.Actor{}, caller, err
	}
	actor, err := decide(r, caller)
	if err != nil {
		return admin.Actor{}, caller, a.refuseCaller(r, action, caller, err)
	}
	if caller.LocalAdmin && actor.SuperAdmin {
		return actor, caller, nil
	}
	actor.Again = func(ctx context.Context) (admin.Actor, error) {
		r := r.WithContext(ctx)
		now, err := a.authn.Again(r, caller)
		if errors.Is(err, authn.ErrProofChanged) {
			return admin.Actor{}, admin.ErrActorChanged
		}
		if err != nil {
			return admin.Actor{}, err
		}
		return decide(r, now)
	}
	return actor, caller, nil
}

func (a *API) actorOfAdministrator(r *http.Request, caller authn.Caller) (admin.Actor, error) {
	actor, err := a.actorOfUser(r, caller)
	if err != nil || actor.SuperAdmin {
		return actor, err
	}
	return admin.Actor{}, countersign.NewError(countersign.Denied,
		countersign.ReasonNotAdministrator, "only an administrator of the platform may do this")
}

func (a *API) actorOfResources(r *http.Request, caller authn.Caller) (admin.Actor, error) {
	if caller.LocalAdmin || caller.Login != "" || caller.User != nil {
		return a.actorOfUser(r, caller)
	}
	p := caller.Principal
	missing := lacks(scopeApply, countersign.ReasonUserRequired, "bring a user's token, or that of a service with the scope "+scopeApply)
	if !p.Service.HasScope(scopeApply) {
		return admin.Actor{}, missing
	}
	service, err := a.admin.Holder(r.Context(), p.Service.Name)
	switch {
	case err != nil:
		return admin.Actor{}, err
	case service.UID != p.Service.UID, service.Disabled: // one of the same name has nothing of it (RULES A5)
		return admin.Actor{}, countersign.NewError(countersign.BadToken, countersign.ReasonTokenRevoked, "the token is not valid")
	case !slices.Contains(service.Scopes, scopeApply): // a replica that was cut off may have minted it since
		return admin.Actor{}, missing
	}
	return admin.Actor{
		ID: "service:" + p.Service.Name, RequestID: web.RequestID(r.Context()), ClientAddr: clientAddr(r), Proof: "jwt",
		Service: p.Service.Name, ServiceUID: p.Service.UID,
		Rights: policy.ApplyRights(service.Tenant), Tenant: service.Tenant, Owner: service.Name,
		Scopes: service.Scopes, Audiences: service.Audiences,
	}, nil
}

// machine is the door of the machine-only family: services alone, whose token has the scope.
// A user's token is refused, alone or beside a service's, whatever it says.
func (a *API) machine(r *http.Request, action, scope string) (*countersign.Principal, error) {
	caller, err := a.both(r, action)
	if err != nil {
		return nil, err
	}
	p := caller.Principal
	switch {
	case caller.User != nil || !p.User.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonUserNotAllowed, "this is for services that come without a user")
	case p.Service.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonServiceRequired, "this is for services: bring a service token")
	case !p.Service.HasScope(scope):
		err = lacks(scope, countersign.ReasonScopeMissing, "the token lacks the scope "+scope)
	default:
		return p, nil
	}
	return nil, a.refuseCaller(r, action, caller, err)
}

func (a *API) both(r *http.Request, action string) (authn.Caller, error) {
	caller, err := a.authn.Both(r)
	switch {
	case err == nil:
		return caller, nil
	case caller.Principal != nil && !caller.Principal.IsZero():
		return caller, a.refuseCaller(r, action, caller, err)
	}
	return caller, a.refuseStranger(r, action, err)
}

// actorOfUser is the local administrator, or a user as far as iam.mode lets them in.
func (a *API) actorOfUser(r *http.Request, caller authn.Caller) (admin.Actor, error) {
	actor := admin.Actor{RequestID: web.RequestID(r.Context()), ClientAddr: clientAddr(r)}
	if caller.LocalAdmin || caller.Login != "" {
		actor.ID, actor.Proof, actor.SuperAdmin = "local:"+strconv.FormatUint(uint64(caller.UID), 10), "unix_socket", true
		if caller.Login != "" {
			actor.ID, actor.Proof = "login:"+caller.Login, "login_key"
		}
		if err := a.narrow(r, &actor); err != nil {
			return admin.Actor{}, err
		}
		return actor, nil
	}
	service := caller.Principal.Service
	var err error
	switch {
	case caller.User == nil:
		err = countersign.NewError(countersign.Denied, countersign.ReasonUserRequired, "bring a user's token: a service's alone is not enough here")
	case a.mode == S2S && service.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonServiceRequired, "users come here by a service alone")
	case a.mode == S2S && !service.HasScope(scopeAdmin):
		err = lacks(scopeAdmin, countersign.ReasonScopeMissing, "the service's token lacks the scope "+scopeAdmin)
	}
	if err != nil {
		return admin.Actor{}, err
	}
	u := caller.User
	actor.ID, actor.Proof = "user:"+u.Issuer+"|"+u.Subject, "jwt"
	actor.UserIssuer, actor.User, actor.Service, actor.ServiceUID = u.Issuer, u.Subject, service.Name, service.UID
	actor.SuperAdmin, actor.Rights, actor.Tenant = u.Rights.SuperAdmin(), u.Rights, u.Tenant
	actor.Scopes = u.Token.Scopes
	return actor, nil
}

// narrow makes an administrator of the platform one of the tenant that the request names, as
// it does a user who is one.
//
// Errors: countersign.BadHeader, Denied (there is no such tenant), Unavailable.
func (a *API) narrow(r *http.Request, actor *admin.Actor) error {
	tenant, err := authn.TenantHint(r.Header)
	if err != nil || tenant == "" {
		return err
	}
	if err := a.admin.CheckTenant(r.Context(), tenant); err != nil {
		return err
	}
	actor.Tenant, actor.SuperAdmin, actor.Rights = tenant, false, policy.SuperAdminRights().Within(tenant)
	return nil
}

// scopeError is a refusal for want of a scope, which the challenge names.
type scopeError struct {
	error
	scope string
}

// Unwrap returns the refusal.
func (e *scopeError) Unwrap() error { return e.error }

func lacks(scope string, reason countersign.Reason, msg string) error {
	return &scopeError{countersign.NewError(countersign.Denied, reason, msg), scope}
}

// wantedScope is the scope that would have been enough; "" = that was not it.
func wantedScope(err error) string {
	if e, ok := errors.AsType[*scopeError](err); ok {
		return e.scope
	}
	return ""
}
