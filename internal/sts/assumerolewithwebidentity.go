package sts

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// assumeRoleWithWebIdentity trades a JWT for a session. The token is verified before the
// role is looked at: who proves nothing learns nothing.
//
// Source: AWS STS API reference, AssumeRoleWithWebIdentity.
func (h *Handler) assumeRoleWithWebIdentity(r *http.Request, q query, d *decision) (any, error) {
	// 1 What is asked for.
	request, err := h.parseAssume(q)
	if err != nil {
		return nil, err
	}
	d.event.Proof = "web_identity"
	// The SDKs send the token's file as it is, and a file ends with a line break.
	token := strings.TrimRight(q.form.Value("WebIdentityToken"), "\r\n")
	switch {
	case request.sessionName == "":
		return nil, missing("RoleSessionName")
	case token == "":
		return nil, missing("WebIdentityToken")
	case len(token) > maxTokenBytes:
		return nil, countersign.NewError(countersign.BadToken, countersign.ReasonTokenTooLarge, "The token is longer than 16 KiB")
	}
	a := &assumption{request: request}
	// 2 Who it is.
	if a.identity, err = h.cfg.WebIdentity.WebIdentity(r.Context(), token); err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	d.proves(&a.identity)
	// 3 What they may be, and what that may do.
	if err := h.authorise(r, a, d); err != nil {
		return nil, err
	}
	// 4 The credentials, and the event before they leave.
	credentials, err := h.issue(r, a, d)
	if err != nil {
		return nil, err
	}
	answer := h.answer(r, q.action, a, credentials)
	answer.result.Subject, answer.result.Provider = a.identity.Subject, a.identity.Issuer
	if len(a.identity.Audience) > 0 {
		answer.result.Audience = a.identity.Audience[0]
	}
	return answer, nil
}
