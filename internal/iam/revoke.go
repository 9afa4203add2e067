package iam

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

func parseRevoke(r *http.Request) (iamclient.Revoke, error) {
	var in iamclient.Revoke
	if err := document(r, &in); err != nil {
		return in, err
	}
	named := 0
	for _, set := range []bool{
		!in.Token.IsZero(), in.JTI != "", in.Service != "", in.Issuer != "", in.Role != "", in.Session != "", in.All,
	} {
		if set {
			named++
		}
	}
	switch {
	case named != 1:
		return in, invalid(countersign.ReasonParameterInvalid, "name exactly one of token, jti, service, issuer, role, session and all")
	case !in.ExpiresAt.IsZero() && in.JTI == "":
		return in, invalid(countersign.ReasonParameterInvalid, "expires_at stands beside jti only")
	case in.Subject != "" && in.Issuer == "":
		return in, invalid(countersign.ReasonParameterInvalid, "subject stands beside issuer only: a user is both")
	case !in.Before.IsZero() && in.Service == "" && in.Issuer == "" && in.Role == "" && !in.All:
		return in, invalid(countersign.ReasonParameterInvalid, "before stands beside service, issuer, role or all only")
	}
	return in, nil
}

// revoke is POST /admin/revocations: 201 when something was revoked, 202 when it holds here
// and is not stored yet, 200 when the token had ended by itself, and all that it proved.
//
// Source: RULES E1, E3, E4.
func (a *API) revoke(r *http.Request, actor admin.Actor, in iamclient.Revoke) (answer, error) {
	done := iamclient.Revocation{
		Status: iamclient.Revoked, JTI: in.JTI, Service: in.Service, Issuer: in.Issuer, Subject: in.Subject,
		Role: in.Role, Session: in.Session, All: in.All,
	}
	if !actor.SuperAdmin && in.Service == "" && in.Role == "" {
		err := countersign.NewError(countersign.Denied, countersign.ReasonNotAdministrator, "only an administrator of the platform may revoke this")
		a.recordRefused(r, actor.ID, "revoke", err)
		return answer{}, err
	}
	one := admin.Token{ID: in.JTI, ExpiresAt: in.ExpiresAt}
	if !in.Token.IsZero() {
		var ended *iamclient.Revocation
		var err error
		if one, ended, err = a.readToken(r, actor, in); err != nil || ended != nil {
			return revoked(ended), err
		}
		done.JTI = one.ID
	}
	if one.ID != "" {
		if one.ExpiresAt.IsZero() {
			one.ExpiresAt = a.now().Add(admin.MaxTokenLifetime)
		}
		if !a.now().Before(one.Over()) {
			done.Status = iamclient.AlreadyExpired
		}
	}
	many := admin.RevokeSelector{
		Issuer: in.Issuer, Subject: in.Subject, Role: in.Role, Session: in.Session, All: in.All, Before: in.Before,
	}
	var err error
	switch {
	case in.Local && done.Status != iamclient.AlreadyExpired:
		if actor.SuperAdmin { // others are refused below, and need not be asked about
			err = a.admin.Confirm(r.Context(), actor)
		}
		if err != nil {
			a.recordRefused(r, actor.ID, "revoke", err)
			return answer{}, err
		}
		stored, here := a.admin.RevokeHere(r.Context(), actor,
			admin.HereSelector{JTI: one.ID, ExpiresAt: one.ExpiresAt, Service: in.Service, RevokeSelector: many})
		if err = here; err == nil && !stored {
			done.Status = iamclient.RevokedHere
		}
	case in.Service != "":
		err = a.admin.RevokeServiceBefore(r.Context(), actor, in.Service, in.Before)
	case one.ID != "":
		err = a.admin.RevokeToken(r.Context(), actor, one)
	default:
		err = a.admin.Revoke(r.Context(), actor, many)
	}
	if err != nil {
		return answer{}, err
	}
	return revoked(&done), nil
}

// readToken returns the id and the end of a token of ours, or says that nothing is left to do.
func (a *API) readToken(r *http.Request, actor admin.Actor, in iamclient.Revoke) (one admin.Token, ended *iamclient.Revocation, err error) {
	presented := in.Token.Reveal()
	token, err := a.authn.Inspect(r, presented)
	if isRevoked(err) { // by a view that may be behind
		if behind := a.admin.CatchUp(r.Context()); behind != nil && !in.Local {
			return one, nil, behind
		} else if behind == nil {
			if token, err = a.authn.Inspect(r, presented); isRevoked(err) {
				said, _ := verify.ParseUnverified(presented) // its signature was good
				return one, &iamclient.Revocation{Status: iamclient.Revoked, JTI: said.ID}, nil
			}
		}
	}
	switch {
	case err == nil:
		return tokenToEnd(token.ID, token.ExpiresAt, token.Audience), nil, nil
	case errors.Is(err, countersign.Expired), in.Local && (isRevoked(err) || countersign.ReasonOf(err) == countersign.ReasonRevocationUnknown):
		// Its signature was good. It may live elsewhere, or a session that it proved.
		old, err := verify.ParseUnverified(presented)
		if err != nil {
			return one, &iamclient.Revocation{Status: iamclient.AlreadyExpired}, nil //nolint:nilerr // it is over, whatever it was
		}
		return tokenToEnd(old.ID, old.ExpiresAt, old.Audience), nil, nil
	case errors.Is(err, countersign.BadToken):
		// Not 401: the caller proved itself, it is the document that is wrong.
		err = countersign.WrapError(countersign.Invalid, countersign.ReasonOf(err), "this is not a token of ours", err)
	}
	a.recordRefused(r, actor.ID, "revoke", err)
	return one, nil, err
}

func isRevoked(err error) bool { return countersign.ReasonOf(err) == countersign.ReasonTokenRevoked }

// tokenToEnd: only one for the STS has proven sessions.
func tokenToEnd(id string, expires time.Time, audience []string) admin.Token {
	return admin.Token{ID: id, ExpiresAt: expires, NoSessions: !slices.Contains(audience, trust.OwnAudience)}
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
