package authn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/sigv4"
)

// SessionsConfig of [NewSessions]. Sealer and Registry are required.
type SessionsConfig struct {
	Sealer   *session.Sealer
	Registry *registry.Registry
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Sessions proves who signs a request with temporary credentials. It keeps nothing: a
// session is opened from its own token, and its role, its trust statement and what was
// revoked are asked for anew (RULES A5, E4). Safe for concurrent use.
type Sessions struct{ cfg SessionsConfig }

// NewSessions returns a Sessions.
//
// Errors: countersign.Invalid.
func NewSessions(cfg SessionsConfig) (*Sessions, error) {
	if cfg.Sealer == nil || cfg.Registry == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "sessions need a sealer and a registry")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sessions{cfg: cfg}, nil
}

// Session is a session that is alive, with its role as it is now.
type Session struct {
	session.Session
	Role *registry.Role
}

// SignedFor is what the signature of a request must be for.
type SignedFor struct {
	// Service is that of the credential scope: "sts", "s3".
	Service string
	// BodyHash is the SHA-256 of the body in hex, used where the request does not say.
	BodyHash string
}

// Authenticate proves that r was signed with the secret of a session that is alive.
//
// Errors: countersign.Unauthenticated (no signature), BadHeader, Invalid, BadClient (the
// session does not open), BadSignature, BodyMismatch, Skewed, Expired, BadToken (the session
// was revoked, its role or trust is another one now, or its user disabled), Unavailable.
// Source: AWS SigV4, "Authenticating requests".
func (s *Sessions) Authenticate(r *http.Request, want SignedFor) (*Session, error) {
	signed, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	opened, secret, err := s.open(signed)
	if err != nil {
		return nil, err
	}
	// Only now is the request itself believed: so far the token proved that we made it.
	err = signed.Verify(sigv4.VerifyOptions{Secret: secret, Service: want.Service, BodyHash: want.BodyHash, Now: s.cfg.Now()})
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	return s.alive(r.Context(), opened)
}

// open takes the prefix of the id for the kind of key (RULES D5): a temporary one comes with
// a token, and a token with nothing else.
func (s *Sessions) open(signed *sigv4.Request) (session.Session, countersign.Secret, error) {
	if !strings.HasPrefix(signed.AccessKeyID, "ASIA") || signed.SessionToken.IsZero() {
		return session.Session{}, countersign.Secret{}, errSessionUnknown(nil)
	}
	opened, secret, err := s.cfg.Sealer.Open(signed.AccessKeyID, signed.SessionToken)
	switch {
	case err == nil, errors.Is(err, countersign.Expired), errors.Is(err, countersign.Unavailable):
		return opened, secret, err //nolint:wrapcheck // it has its words
	}
	return session.Session{}, countersign.Secret{}, errSessionUnknown(err)
}

// alive holds a session against what is true now.
func (s *Sessions) alive(ctx context.Context, opened session.Session) (*Session, error) {
	revoked, err := s.cfg.Registry.SessionRevoked(ctx, registry.FactsOf(opened))
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if revoked {
		return nil, countersign.NewError(countersign.BadToken, countersign.ReasonSessionRevoked, sayEnded)
	}
	role, err := s.cfg.Registry.Role(ctx, opened.Role)
	if errors.Is(err, countersign.NotFound) {
		return nil, errSessionEnded
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if role.UID != opened.RoleUID || role.Broker != nil || !role.TrustsStill(opened.Fingerprint) {
		return nil, errSessionEnded
	}
	open, err := s.cfg.Registry.StillOpen(ctx, role, opened)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if !open {
		return nil, errSessionEnded
	}
	disabled, err := s.cfg.Registry.SessionUserDisabled(ctx, role, opened)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if disabled {
		return nil, errUserDisabled
	}
	return &Session{Session: opened, Role: role}, nil
}

const sayEnded = "The security token included in the request is invalid"

var (
	errSessionEnded = countersign.NewError(countersign.BadToken, countersign.ReasonSessionEnded, sayEnded)
	errUserDisabled = countersign.NewError(countersign.BadToken, countersign.ReasonUserDisabled, sayEnded)
)

func errSessionUnknown(cause error) error {
	return countersign.WrapError(countersign.BadClient, countersign.ReasonClientUnknown, sayEnded, cause)
}
