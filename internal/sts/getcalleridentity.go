package sts

import (
	"errors"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/web"
)

// signer proves who signed the request.
//
// Errors: countersign.Unauthenticated, BadHeader, BadClient, BadSignature, Skewed,
// BodyMismatch, Expired, BadToken, Unavailable.
func (h *Handler) signer(r *http.Request, q query, d *decision) (*authn.Session, error) {
	d.event.Proof = "session"
	s, err := h.cfg.Sessions.Authenticate(r, authn.SignedFor{Service: "sts", BodyHash: q.bodyHash})
	if errors.Is(err, countersign.Invalid) { // of the signature: a parameter is another matter
		return nil, countersign.WrapError(countersign.BadHeader, countersign.ReasonOf(err), countersign.MessageOf(err), err)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	d.known = true
	d.event.Role, d.event.Session = s.Role.Name, s.AccessKeyID
	d.event.Service, d.event.ServiceUID = s.Service, s.ServiceUID
	if s.Service == "" {
		d.event.UserIssuer, d.event.User = s.Issuer, s.Subject
	}
	return s, nil
}

// getCallerIdentity says whose session signs.
//
// Source: AWS STS API reference, GetCallerIdentity.
func (h *Handler) getCallerIdentity(r *http.Request, q query, d *decision) (any, error) {
	s, err := h.signer(r, q, d)
	if err != nil {
		return nil, err
	}
	body := callerBody{Namespace: namespace, Metadata: metadata{requestID(r)}}
	body.Result.ARN = h.sessionARN(s.Role.Name, s.Name)
	body.Result.UserID = roleID(s.RoleUID) + ":" + s.Name
	body.Result.Account = h.cfg.AccountID
	return body, nil
}

func requestID(r *http.Request) string { return web.RequestID(r.Context()) }
