package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// ErrProofChanged says that what a token proves may be something else now, because a document
// of its issuer was changed: it has to be verified anew.
var ErrProofChanged = &countersign.Error{
	Code: countersign.Unavailable, Reason: countersign.ReasonStale, RetryAfter: time.Second,
	Msg: "the issuer was changed while the request was under way: try again",
}

// Again says anew who the caller is whom Both proved from r, and what they may, from what the
// registry and the store have now. Others wait meanwhile, so no foreign server is asked: what a
// user's token said is believed again for as long as the documents of its issuer are the same.
//
// Errors: as Both, but Upstream; [ErrProofChanged].
func (a *Authenticator) Again(r *http.Request, before Caller) (Caller, error) {
	switch {
	case before.LocalAdmin:
		return before, nil
	case before.Login != "":
		return before, a.loginLives(r.Context(), before.Login)
	case before.User == nil:
		return a.Caller(r)
	}
	found, err := parseBearers(r.Header)
	if err != nil {
		return Caller{}, err
	}
	hint, err := TenantHint(r.Header)
	if err != nil {
		return Caller{}, err
	}
	service, err := a.beside(r.Context(), found)
	if err != nil {
		return Caller{}, err
	}
	id := before.User.Token
	documents, err := a.documents(r.Context(), id.Issuer)
	if err != nil {
		return Caller{}, err
	}
	if documents != before.documents {
		return Caller{}, ErrProofChanged
	}
	switch revoked, err := a.registry.Revoked(r.Context(), foreignFacts(id.Issuer, id.Subject, id.IssuedAt)); {
	case err != nil:
		return Caller{}, err
	case revoked:
		return Caller{}, errRevokedMeanwhile
	}
	user, err := a.userOf(r.Context(), id, hint)
	if err != nil {
		return Caller{}, err
	}
	return callerOf(user, service, documents), nil
}

// documents tells the Issuer documents of a URL from what they were and will be.
func (a *Authenticator) documents(ctx context.Context, issuer string) (string, error) {
	found, err := a.registry.Issuers(ctx, issuer)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for i := range found {
		_, _ = fmt.Fprintf(&all, "%s %d\n", found[i].UID, found[i].Revision)
	}
	return all.String(), nil
}

// loginLives refuses a login that was ended since, or has.
func (a *Authenticator) loginLives(ctx context.Context, id string) error {
	known, err := a.knownLogin(ctx, id)
	if err != nil {
		return err
	}
	if !a.now().Before(known.ExpiresAt) {
		return errLoginEnded
	}
	return nil
}

var errRevokedMeanwhile = countersign.WrapError(countersign.BadToken, countersign.ReasonTokenRevoked,
	"the token is not valid", errors.New("revoked while the request was under way"))
