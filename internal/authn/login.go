package authn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/loginproof"
	"github.com/countersign/countersign/internal/store"
)

// maxProvenBody bounds the body that a login proves, in bytes: it is held in memory.
const maxProvenBody = 16 << 20

// Logins are the logins of administrators at other machines (RULES G2), and what was used
// once; the store has both.
type Logins interface {
	Login(ctx context.Context, id string) (store.Login, error)
	UseOnce(ctx context.Context, key string, until, now time.Time) (first bool, err error)
}

// login proves an administrator at another machine by a signature over this request. The
// store is asked each time: what was ended is ended at once, everywhere.
//
// Errors: countersign.BadHeader, BadToken, Expired, Skewed, TooLarge, Unavailable.
func (a *Authenticator) login(r *http.Request) (Caller, error) {
	proof, err := loginproof.Parse(r.Header)
	if err != nil {
		return Caller{}, err //nolint:wrapcheck // it has its words
	}
	if a.logins == nil {
		return Caller{}, errLoginUnknown
	}
	known, err := a.knownLogin(r.Context(), proof.Login)
	if err != nil {
		return Caller{}, err
	}
	now := a.now()
	claims, err := proof.Verify(known.Public, a.issuer, r, now)
	if err != nil {
		return Caller{}, err //nolint:wrapcheck // it has its words
	}
	// Only who has the key learns that the login has ended.
	if !now.Before(known.ExpiresAt) {
		return Caller{}, errLoginEnded
	}
	if err := provenBody(r, claims); err != nil {
		return Caller{}, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead || slices.Contains(a.once, r.URL.Path) {
		first, err := a.logins.UseOnce(r.Context(), "login:"+proof.Login+":"+claims.ID, claims.Ends(), now)
		if err != nil {
			return Caller{}, err //nolint:wrapcheck // it has its words
		}
		if !first {
			return Caller{}, countersign.NewError(countersign.BadToken, countersign.ReasonProofReplayed, "this request was sent before")
		}
	}
	return Caller{Login: known.ID, Principal: &countersign.Principal{}}, nil
}

func (a *Authenticator) knownLogin(ctx context.Context, id string) (store.Login, error) {
	known, err := a.logins.Login(ctx, id)
	if errors.Is(err, countersign.NotFound) {
		return store.Login{}, errLoginUnknown
	}
	return known, err //nolint:wrapcheck // it has its words
}

// provenBody reads the body, holds it against the proof, and puts it back.
func provenBody(r *http.Request, claims loginproof.Claims) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxProvenBody+1))
	switch {
	case err != nil:
		return countersign.WrapError(countersign.Invalid, countersign.ReasonBodyInvalid, "the body can't be read", err)
	case len(body) > maxProvenBody:
		return countersign.NewError(countersign.TooLarge, countersign.ReasonBodyTooLarge, "the body is too large")
	case loginproof.HashBody(body) != claims.BodyHash:
		return countersign.NewError(countersign.BadToken, countersign.ReasonBodyMismatch, "the login does not prove this request")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

var (
	errLoginUnknown = countersign.NewError(countersign.BadToken, countersign.ReasonLoginUnknown, "the login is not known, or was ended: log in again")
	errLoginEnded   = countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, "the login has ended: log in again")
)
