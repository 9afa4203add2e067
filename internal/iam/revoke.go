package iam

import (
	"errors"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
)

func parseRevoke(r *http.Request) (iamclient.Revoke, error) {
	var in iamclient.Revoke
	if err := document(r, &in); err != nil {
		return in, err
	}
	named := 0
	for _, set := range []bool{!in.Token.IsZero(), in.JTI != "", in.Service != "", in.Issuer != "", in.All} {
		if set {
			named++
		}
	}
	switch {
	case named != 1:
		return in, invalid(countersign.ReasonParameterInvalid, "name exactly one of token, jti, service, issuer and all")
	case !in.ExpiresAt.IsZero() && in.JTI == "":
		return in, invalid(countersign.ReasonParameterInvalid, "expires_at stands beside jti only")
	case in.Subject != "" && in.Issuer == "":
		return in, invalid(countersign.ReasonParameterInvalid, "subject stands beside issuer only: a user is both")
	case !in.Before.IsZero() && in.Issuer == "" && !in.All:
		return in, invalid(countersign.ReasonParameterInvalid, "before stands beside issuer or all only")
	}
	return in, nil
}

// revoke is POST /admin/revocations: 201 when something was revoked, 202 when it holds here
// and is not stored yet, 200 when the token had ended by itself.
//
// Source: RULES E1, E3, E4.
func (a *API) revoke(r *http.Request, actor admin.Actor, in iamclient.Revoke) (answer, error) {
	done := iamclient.Revocation{Status: iamclient.Revoked, JTI: in.JTI, Service: in.Service, Issuer: in.Issuer, Subject: in.Subject, All: in.All}
	if !in.Token.IsZero() {
		ended, err := a.readToken(r, actor, &in)
		if err != nil || ended != nil {
			return revoked(ended), err
		}
		done.JTI = in.JTI
	}
	if in.JTI != "" {
		if in.ExpiresAt.IsZero() {
			in.ExpiresAt = a.now().Add(admin.MaxTokenLifetime)
		}
		if !a.now().Before(in.ExpiresAt.Add(admin.RevocationSlack)) {
			done.Status = iamclient.AlreadyExpired
		}
	}
	many := admin.RevokeSelector{Issuer: in.Issuer, Subject: in.Subject, All: in.All, Before: in.Before}
	var err error
	switch {
	case in.Local && done.Status != iamclient.AlreadyExpired:
		stored, here := a.admin.RevokeHere(r.Context(), actor,
			admin.HereSelector{JTI: in.JTI, ExpiresAt: in.ExpiresAt, Service: in.Service, RevokeSelector: many})
		if err = here; err == nil && !stored {
			done.Status = iamclient.RevokedHere
		}
	case in.Service != "":
		err = a.admin.RevokeService(r.Context(), actor, in.Service)
	case in.JTI != "":
		err = a.admin.RevokeToken(r.Context(), actor, in.JTI, in.ExpiresAt)
	default:
		err = a.admin.Revoke(r.Context(), actor, many)
	}
	if err != nil {
		return answer{}, err
	}
	return revoked(&done), nil
}

// readToken puts the id and the end of a token of ours into in, or says that nothing is
// left to do.
func (a *API) readToken(r *http.Request, actor admin.Actor, in *iamclient.Revoke) (*iamclient.Revocation, error) {
	token, err := a.authn.Inspect(r, in.Token.Reveal())
	switch {
	case err == nil:
		in.JTI, in.ExpiresAt = token.ID, token.ExpiresAt
		return nil, nil //nolint:nilnil // there is something left to do
	case errors.Is(err, countersign.Expired):
		return &iamclient.Revocation{Status: iamclient.AlreadyExpired}, nil
	case countersign.ReasonOf(err) == countersign.ReasonTokenRevoked:
		if err := a.admin.Settle(r.Context()); err != nil && !in.Local {
			return nil, err
		} else if err != nil {
			return &iamclient.Revocation{Status: iamclient.RevokedHere}, nil //nolint:nilerr // it holds here: that was asked for
		}
		return &iamclient.Revocation{Status: iamclient.Revoked}, nil
	case errors.Is(err, countersign.BadToken):
		// Not 401: the caller proved itself, it is the document that is wrong.
		err = countersign.WrapError(countersign.Invalid, countersign.ReasonOf(err), "this is not a token of ours", err)
	}
	a.recordRefused(r, actor.ID, "revoke", err)
	return nil, err
}

func revoked(doc *iamclient.Revocation) answer {
	switch {
	case doc == nil:
		return answer{}
	case doc.Status == iamclient.AlreadyExpired:
		return answer{status: http.StatusOK, body: *doc}
	case doc.Status == iamclient.RevokedHere:
		return answer{status: http.StatusAccepted, body: *doc}
	}
	return answer{status: http.StatusCreated, body: *doc}
}
