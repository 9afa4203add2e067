package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

// The paths, below the issuer URL.
const (
	pathToken      = "/oauth2/token" //nolint:gosec // G101: a path
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathOpenID     = "/.well-known/openid-configuration"
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathJWKS       = "/.well-known/jwks.json"
	// The feed of revocations, and the keys of what else is signed for receivers.
	pathFeed       = "/oauth2/revocations"
	pathFeedKeys   = "/oauth2/revocations/jwks.json"
	pathPolicyKeys = "/oauth2/policies/jwks.json"
)

// Config of a [Handler]. All fields up to SingleUse are required.
type Config struct {
	// Issuer is our issuer URL, exactly as tokens carry it.
	Issuer   string
	Keys     *keys.Ring
	Registry *registry.Registry
	Minter   *token.Minter
	Audit    *audit.Log
	Admin    *admin.Admin
	Authn    *authn.Authenticator
	// SingleUse remembers client assertions.
	SingleUse store.SingleUse
	// WebIdentity and AWSIdentity prove clients by the trust of their service; nil = that
	// proof is not served.
	WebIdentity *trust.Verifier
	AWSIdentity *trust.AWSVerifier
	// IdentityRate is how many requests a second one proven client may send, twice as
	// many at once; 0 = no limit.
	IdentityRate int
	// Logger; nil = discard.
	Logger *slog.Logger
	// ExposeReasons adds "reason" to what refused clients get. The reasons of a
	// failed client authentication are never shown (RULES B4).
	ExposeReasons bool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Sleep waits for d by that clock, or returns the error of ctx; nil = a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Handler serves the endpoints. Safe for concurrent use.
type Handler struct {
	cfg      Config
	secrets  secretChecker
	failures *web.Limiter[failureKey]
	// identities limits clients that were proven, by name; nil = no limit.
	identities  *web.Limiter[string]
	assertions  *assertionChecker
	federation  federation
	waiting     chan struct{} // one for each request in waitOut
	followers   chan struct{} // one for each request that the feed holds
	followersBy *web.Shares
	stopping    chan struct{} // closed: nobody waits any more
	stop        func()
	signed      signedPage
	metadata    document
	endpoints   []Route
}

// Route is one URL and what serves it.
type Route struct {
	// Pattern is a pattern of http.ServeMux.
	Pattern string
	Handler http.Handler
}

// New checks the configuration.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Handler, error) {
	if cfg.Keys == nil || cfg.Registry == nil || cfg.Minter == nil || cfg.Audit == nil || cfg.Admin == nil || cfg.Authn == nil || cfg.SingleUse == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "oauth: a required field of Config is missing")
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || !servable(issuer) {
		return nil, countersign.NewError(countersign.Invalid, "", "oauth: the issuer must be an absolute URL with a plain path, without query and fragment")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	h := &Handler{cfg: cfg, secrets: newSecretChecker(cfg.Keys), waiting: make(chan struct{}, maxWaiting),
		followers: make(chan struct{}, maxFollowers), followersBy: web.NewShares(maxFollowersPerAddress), stopping: make(chan struct{})}
	h.stop = sync.OnceFunc(func() { close(h.stopping) })
	h.failures = web.NewLimiter[failureKey](web.LimiterConfig{Every: failureEvery, Burst: failureBurst, Now: cfg.Now})
	if cfg.IdentityRate > 0 {
		h.identities = web.NewLimiter[string](web.LimiterConfig{
			Every: time.Second / time.Duration(cfg.IdentityRate), Burst: 2 * cfg.IdentityRate, Now: cfg.Now,
		})
	}
	h.assertions = newAssertionChecker(cfg.Issuer, cfg.SingleUse, cfg.Now)
	h.federation = federation{registry: cfg.Registry, web: cfg.WebIdentity, aws: cfg.AWSIdentity}
	if h.metadata, err = newMetadata(cfg.Issuer); err != nil {
		return nil, err
	}
	h.endpoints = h.routes(strings.TrimSuffix(issuer.Path, "/"))
	return h, nil
}

// servable reports whether our paths can follow the issuer. Its path becomes part of
// ServeMux patterns, so it may hold nothing that means something there.
func servable(issuer *url.URL) bool {
	for _, c := range []byte(issuer.Path) {
		if c != '/' && c != '-' && c != '_' && c != '.' && c != '~' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	clean := issuer.Path == "" || path.Clean(issuer.Path) == issuer.Path || path.Clean(issuer.Path)+"/" == issuer.Path
	return clean && issuer.Host != "" && issuer.RawQuery == "" && issuer.Fragment == "" && issuer.User == nil
}

// Routes returns every URL of this front door. Each has two patterns: one with the
// method that is served and one that answers 405 to all others.
func (h *Handler) Routes() []Route { return h.endpoints }

// Followers is how many requests for the feed are held.
func (h *Handler) Followers() int { return len(h.followers) }

// Release answers the followers of the feed that wait, and holds no other: a server that
// stops calls it before it drains.
func (h *Handler) Release() { h.stop() }

// Close ends what fetches clients' keys.
func (h *Handler) Close() {
	h.Release()
	h.assertions.close()
}

// Mount adds every route to mux.
func (h *Handler) Mount(mux *http.ServeMux) {
	for _, route := range h.endpoints {
		mux.Handle(route.Pattern, route.Handler)
	}
}

// routes lists the endpoints. An issuer with a path (behind a proxy that keeps it)
// is served below that path too; RFC 8414 §3.1 puts its metadata in front of it.
func (h *Handler) routes(prefix string) []Route {
	endpoints := []struct {
		method, path string
		serve        web.Handler
	}{
		{http.MethodPost, pathToken, h.Token},
		{http.MethodPost, pathIntrospect, h.Introspect},
		{http.MethodPost, pathRevoke, h.Revoke},
		{http.MethodGet, pathOpenID, h.Metadata},
		{http.MethodGet, pathMetadata, h.Metadata},
		{http.MethodGet, pathJWKS, h.JWKS},
		{http.MethodGet, pathFeed, h.Revocations},
		{http.MethodGet, pathFeedKeys, h.RevocationKeys},
		{http.MethodGet, pathPolicyKeys, h.PolicyKeys},
	}
	var list []Route
	for _, e := range endpoints {
		paths := []string{e.path}
		if prefix != "" {
			paths = append(paths, prefix+e.path)
			if e.path == pathMetadata {
				paths = append(paths, pathMetadata+prefix)
			}
		}
		serve := web.Handle(h.cfg.Logger, h.writeError, e.serve)
		refuse := h.methodNotAllowed(e.method)
		for _, p := range paths {
			list = append(list, Route{e.method + " " + p, serve}, Route{p, refuse})
		}
	}
	return list
}
