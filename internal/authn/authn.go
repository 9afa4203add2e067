package authn

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/loginproof"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/verify"
)

// maxCachedCallers bounds the verified bearers that are remembered: key = the token,
// lifetime = the token's. Few services call our API; introspection sees many tokens and
// has verify's default bound, 10,000.
const maxCachedCallers = 1000

// Config of an [Authenticator]. Issuer, Keys and Registry are required.
type Config struct {
	// Issuer is our issuer URL, exactly as in tokens.
	Issuer   string
	Keys     *keys.Ring
	Registry *registry.Registry
	// Users proves users by their own issuers' tokens; nil = users are refused.
	Users UserTokens
	// Logins proves administrators at other machines; nil = they are refused.
	Logins Logins
	// Once are paths of which a login's GET is taken once, as its changes are: what they answer
	// is too much to give to who saw the request.
	Once []string
	// LocalUID is the uid that is the local administrator on the Unix socket.
	LocalUID uint32
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Caller is who calls one of our own endpoints.
type Caller struct {
	// LocalAdmin: the Unix socket's peer is the local administrator; UID is its uid.
	LocalAdmin bool
	UID        uint32
	// Login is that of an administrator at another machine; "" = it is none.
	Login string
	// Principal is the verified bearer; never nil. It is nobody for an administrator.
	Principal *countersign.Principal
	// User is the user of the Principal; nil when none came.
	User *User
	// documents are those of the user's issuer when the token was verified.
	documents string
}

// Authenticator proves callers of our own API. Safe for concurrent use.
type Authenticator struct {
	callers, inspected *verify.Verifier
	users              UserTokens
	registry           *registry.Registry
	issuer             string
	logins             Logins
	once               []string
	now                func() time.Time
	localUID           uint32
}

// New returns an Authenticator.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Authenticator, error) {
	if cfg.Issuer == "" || cfg.Keys == nil || cfg.Registry == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "authn needs an issuer, keys and a registry")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ours := verify.Config{
		Audience: policy.AudienceIAM,
		Issuers: []verify.Issuer{{
			URL: cfg.Issuer, Profile: verify.Countersign, Subject: verify.Service, Keys: OwnKeys(cfg.Keys),
		}},
		Revocations: Revocations(cfg.Registry, cfg.Issuer),
		MaxCached:   maxCachedCallers,
		Now:         cfg.Now,
	}
	callers, err := verify.New(ours)
	if err != nil {
		return nil, fmt.Errorf("make the verifier of callers: %w", err)
	}
	ours.InsecureAnyAudience, ours.MaxCached = true, 0 // Inspect leaves the audience to its caller
	inspected, err := verify.New(ours)
	if err != nil {
		return nil, fmt.Errorf("make the verifier for introspection: %w", err)
	}
	return &Authenticator{
		callers: callers, inspected: inspected, localUID: cfg.LocalUID,
		users: cfg.Users, registry: cfg.Registry, issuer: cfg.Issuer, logins: cfg.Logins, once: cfg.Once, now: cfg.Now,
	}, nil
}

// Both proves who sent r, a user as well: Authorization holds a user's token or a service's,
// and Service-Authorization that of the service which calls for the user. Both are verified
// in full (RULES C4). A login's proof instead makes an administrator at another machine. Where
// nothing came, it is the peer of the Unix socket.
//
// Errors: as Caller; countersign.Denied (the user is disabled, or no member of the tenant
// that the request names), Upstream (the keys of the user's issuer can't be had).
func (a *Authenticator) Both(r *http.Request) (Caller, error) {
	if loginproof.Present(r.Header) {
		return a.login(r)
	}
	found, err := parseBearers(r.Header)
	if err != nil {
		return Caller{}, err
	}
	hint, err := TenantHint(r.Header)
	if err != nil {
		return Caller{}, err
	}
	// What the token says of itself chooses who verifies it, and nothing more.
	said, err := verify.ParseUnverified(found.first)
	if found.first == "" || err != nil || said.Issuer == a.issuer {
		return a.Caller(r)
	}
	service, err := a.beside(r.Context(), found)
	if err != nil {
		return Caller{}, err
	}
	// Before the token is verified: what changes from here on is found by Again.
	documents, err := a.documents(r.Context(), said.Issuer)
	if err != nil {
		return Caller{}, err
	}
	user, err := a.User(r.Context(), found.first, hint)
	if err != nil {
		refused := &countersign.Principal{Service: service} // for the audit event alone
		if user != nil {
			refused.User = countersign.User{Issuer: user.Issuer, Subject: user.Subject}
		}
		return Caller{Principal: refused}, err
	}
	return callerOf(user, service, documents), nil
}

// beside proves the service that calls for a user; none came = nobody.
func (a *Authenticator) beside(ctx context.Context, found bearers) (countersign.Service, error) {
	if found.second == "" {
		return countersign.Service{}, nil
	}
	t, err := a.callers.Verify(ctx, found.second)
	if err != nil {
		return countersign.Service{}, err
	}
	return t.Principal.Service, nil
}

func callerOf(user *User, service countersign.Service, documents string) Caller {
	return Caller{User: user, documents: documents, Principal: &countersign.Principal{
		User: countersign.User{
			Issuer: user.Issuer, Subject: user.Subject, Roles: user.Roles(), Scopes: user.Token.Scopes, Tenant: user.Tenant,
			Proof: countersign.Proof{Method: "jwt", IssuedAt: user.Token.IssuedAt, ExpiresAt: user.Token.ExpiresAt},
		},
		Service: service, Scopes: service.Scopes, Tenant: user.Tenant,
	}}
}

// Caller proves who sent r: the bearer of a service token of ours with the audience
// iam-service or, where no token came, the peer of the Unix socket.
//
// Errors: countersign.Unauthenticated, BadHeader, BadToken, Expired, Unavailable.
func (a *Authenticator) Caller(r *http.Request) (Caller, error) {
	found, err := parseBearers(r.Header)
	if err != nil {
		return Caller{}, err
	}
	if found == (bearers{}) {
		return a.peer(r.Context())
	}
	t, err := a.callers.Verify(r.Context(), found.first)
	if err != nil {
		return Caller{}, err
	}
	if found.second != "" {
		// Both are verified in full before they are compared (RULES C4), so that a bad
		// second token is told apart in the audit log.
		if _, err := a.callers.Verify(r.Context(), found.second); err != nil {
			return Caller{}, err
		}
		return Caller{}, errTwoServices
	}
	return Caller{Principal: &t.Principal}, nil
}

// Inspect verifies one of our own tokens for any audience, for introspection and
// revocation; the caller compares the audience. A revoked token is an error with
// ReasonTokenRevoked.
//
// Errors: countersign.BadToken, Expired, Unavailable.
func (a *Authenticator) Inspect(r *http.Request, token string) (*verify.Token, error) {
	return a.inspected.Verify(r.Context(), token)
}

// peer takes the kernel's word for who is at the other end of the Unix socket. Only the
// server's own uid counts: root may read the socket's folder, and is somebody else.
func (a *Authenticator) peer(ctx context.Context) (Caller, error) {
	uid, ok := web.PeerUID(ctx)
	if !ok {
		return Caller{}, errTokenMissing
	}
	if uid != a.localUID {
		return Caller{}, errNotAdministrator
	}
	return Caller{LocalAdmin: true, UID: uid, Principal: &countersign.Principal{}}, nil
}

var (
	errTwoServices = countersign.NewError(countersign.BadToken, countersign.ReasonSecondTokenMismatch,
		"two services' tokens came; Service-Authorization is for a call with a user")
	errNotAdministrator = countersign.NewError(countersign.Unauthenticated, countersign.ReasonNotAdministrator,
		"only the server's own user is the local administrator")
)
