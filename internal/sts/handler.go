package sts

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

// The durations of a session.
//
// Source: AWS STS API reference, AssumeRoleWithWebIdentity, DurationSeconds.
const (
	minDuration     = 15 * time.Minute
	maxDuration     = 12 * time.Hour
	defaultDuration = time.Hour
)

// Config of a [Handler]. All fields up to Audit are required.
type Config struct {
	// AccountID is the account in the ARNs of roles and sessions.
	AccountID string
	Registry  *registry.Registry
	// WebIdentity proves JWTs.
	WebIdentity *trust.Verifier
	Sealer      *session.Sealer
	// Sessions proves who signs with a session.
	Sessions *authn.Sessions
	Audit    *audit.Log
	// AWSIdentity proves signed requests to AWS; nil = that is not served.
	AWSIdentity *trust.AWSVerifier
	// Broker gets real credentials of AWS; nil = roles with a broker are refused.
	Broker *broker.AWS
	// MaxDuration bounds every session; 0 = 12 hours.
	MaxDuration time.Duration
	// IdentityRate is how many sessions a second one proven identity may get, twice as
	// many at once; 0 = no limit.
	IdentityRate int
	// ExposeReasons adds the reason to what refused callers get.
	ExposeReasons bool
	// Logger; nil = discard.
	Logger *slog.Logger
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Handler serves the actions. Safe for concurrent use.
type Handler struct {
	cfg Config
	// identities limits proven identities, by issuer and subject; nil = no limit.
	identities *web.Limiter[identityKey]
}

type identityKey struct{ issuer, subject string }

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
	if cfg.AccountID == "" || cfg.Registry == nil || cfg.WebIdentity == nil || cfg.Sealer == nil || cfg.Sessions == nil || cfg.Audit == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "sts: a required field of Config is missing")
	}
	if cfg.MaxDuration == 0 {
		cfg.MaxDuration = maxDuration
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{cfg: cfg}
	if cfg.IdentityRate > 0 {
		h.identities = web.NewLimiter[identityKey](web.LimiterConfig{
			Every: time.Second / time.Duration(cfg.IdentityRate), Burst: 2 * cfg.IdentityRate, Now: cfg.Now,
		})
	}
	return h, nil
}

// RootPattern is the route of what is posted to the root. What is posted to "//", which no
// mux routes, is for [Handler.ServeHTTP] as well.
const RootPattern = "POST /{$}"

// Routes returns every URL of this front door.
func (h *Handler) Routes() []Route {
	serve := http.HandlerFunc(h.ServeHTTP)
	refuse := http.HandlerFunc(h.methodNotAllowed)
	return []Route{
		{RootPattern, serve},
		{"POST /sts", serve}, {"GET /sts", serve}, {"HEAD /sts", refuse}, {"/sts", refuse},
		{"POST /sts/{$}", serve}, {"GET /sts/{$}", serve}, {"HEAD /sts/{$}", refuse}, {"/sts/{$}", refuse},
	}
}

// ServeHTTP runs one action.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signed := false
	web.Handle(h.cfg.Logger, h.errorWriter(func(*http.Request) bool { return signed }), func(w http.ResponseWriter, r *http.Request) error {
		d := h.newDecision(r.Context())
		body, err := h.act(r, d, &signed)
		if err != nil {
			d.refused(r.Context(), err)
			return err
		}
		d.allowed(r.Context())
		writeXML(w, http.StatusOK, body)
		return nil
	}).ServeHTTP(w, r)
}

func (h *Handler) act(r *http.Request, d *decision, signed *bool) (any, error) {
	q, err := parse(r)
	if err != nil {
		return nil, err
	}
	a := actions[q.action]
	*signed, d.event.Action = a.signed, actionEvents[q.action]
	return a.serve(h, r, q, d)
}

func (h *Handler) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, POST")
	err := countersign.NewError(countersign.Invalid, countersign.ReasonMethod, "this endpoint takes GET and POST only")
	h.errorWriter(func(*http.Request) bool { return false })(w, r, err)
}
