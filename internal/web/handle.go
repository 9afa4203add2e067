package web

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
)

// Handler is an HTTP handler that returns its error instead of writing it. An error
// returned after the first body byte aborts the connection.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ErrorWriter renders an error in a front door's own words; each front door's
// errors.go has one.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, err error)

// Handle makes an http.Handler of h. It recovers panics (as countersign.Internal),
// logs the cause of Internal, Unavailable and Upstream errors once, and lets write
// render every error.
//
// Before write is called, headers that described the answer which is not coming
// (length, encoding, ETag, Last-Modified, Cache-Control) are removed, and Retry-After
// is set from the error. A nil logger discards.
func Handle(logger *slog.Logger, write ErrorWriter, h Handler) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &handler{logger: logger, write: write, handle: h}
}

type handler struct {
	logger *slog.Logger
	write  ErrorWriter
	handle Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := findWriter(w)
	if state == nil { // without Wrap, as in a front door's own tests
		state = &responseWriter{ResponseWriter: w}
		w = state
	}
	err := h.run(w, r)
	if err == nil {
		return
	}
	logFailure(r, h.logger, err)
	if state.written() {
		// A second document after half of the first would be read as part of it.
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
		w.Header().Del(name)
	}
	var e *countersign.Error
	if errors.As(err, &e) {
		SetRetryAfter(w.Header(), e.RetryAfter)
	}
	h.write(w, r, err)
}

func (h *handler) run(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if isAbort(v) {
			panic(v)
		}
		err = newPanicError(v)
	}()
	return h.handle(w, r)
}

// logFailure logs what is our fault or an upstream's, with its cause. What is the
// caller's fault is in the audit log.
func logFailure(r *http.Request, logger *slog.Logger, err error) {
	level := slog.LevelError
	switch countersign.CodeOf(err) {
	case countersign.Internal:
	case countersign.Unavailable, countersign.Upstream:
		level = slog.LevelWarn
	default:
		return
	}
	ctx := r.Context()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) || countersign.ReasonOf(err) == countersign.ReasonClientGone {
		level = slog.LevelDebug // the client went away: nobody waits for an answer
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", RequestID(ctx)),
		slog.String("method", knownMethod(r.Method)),
		slog.String("route", r.Pattern),
		slog.String("code", string(countersign.CodeOf(err))),
		slog.String("reason", string(countersign.ReasonOf(err))),
		slog.String("error", err.Error()),
	}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	logger.LogAttrs(ctx, level, "request failed", attrs...)
}

// SetRetryAfter sets Retry-After to d in whole seconds, rounded up; not for d <= 0.
//
// Source: RFC 9110 §10.2.3.
func SetRetryAfter(header http.Header, d time.Duration) {
	if d > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	}
}
