package s3gw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/web"
)

// Origins finds the origin of a bucket. Safe for concurrent use.
type Origins interface {
	// Origin returns what keeps the objects of b.
	//
	// Errors: countersign.Unavailable, Upstream, Invalid.
	Origin(ctx context.Context, b *registry.Bucket) (s3api.Origin, error)
}

// Config of a [Gateway]. All fields up to Audit are required.
type Config struct {
	// AccountID is the account that owns every bucket.
	AccountID string
	Authn     *authn.S3
	Registry  *registry.Registry
	Origins   Origins
	Audit     *audit.Log
	// Domain is the host name below which each bucket is a host; "" = path style only.
	Domain string
	// Hosts are the Host values that are served beside the domain and loopback, in lower
	// case and without port; nil = every host.
	Hosts []string
	// AllowUnsigned tells whether a body may come without a signature: over TLS or from this
	// machine (RULES F4). nil = neither is known, and it may not.
	AllowUnsigned func(*http.Request) bool
	// IdentityRate is how many requests a second one proven identity may send, twice as many
	// at once; 0 = no limit.
	IdentityRate int
	// ReadIdle and WriteIdle are how long a client may neither send nor take a byte; 0 = 30 s
	// and 60 s. How long all of it takes is not bounded.
	ReadIdle, WriteIdle time.Duration
	// ExposeReasons adds the reason to what refused callers get.
	ExposeReasons bool
	// Logger; nil = discard.
	Logger *slog.Logger
	// Now is the clock; nil = time.Now. Idle times are always real.
	Now func() time.Time
}

// Gateway is an http.Handler for everything below the root: it needs no mux, which would
// clean paths that are signed as they are. Safe for concurrent use.
type Gateway struct {
	cfg     Config
	hosts   map[string]bool // nil = every host
	handler http.Handler
	// identities limits proven identities; nil = no limit.
	identities *web.Limiter[identity]
	// every is how often a write that is under way is decided anew.
	every time.Duration
	// buffers are *[]byte of bufferBytes, each for one stream.
	buffers sync.Pool
}

// identity is who asks, however they prove it.
type identity struct{ issuer, subject string }

const (
	defaultReadIdle  = 30 * time.Second
	defaultWriteIdle = 60 * time.Second
)

// New checks the configuration.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Gateway, error) {
	if cfg.AccountID == "" || cfg.Authn == nil || cfg.Registry == nil || cfg.Origins == nil || cfg.Audit == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "s3gw: a required field of Config is missing")
	}
	if cfg.AllowUnsigned == nil {
		cfg.AllowUnsigned = func(*http.Request) bool { return false }
	}
	if cfg.ReadIdle <= 0 {
		cfg.ReadIdle = defaultReadIdle
	}
	if cfg.WriteIdle <= 0 {
		cfg.WriteIdle = defaultWriteIdle
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Domain = strings.ToLower(cfg.Domain)
	g := &Gateway{cfg: cfg, every: againAfter}
	if cfg.Hosts != nil {
		if g.hosts = setOf(cfg.Hosts...); cfg.Domain != "" {
			g.hosts[cfg.Domain] = true
		}
	}
	if cfg.IdentityRate > 0 {
		g.identities = web.NewLimiter[identity](web.LimiterConfig{
			Every: time.Second / time.Duration(cfg.IdentityRate), Burst: 2 * cfg.IdentityRate, Now: cfg.Now,
		})
	}
	g.buffers.New = func() any { b := make([]byte, bufferBytes); return &b }
	g.handler = web.Handle(cfg.Logger, g.writeError, g.serve)
	return g, nil
}

// ServeHTTP serves one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// serve is one request from its parsing to its audit event.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) (err error) {
	// net/http asks for a body only where there is one. boto3 waits for that also when it puts an
	// empty object, and without it misreads the next answer on the connection.
	if r.ContentLength == 0 && r.Header.Get("Expect") != "" && r.ProtoMajor == 1 {
		w.WriteHeader(http.StatusContinue)
	}
	header := w.Header()
	header["X-Amz-Request-Id"] = []string{web.RequestID(r.Context())}
	header["X-Amz-Id-2"] = []string{hostID}
	t, problem := resolve(r, g.cfg.Domain)
	if t.operation != nil {
		r.Pattern = string(t.operation.name) // for the metrics and the access log
	}
	d := g.newDecision(r.Context(), &t)
	e := &exchange{Gateway: g, w: w, r: r, target: &t, decision: d}
	finished := false
	defer func() {
		switch {
		case !finished:
			err = errPanic // it goes on, and this is for the event
		case err != nil && e.status == 0:
			e.status = wireErrorOf(err).status
		}
		d.record(r.Context(), e.status, err)
	}()
	err = e.run(problem)
	finished = true
	return err
}

var errPanic = countersign.NewError(countersign.Internal, countersign.ReasonInternal, "")

// exchange is one request on its way through the steps.
type exchange struct {
	*Gateway
	w        http.ResponseWriter
	r        *http.Request
	target   *target
	decision *decision
	caller   *caller
	// header are the headers that go on to the origin; needs are those groups of them that
	// the role must allow.
	header http.Header
	needs  []headerGroup
	// length is that of the decoded body.
	length int64
	// status is what was answered; 0 = nothing yet.
	status int
	// ended is why the caller lost the right to what was asked for, in the middle of it; nil =
	// they did not.
	ended atomic.Pointer[error]
}

// run is the steps of the package's comment.
func (e *exchange) run(problem error) (err error) {
	if !e.servesHost(e.r.Host) {
		return refuse(s3api.AccessDenied, countersign.ReasonHostNotServed, sayDenied)
	}
	if e.r.Method == http.MethodOptions {
		// A preflight has no signature. What a browser may read is not for us to say.
		return refuse("AccessForbidden", countersign.ReasonMethod, "CORSResponse: CORS is not enabled for this bucket.")
	}
	if e.caller, err = e.authenticate(); err != nil {
		return err
	}
	e.decision.proves(e.caller, e.target)
	if e.identities != nil && !e.caller.anonymous() && !e.identities.Allow(e.caller.identity()) {
		return countersign.NewError(countersign.Throttled, countersign.ReasonRateLimited, saySlowDown)
	}
	if problem != nil {
		return problem
	}
	if err := e.checkOwners(); err != nil {
		return err
	}
	o := e.target.operation
	sent, err := e.target.headers(e.r.Header)
	if err != nil {
		return err
	}
	if e.header, e.needs, err = o.takeHeaders(sent); err != nil {
		return err
	}
	if e.length, err = o.bodyLength(e.r, e.caller.payload()); err != nil {
		return err
	}
	switch o.name {
	case s3api.ListBuckets:
		return e.listBuckets()
	case s3api.DeleteObjects:
		return e.deleteObjects()
	}
	b, err := e.decide()
	if err != nil {
		return err
	}
	e.decision.allowed = true
	return e.forward(b)
}

// authenticate proves who asks. A request without any sign of a signature may read one
// object, as the bucket decides (RULES F2).
//
// Errors: *authError; AccessDenied.
func (e *exchange) authenticate() (*caller, error) {
	proven, err := e.cfg.Authn.Authenticate(e.r, authn.S3Options{AllowUnsigned: e.cfg.AllowUnsigned(e.r)})
	if err == nil {
		return &caller{proven: proven}, nil
	}
	if countersign.CodeOf(err) != countersign.Unauthenticated {
		return nil, &authError{cause: err, presigned: strings.Contains(e.r.URL.RawQuery, "X-Amz-Signature=")}
	}
	o := e.target.operation
	if o == nil || !o.anonymous {
		return nil, errAnonymous
	}
	for name := range e.target.query {
		if name != "partNumber" {
			return nil, errAnonymous
		}
	}
	return &caller{}, nil
}

var errAnonymous = refuse(s3api.AccessDenied, countersign.ReasonAnonymousNotAllowed, sayDenied)

// checkOwners: who names an owner wants no other one's bucket. All of ours have one.
//
// Source: Amazon S3 User Guide, "Verifying bucket ownership with bucket owner condition".
func (e *exchange) checkOwners() error {
	for _, name := range []string{ownerHeader, sourceOwnerHeader} {
		if values, found := e.r.Header[name]; found && (len(values) != 1 || values[0] != e.cfg.AccountID) {
			return refuse(s3api.AccessDenied, countersign.ReasonOwnerMismatch, sayDenied)
		}
	}
	return nil
}

// hidden is the answer in place of one that would tell what is there: NoSuchKey and
// NoSuchBucket are for those who may list there or read the key (RULES F5).
func (e *exchange) hidden(err error) error {
	refused, ok := errors.AsType[*s3api.Error](err)
	if !ok {
		return err
	}
	tells := true
	switch refused.Code {
	case s3api.NoSuchBucket:
		tells = e.caller.listsIn(e.target.bucket)
	case s3api.NoSuchKey, s3api.NoSuchVersion:
		tells = e.mayKnow()
	}
	switch {
	case !tells:
		return refuse(s3api.AccessDenied, countersign.ReasonObjectUnknown, sayDenied)
	case len(refused.Header) > 0 && !e.reads():
		// Beside a condition that failed some stores say what is there: its entity tag is mostly a
		// hash of the content.
		return fmt.Errorf("without its headers: %w", &s3api.Error{Code: refused.Code, Message: refused.Message})
	}
	return err
}

// reads reports whether the object is what the caller asks for, and may read.
func (e *exchange) reads() bool {
	switch e.target.operation.name {
	case s3api.GetObject, s3api.HeadObject, s3api.GetObjectAttributes:
		return true
	}
	return false
}

// mayKnow reports whether the caller may know that a key is not there. What a copy reads it
// was allowed to read.
func (e *exchange) mayKnow() bool {
	t := e.target
	switch t.operation.name {
	case s3api.GetObject, s3api.HeadObject, s3api.GetObjectAttributes, s3api.CopyObject, s3api.UploadPartCopy:
		return !e.caller.anonymous()
	}
	return e.caller.allows("list_bucket", t.bucket, t.key) || e.caller.allows("get_object", t.bucket, t.key)
}
