package authn

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/sigv4"
)

// serviceS3 is what an S3 request must be signed for (RULES F4).
const serviceS3 = "s3"

// S3Config of [NewS3]. Sealer and Registry are required.
type S3Config struct {
	Sealer   *session.Sealer
	Registry *registry.Registry
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// S3 proves who signs a request of S3: a session, whose id begins with ASIA and comes with its
// token, or a service's own access key, whose id begins with AKIA and comes without one (RULES
// D5, F7). It keeps nothing: what proves a caller is asked for anew each time. Safe for
// concurrent use.
type S3 struct{ sessions *Sessions }

// NewS3 returns an S3.
//
// Errors: countersign.Invalid.
func NewS3(cfg S3Config) (*S3, error) {
	sessions, err := NewSessions(SessionsConfig(cfg))
	if err != nil {
		return nil, err
	}
	return &S3{sessions: sessions}, nil
}

// S3Options say what of a request is believed.
type S3Options struct {
	// AllowUnsigned takes a body that the signature says nothing of: over TLS or loopback only
	// (RULES F4).
	AllowUnsigned bool
}

// S3Caller is who signed a request of S3, and what they may do as of now.
type S3Caller struct {
	// Session is nil for an access key, and AccessKey for a session.
	Session   *Session
	AccessKey *registry.AccessKey
	Role      *registry.Role

	signed      *sigv4.Request
	secret      countersign.Secret
	permissions policy.Permissions    // of the role, with the caller's values
	policy      *policy.SessionPolicy // nil = the session has none
	expiresAt   time.Time
}

// Authenticate proves who signed r, and reads what they may do. The body was not looked at: it is
// read by [S3Caller.Body].
//
// Unauthenticated means that r has no material of authentication at all, and only then it may be
// served as anonymous. Every other error is a failed proof (RULES F2).
//
// Errors: countersign.Unauthenticated, BadHeader, Invalid, BadClient (an access key that is not
// known or has ended, a session that does not open), BadSignature, BodyMismatch (an unsigned body that is not
// allowed), Skewed, Expired, BadToken (revoked, or its role or trust is another one now), Denied
// (a template of the role has no value), Unavailable.
// Source: AWS SigV4, "Authenticating requests"; RULES F2, F3, F4.
func (a *S3) Authenticate(r *http.Request, o S3Options) (*S3Caller, error) {
	signed, err := sigv4.Parse(r, sigv4.ParseOptions{Path: sigv4.PathObject})
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if strings.HasPrefix(signed.AccessKeyID, prefixAccessKey) {
		return a.accessKey(r.Context(), signed, o)
	}
	return a.session(r.Context(), signed, o)
}

func (a *S3) session(ctx context.Context, signed *sigv4.Request, o S3Options) (*S3Caller, error) {
	opened, secret, err := a.sessions.open(signed)
	if err != nil {
		return nil, err
	}
	if err := a.verify(signed, secret, o); err != nil {
		return nil, err
	}
	return a.ofSession(ctx, signed, secret, opened)
}

// Renew returns the caller of a request that goes on, with what is true of it now: a transfer
// may take hours, and what ends a session or an access key, or changes a role, ends it too. c
// was proven, and its signature is not looked at again; nor is the time of the session, which
// S3 does not ask in the middle either.
//
// Errors: countersign.BadClient, BadToken, Expired, Denied, Unavailable: as [S3.Authenticate].
func (a *S3) Renew(ctx context.Context, c *S3Caller) (*S3Caller, error) {
	if c.AccessKey != nil {
		key, err := a.sessions.cfg.Registry.AccessKey(ctx, c.AccessKey.ID)
		if errors.Is(err, countersign.NotFound) || err == nil && key.UID != c.AccessKey.UID {
			return nil, errKeyEnded
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // it has its words
		}
		return a.ofAccessKey(ctx, c.signed, key)
	}
	return a.ofSession(ctx, c.signed, c.secret, c.Session.Session)
}

// ofSession reads what a session may do that was proven.
func (a *S3) ofSession(ctx context.Context, signed *sigv4.Request, secret countersign.Secret, opened session.Session) (*S3Caller, error) {
	alive, err := a.sessions.alive(ctx, opened)
	if err != nil {
		return nil, err
	}
	caller := &S3Caller{Session: alive, Role: alive.Role, signed: signed, secret: secret, expiresAt: opened.ExpiresAt}
	if caller.policy, err = policy.OpenSessionPolicy(opened.Policy); err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if err := caller.resolve(valuesOf(&opened)); err != nil {
		return nil, err
	}
	return caller, nil
}

// verify believes the request: that the caller has the secret.
func (a *S3) verify(signed *sigv4.Request, secret countersign.Secret, o S3Options) error {
	return signed.Verify(sigv4.VerifyOptions{ //nolint:wrapcheck // it has its words
		Secret: secret, Now: a.sessions.cfg.Now(), Service: serviceS3,
		BodyLater: true, AllowStreaming: true, AllowUnsigned: o.AllowUnsigned,
	})
}

// valuesOf returns what a session knows for templates. What the session does not say of itself
// was sealed into it when it was minted, for the role as it was then: a role that asks for more
// since refuses it (RULES D3).
func valuesOf(s *session.Session) func(name string) string {
	return func(name string) string {
		switch name {
		case "tenant":
			return s.Tenant
		case "service":
			return s.Service
		case "subject":
			return s.Subject
		case "role":
			return s.Role
		default:
			return s.Values[name]
		}
	}
}

// resolve puts the caller's values into the permissions of the role.
func (c *S3Caller) resolve(value func(name string) string) (err error) {
	names := c.Role.Permissions.Templates()
	if len(names) == 0 {
		c.permissions = c.Role.Permissions
		return nil
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = value(name)
	}
	c.permissions, err = c.Role.Permissions.Resolve(values)
	return err //nolint:wrapcheck // it has its words
}

// Allow reports whether the caller may do an action with a key of a bucket, or list the keys that
// start with it: what the role allows, and the session's policy as well where it has one (RULES
// D2, D7). An action is one of [policy.S3Actions].
func (c *S3Caller) Allow(action, bucket, key string) bool {
	return c != nil && c.permissions.AllowWithin(c.policy, action, bucket, key)
}

// Signed is the request that the caller signed.
func (c *S3Caller) Signed() *sigv4.Request { return c.signed }

// ExpiresAt is when the proof ends: that of a presigned link with its own time or with the
// credentials, whichever is first (RULES F3).
func (c *S3Caller) ExpiresAt() time.Time {
	if s := c.signed; s.Presigned {
		if end := s.Time.Add(s.Expires); end.Before(c.expiresAt) {
			return end
		}
	}
	return c.expiresAt
}

// The headers that say of a STREAMING body what it is without its framing.
const (
	decodedLength = "X-Amz-Decoded-Content-Length"
	trailer       = "X-Amz-Trailer"
)

// Body returns the reader of the body of r, which is the request that was authenticated. Call it
// when the request was allowed: it may read already. What else of the headers is about the form
// of the body (Content-Encoding: aws-chunked) is for the caller to take away.
//
// Errors: as [sigv4.Request.Body].
func (c *S3Caller) Body(r *http.Request) (*sigv4.Body, error) {
	o := sigv4.BodyOptions{Secret: c.secret, DecodedLength: r.ContentLength}
	if strings.HasPrefix(c.signed.PayloadHash, "STREAMING-") {
		var err error
		if o.DecodedLength, err = parseLength(r.Header[decodedLength]); err != nil {
			return nil, err
		}
		if values, found := r.Header[trailer]; found {
			if len(values) != 1 {
				return nil, malformed("x-amz-trailer comes twice")
			}
			algorithm, ok := s3api.ChecksumOfHeader(values[0])
			if !ok {
				return nil, malformed("x-amz-trailer is not the name of a checksum that is supported")
			}
			o.Trailer, o.Checksum = values[0], algorithm.New()
		}
	}
	body, err := c.signed.Body(r.Body, o)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	return body, nil
}

// parseLength reads digits, in one spelling.
func parseLength(values []string) (int64, error) {
	if len(values) == 1 {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err == nil && n >= 0 && strconv.FormatInt(n, 10) == values[0] {
			return n, nil
		}
	}
	if len(values) == 0 {
		return 0, countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing, "x-amz-decoded-content-length is missing")
	}
	return 0, malformed("x-amz-decoded-content-length is not a length")
}

func malformed(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}
