package middleware

import (
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

const authenticateRule = "Authenticate"

// Authenticate verifies the tokens of a request and passes it on with the caller in
// its context ([countersign.FromContext]). A verified user's token is in the context
// too, so that package transport can forward it. It says who calls, not whether they
// may: put one of the other middlewares below it.
//
// It panics when v is nil: that is a mistake of the program, found at start.
//
// Source: RFC 6750 §2.1, §3.
func Authenticate(v TokenVerifier, options ...Option) Middleware {
	if concrete, ok := v.(*verify.Verifier); v == nil || ok && concrete == nil {
		panic("middleware: Authenticate without a verifier")
	}
	s := newSettings(v.Audience(), options)
	return func(next http.Handler) http.Handler {
		return &authenticator{settings: s, verifier: v, next: next}
	}
}

type authenticator struct {
	settings *settings
	verifier TokenVerifier
	next     http.Handler
}

// ServeHTTP implements http.Handler.
func (a *authenticator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, verified, err := a.authenticate(r)
	if err != nil {
		a.settings.deny(w, r, denial{err: err, rule: authenticateRule, caller: verified})
		return
	}
	r = r.WithContext(c)
	if a.settings.recorder != nil {
		// Deferred: a handler that panics was let in all the same.
		defer c.recordAllowed(r, a.settings.now())
	}
	a.next.ServeHTTP(w, r)
}

// authenticate returns the call. With an error it returns who was verified before that.
//
// Errors: [countersign.Unauthenticated], [countersign.BadHeader], [countersign.BadToken]
// and those of TokenVerifier.
func (a *authenticator) authenticate(r *http.Request) (*call, *countersign.Principal, error) {
	tokens, err := parseCredentials(r.Header)
	if err != nil {
		return nil, nil, err
	}
	first, err := a.verify(r, tokens.first)
	if err != nil {
		return nil, nil, err
	}
	if tokens.second == "" {
		var userToken countersign.Secret
		if !first.User.IsZero() {
			userToken = countersign.NewSecret(tokens.first)
		}
		return &call{Caller: countersign.NewCaller(r.Context(), first, userToken), settings: a.settings}, nil, nil
	}
	second, err := a.verify(r, tokens.second)
	if err != nil {
		return nil, first, err
	}
	if first.User.IsZero() || second.Service.IsZero() {
		return nil, first, errSecondToken
	}
	pair := &pairCall{principal: countersign.Principal{
		User: first.User, Service: second.Service, Scopes: second.Scopes, Tenant: first.Tenant,
	}}
	pair.settings = a.settings
	pair.Caller = countersign.NewCaller(r.Context(), &pair.principal, countersign.NewSecret(tokens.first))
	return &pair.call, nil, nil
}

// verify returns who a token is about: a user or a service, never both or neither.
func (a *authenticator) verify(r *http.Request, token string) (*countersign.Principal, error) {
	t, err := a.verifier.Verify(r.Context(), token)
	if err != nil {
		return nil, err
	}
	p := &t.Principal
	if p.User.IsZero() == p.Service.IsZero() || !p.Session.IsZero() {
		return nil, errPrincipal
	}
	return p, nil
}

var (
	errSecondToken = countersign.NewError(countersign.BadToken, countersign.ReasonSecondTokenMismatch,
		"Authorization must hold a user's token when Service-Authorization holds a service's")
	errPrincipal = countersign.NewError(countersign.BadToken, countersign.ReasonPrincipalUnsupported,
		"the token names no caller that this service knows how to judge")
)
