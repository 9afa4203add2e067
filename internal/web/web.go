package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
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
func Handle(logger *slog.Logger, write ErrorWriter, h Handler) http.Handler { panic("contract") }

// Config of [Wrap].
type Config struct {
	Logger *slog.Logger
	Now    func() time.Time
	// TrustedProxies are those whose X-Forwarded-For counts (RULES G8).
	TrustedProxies []netip.Prefix
	// Hosts are the Host values that are served, lower case, without port, beside
	// loopback names and addresses (RULES G7); nil = every host.
	Hosts []string
	// MaxConcurrent bounds the requests under way: more get 503 at once. 0 = 4096.
	MaxConcurrent int
	// Observe is called after each request, for metrics; nil = not.
	Observe func(route string, status int, d time.Duration)
}

// Wrap puts what every listener needs around a mux: request id, client address, host
// check, concurrency limit, access log.
func Wrap(cfg Config, next http.Handler) http.Handler { panic("contract") }

// RequestID returns the id of the request: 36 characters, "" outside of one.
func RequestID(ctx context.Context) string { panic("contract") }

// ClientAddr returns the address of the client as far as proxies are trusted;
// invalid on a Unix socket.
func ClientAddr(ctx context.Context) netip.Addr { panic("contract") }

// PeerUID returns the user id of the process at the other end of a Unix socket; ok
// is false for a TCP connection. It is what makes the local administrator (RULES G1).
func PeerUID(ctx context.Context) (uid uint32, ok bool) { panic("contract") }
