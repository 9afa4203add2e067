package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
)

const (
	requestIDHeader      = "X-Request-Id"
	defaultMaxConcurrent = 4096
	// overloadLogEvery bounds how often a full server says so in the log.
	overloadLogEvery = 10 * time.Second
)

// Config of [Wrap].
type Config struct {
	// Logger gets one line per request: at Warn for a 5xx answer, at Debug for all
	// others. nil = discard.
	Logger *slog.Logger
	// Now is the clock of the request ids; nil = time.Now. Durations are always real.
	Now func() time.Time
	// TrustedProxies are those whose X-Forwarded-For counts (RULES G8).
	TrustedProxies []netip.Prefix
	// Hosts are the Host values that are served, lower case, without port and without
	// the brackets of an IPv6 address, beside loopback names and addresses (RULES G7);
	// nil = every host, empty = loopback only.
	Hosts []string
	// MaxConcurrent bounds the requests under way: more get 503 at once. 0 = 4096. One
	// address (IPv6: its /64) has a quarter of them, or 64 where that is more.
	MaxConcurrent int
	// AddressRate is how many requests a second one address (IPv6: its /64) may send,
	// whoever it is; twice as many at once, more get 429. 0 = no limit. Loopback and
	// Unix sockets have none: who is on this machine can do worse.
	AddressRate int
	// MaxBodyBytes bounds the body of a request for every route, which may take less; 0 =
	// the routes alone decide.
	MaxBodyBytes int64
	// Refuse answers for Wrap itself, in the words of a listener with one front door only;
	// nil = in JSON.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, word string)
	// Observe is called after each request, for metrics; nil = not. route is the mux
	// pattern, "" where none matched; status 0 means that the connection was cut
	// before an answer.
	Observe func(route string, status int, d time.Duration)
}

// Wrap puts what every listener needs around a mux: request id, client address, host
// check, concurrency limit, access log. next must be the mux itself, or pass on the
// very *http.Request that it gets: the access log reads its Pattern.
//
// The id is always ours and is answered as X-Request-Id; one that the client sends is
// ignored. A panic that reaches Wrap is logged and answered with 500.
func Wrap(cfg Config, next http.Handler) http.Handler {
	w := &wrapper{
		next: next, logger: cfg.Logger, now: cfg.Now, trusted: cfg.TrustedProxies,
		hosts: newHostCheck(cfg.Hosts), limit: int64(cfg.MaxConcurrent), maxBody: cfg.MaxBodyBytes, answer: cfg.Refuse, observe: cfg.Observe,
	}
	if w.logger == nil {
		w.logger = slog.New(slog.DiscardHandler)
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.limit <= 0 {
		w.limit = defaultMaxConcurrent
	}
	w.shares = NewShares(max(int(w.limit/4), minShare)) // a quarter of all places
	if cfg.AddressRate > 0 {
		w.rate = NewLimiter[netip.Prefix](LimiterConfig{
			Every: time.Second / time.Duration(cfg.AddressRate), Burst: 2 * cfg.AddressRate, Now: w.now,
		})
	}
	return w
}

type wrapper struct {
	next    http.Handler
	logger  *slog.Logger
	now     func() time.Time
	trusted []netip.Prefix
	hosts   hostCheck
	limit   int64
	maxBody int64
	shares  *Shares
	rate    *Limiter[netip.Prefix]                                                // nil = no limit
	answer  func(w http.ResponseWriter, r *http.Request, status int, word string) // nil = in JSON
	observe func(route string, status int, d time.Duration)

	underWay     atomic.Int64
	overloadedAt atomic.Int64 // Unix nanoseconds of the last line about it
}

func (p *wrapper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{
		Context: r.Context(), id: countersign.NewRequestID(p.now()), addr: clientAddr(r, p.trusted),
		writer: responseWriter{ResponseWriter: w},
	}
	c.idHeader[0] = c.id
	w.Header()[requestIDHeader] = c.idHeader[:]
	r = r.WithContext(c)

	defer p.finish(c, r, start)
	c.placed = p.shares.Take(c.addr)
	if p.underWay.Add(1) > p.limit || !c.placed {
		p.overloaded(r, start)
		p.refuse(c, r, http.StatusServiceUnavailable, "temporarily_unavailable")
		return
	}
	if p.rate != nil && c.addr.IsValid() && !c.addr.IsLoopback() && !p.rate.Allow(LimiterKey(c.addr)) {
		p.refuse(c, r, http.StatusTooManyRequests, string(countersign.ReasonRateLimited))
		return
	}
	if !p.hosts.allows(r.Host) {
		p.refuse(c, r, http.StatusMisdirectedRequest, string(countersign.ReasonHostNotServed))
		return
	}
	if p.maxBody > 0 && (r.ContentLength < 0 || r.ContentLength > p.maxBody) {
		if r.ContentLength > p.maxBody {
			drain(r)
			p.refuse(c, r, http.StatusRequestEntityTooLarge, string(countersign.ReasonBodyTooLarge))
			return
		}
		r.Body = http.MaxBytesReader(&c.writer, r.Body, p.maxBody) // no length was told
	}
	p.next.ServeHTTP(&c.writer, r)
}

// finish runs deferred, so that a panic is accounted for like every other end.
func (p *wrapper) finish(c *call, r *http.Request, start time.Time) {
	v := recover()
	abort := v != nil && isAbort(v)
	if v != nil && !abort {
		logFailure(r, p.logger, newPanicError(v))
		if abort = c.writer.written(); !abort {
			p.refuse(c, r, http.StatusInternalServerError, "server_error")
		}
	}
	p.underWay.Add(-1)
	if c.placed {
		p.shares.Give(c.addr)
	}
	status := c.writer.status
	if status == 0 && !abort {
		status = http.StatusOK // net/http writes it when the handler wrote nothing
	}
	took := time.Since(start)
	if p.observe != nil {
		p.observe(r.Pattern, status, took)
	}
	level := slog.LevelDebug
	if status >= 500 && status != http.StatusServiceUnavailable {
		level = slog.LevelWarn
	}
	if p.logger.Enabled(c, level) {
		p.logger.LogAttrs(c, level, "request",
			slog.String("method", knownMethod(r.Method)), slog.String("route", r.Pattern),
			slog.Int("status", status), slog.Duration("duration", took), slog.Int64("bytes", c.writer.bytes),
			slog.String("request_id", c.id), slog.String("client", clientText(c.addr)), slog.Bool("aborted", abort))
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

// overloaded tells the log that the server is full, but not once per refused request.
func (p *wrapper) overloaded(r *http.Request, now time.Time) {
	last := p.overloadedAt.Load()
	if now.UnixNano()-last < int64(overloadLogEvery) || !p.overloadedAt.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	p.logger.LogAttrs(r.Context(), slog.LevelWarn, "requests are refused: too many under way", slog.Int64("limit", p.limit))
}

// refuse answers for Wrap itself, before any front door was chosen.
func (p *wrapper) refuse(c *call, r *http.Request, status int, word string) {
	header := c.writer.Header()
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		SetRetryAfter(header, time.Second)
	}
	if p.answer != nil {
		p.answer(&c.writer, r, status, word)
		return
	}
	// An error here means that the client is gone.
	_ = WriteJSON(&c.writer, status, refusal{Error: word, RequestID: c.id})
}

type refusal struct {
	Error     string `json:"error"`
	RequestID string `json:"request_id"`
}

// clientText is a client address in the log.
func clientText(addr netip.Addr) string {
	if !addr.IsValid() {
		return "local" // a Unix socket
	}
	return addr.String()
}

// knownMethod bounds what a log line takes from the request line.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}
