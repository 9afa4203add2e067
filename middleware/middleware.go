package middleware

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// Middleware wraps a handler. It has the shape that routers and other libraries use.
type Middleware func(http.Handler) http.Handler

// Chain wraps h; the first middleware sees the request first. It panics when h or a
// middleware is nil: that is a mistake of the program, found at start.
func Chain(h http.Handler, middlewares ...Middleware) http.Handler {
	if h == nil {
		panic("middleware: Chain of a nil handler")
	}
	for i := len(middlewares) - 1; i >= 0; i-- {
		if middlewares[i] == nil {
			panic("middleware: Chain of a nil middleware")
		}
		h = middlewares[i](h)
	}
	return h
}

// TokenVerifier verifies one token in full. [*verify.Verifier] is one.
type TokenVerifier interface {
	// Verify says who the token is about: exactly one of Principal.User and
	// Principal.Service is set.
	//
	// Errors: [countersign.BadToken], [countersign.Expired], [countersign.Upstream],
	// [countersign.Unavailable].
	Verify(ctx context.Context, token string) (*verify.Token, error)
	// Audience is the name of the receiving service; "" = it has none of its own.
	Audience() string
}

// Option changes what [Authenticate] and the middlewares below it do.
type Option func(*settings)

// WithRecorder reports every decision, made by Authenticate or by a middleware below
// it. nil = none are reported.
func WithRecorder(recorder countersign.Recorder) Option {
	return func(s *settings) { s.recorder = recorder }
}

// WithExposeReasons tells denied callers the reason of the denial. Reasons help
// whoever attacks as well as whoever debugs: for demonstrations and tests.
func WithExposeReasons() Option { return func(s *settings) { s.exposeReasons = true } }

// WithClock sets the clock that decisions and request ids are dated by; nil =
// time.Now. The verifier has a clock of its own.
func WithClock(now func() time.Time) Option {
	return func(s *settings) {
		if now != nil {
			s.now = now
		}
	}
}

// settings are shared by Authenticate and the middlewares below it, which find them in
// the request's context. Never changed after construction.
type settings struct {
	recorder      countersign.Recorder
	exposeReasons bool
	now           func() time.Time
	target        string
	challenge     string // "Bearer realm=…": how every WWW-Authenticate begins
}

// unset is what a middleware without Authenticate goes by.
var unset = newSettings("", nil)

func newSettings(target string, options []Option) *settings {
	s := &settings{now: time.Now, target: target}
	for _, option := range options {
		option(s)
	}
	realm := target
	if realm == "" {
		realm = "service"
	}
	s.challenge = "Bearer realm=" + quoted(realm)
	return s
}

// quoted returns text as a quoted-string (RFC 9110 §5.6.4); what can't stand in one
// is left out.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
