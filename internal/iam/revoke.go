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
	for _, set := range []bool{!in.Token.IsZero(), in.JTI != "", in.Service != ""} {
		if set {
			named++
		}
	}
	if named != 1 {
		return in, invalid(countersign.ReasonParameterInvalid, "name exactly one of token, jti and service")
	}
	if !in.ExpiresAt.IsZero() && in.JTI == "" {
		return in, invalid(countersign.ReasonParameterInvalid, "expires_at stands beside jti only")
	}
	return in, nil
}

// revoke is POST /admin/revocations: 201 when something was revoked, 200 when the
// token had ended by itself.
//
// Source: RULES E1, E3.
func (a *API) revoke(r *http.Request, actor admin.Actor, in iamclient.Revoke) (answer, error) {
	if in.Service != "" {
		if err := a.admin.RevokeService(r.Context(), actor, in.Service); err != nil {
			return answer{}, err
		}
		return revoked(iamclient.Revocation{Status: iamclient.Revoked, Service: in.Service}), nil
	}
	id, expiresAt := in.JTI, in.ExpiresAt
	if !in.Token.IsZero() {
		token, err := a.authn.Inspect(r, in.Token.Reveal())
		switch {
		case errors.Is(err, countersign.Expired):
			return revoked(iamclient.Revocation{Status: iamclient.AlreadyExpired}), nil
		case countersign.ReasonOf(err) == countersign.ReasonTokenRevoked:
			if err := a.admin.Settle(r.Context()); err != nil {
				return answer{}, err
			}
			return revoked(iamclient.Revocation{Status: iamclient.Revoked}), nil
		case errors.Is(err, countersign.BadToken):
			// Not 401: the caller proved itself, it is the document that is wrong.
			err = countersign.WrapError(countersign.Invalid, countersign.ReasonOf(err), "this is not a token of ours", err)
			a.recordRefused(r, actor.ID, "revoke", err)
			return answer{}, err
		case err != nil:
			a.recordRefused(r, actor.ID, "revoke", err)
			return answer{}, err
		}
		id, expiresAt = token.ID, token.ExpiresAt
	}
	if expiresAt.IsZero() {
		expiresAt = a.now().Add(admin.MaxTokenLifetime)
	}
	if err := a.admin.RevokeToken(r.Context(), actor, id, expiresAt); err != nil {
		return answer{}, err
	}
	status := iamclient.Revoked
	if !a.now().Before(expiresAt.Add(admin.RevocationSlack)) {
		status = iamclient.AlreadyExpired
	}
	return revoked(iamclient.Revocation{Status: status, JTI: id}), nil
}

func revoked(doc iamclient.Revocation) answer {
	if doc.Status == iamclient.AlreadyExpired {
		return answer{status: http.StatusOK, body: doc}
	}
	return answer{status: http.StatusCreated, body: doc}
}
