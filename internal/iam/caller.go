package iam

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/web"
)

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
	if caller.Login != "" {
		e.Actor, e.Proof = "login:"+caller.Login, "login_key"
	}
	if p := caller.Principal; p != nil && !p.IsZero() {
		e.Proof = "jwt"
		e.Service, e.ServiceUID, e.TokenID = p.Service.Name, p.Service.UID, p.Service.Proof.TokenID
		e.UserIssuer, e.User = p.User.Issuer, p.User.Subject
		switch {
		case !p.User.IsZero():
			e.Actor = "user:" + p.User.Issuer + "|" + p.User.Subject
		case !p.Service.IsZero():
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

// answered records that a service was told of people: how much of it, and nothing that is
// theirs. It is buffered: nothing was changed by it.
func (a *API) answered(r *http.Request, action string, caller *countersign.Principal, detail string) {
	a.audit.RecordDetached(r.Context(), audit.Event{
		ID: web.RequestID(r.Context()), Time: a.now().UTC(), Action: action, Decision: audit.Allowed, Reason: string(countersign.ReasonOK),
		Actor: "service:" + caller.Service.Name, Service: caller.Service.Name, ServiceUID: caller.Service.UID, TokenID: caller.Service.Proof.TokenID,
		Proof: "jwt", ClientAddr: clientAddr(r), Method: r.Method, Detail: detail,
	})
}

// recordRefused records that an administrator's request was refused before it came
// to package admin.
func (a *API) recordRefused(r *http.Request, actor, action string, err error) {
	e := a.refusal(r, action, err)
	switch kind, _, _ := strings.Cut(actor, ":"); kind {
	case "local":
		e.Proof = "unix_socket"
	case "login":
		e.Proof = "login_key"
	default:
		e.Proof = "jwt"
	}
	e.Actor = actor
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
