package iam

import (
	"net/http"
	"strconv"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/web"
)

// scopeAuditWrite lets a service report what it decided.
const scopeAuditWrite = "audit:write"

// administrator proves that the local administrator sent r (RULES G1). Anybody else
// is refused, and the refusal recorded.
func (a *API) administrator(r *http.Request, action string) (admin.Actor, error) {
	caller, err := a.authn.Caller(r)
	if err != nil {
		return admin.Actor{}, a.refuseStranger(r, action, err)
	}
	if !caller.LocalAdmin {
		return admin.Actor{}, a.refuseCaller(r, action, caller, countersign.NewError(countersign.Denied,
			countersign.ReasonNotAdministrator, "only the administrator on the server's own machine may do this"))
	}
	return admin.Actor{
		ID:         "local:" + strconv.FormatUint(uint64(caller.UID), 10),
		RequestID:  web.RequestID(r.Context()),
		ClientAddr: clientAddr(r),
		Proof:      "unix_socket",
		SuperAdmin: true,
	}, nil
}

// receiver proves that a service sent r that may report decisions. A user's token is
// refused, alone or beside a service's.
func (a *API) receiver(r *http.Request, action string) (*countersign.Principal, error) {
	caller, err := a.authn.Caller(r)
	if err != nil {
		return nil, a.refuseStranger(r, action, err)
	}
	p := caller.Principal
	switch {
	case p != nil && !p.User.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonUserNotAllowed, "this is for services alone")
	case p == nil || p.Service.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonServiceRequired, "this is for services: bring a service token")
	case !p.Service.HasScope(scopeAuditWrite):
		err = countersign.NewError(countersign.Denied, countersign.ReasonScopeMissing, "the token lacks the scope "+scopeAuditWrite)
	default:
		return p, nil
	}
	return nil, a.refuseCaller(r, action, caller, err)
}

// refuseStranger counts the refusal of somebody who proved nothing.
func (a *API) refuseStranger(r *http.Request, action string, err error) error {
	a.audit.RecordRefused(r.Context(), a.refusal(r, action, err))
	return err
}

// refuseCaller records the refusal of somebody whom we know.
func (a *API) refuseCaller(r *http.Request, action string, caller authn.Caller, err error) error {
	e := a.refusal(r, action, err)
	if uid, ok := web.PeerUID(r.Context()); ok {
		e.Actor, e.Proof = "local:"+strconv.FormatUint(uint64(uid), 10), "unix_socket"
	}
	if p := caller.Principal; p != nil && !p.IsZero() {
		e.Proof = "jwt"
		e.Service, e.ServiceUID, e.TokenID = p.Service.Name, p.Service.UID, p.Service.Proof.TokenID
		e.UserIssuer, e.User = p.User.Issuer, p.User.Subject
		if !p.Service.IsZero() {
			e.Actor = "service:" + p.Service.Name
		}
	}
	if e.Actor == "" {
		a.audit.RecordRefused(r.Context(), e)
		return err
	}
	a.audit.RecordDetached(r.Context(), e)
	return err
}

// recordRefused records that an administrator's request was refused before it came
// to package admin.
func (a *API) recordRefused(r *http.Request, actor, action string, err error) {
	e := a.refusal(r, action, err)
	e.Actor, e.Proof = actor, "unix_socket"
	a.audit.RecordDetached(r.Context(), e)
}

func (a *API) refusal(r *http.Request, action string, err error) audit.Event {
	return audit.Event{
		ID: web.RequestID(r.Context()), Time: a.now().UTC(), Action: action, Decision: audit.Refused,
		Reason: string(countersign.ReasonOf(err)), ClientAddr: clientAddr(r), Method: r.Method,
	}
}

func clientAddr(r *http.Request) string {
	if addr := web.ClientAddr(r.Context()); addr.IsValid() {
		return addr.String()
	}
	return ""
}
