package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// The limits of a listener that is not told others. A handler that needs longer (a long poll) extends its
// own deadlines by http.ResponseController.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
	defaultDrain      = 10 * time.Second
)

// ServeConfig of [Serve]. Listener and Handler are required.
type ServeConfig struct {
	Listener net.Listener
	Handler  http.Handler
	// TLS, usually of [Certificates.TLSConfig]; nil = plain HTTP.
	TLS *tls.Config
	// Logger; nil = discard.
	Logger *slog.Logger
	// Drain is how long requests under way may go on after ctx has ended; 0 = 10 s.
	Drain time.Duration
	// HeaderTimeout and ReadTimeout are from the first byte of a request to the end of its
	// header and of its body; 0 = 5 s and 30 s.
	HeaderTimeout, ReadTimeout time.Duration
	// WriteTimeout is from the end of the request's header to the end of the answer;
	// 0 = 60 s.
	WriteTimeout time.Duration
	// IdleTimeout is between two requests of a connection; 0 = 120 s.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the header of a request; 0 = 32 KiB.
	MaxHeaderBytes int
	// MaxConnections bounds the open connections: further ones wait in the kernel's
	// queue until one ends. 0 = no bound.
	MaxConnections int
}

// Serve answers requests until ctx ends, then accepts no more, lets those under way
// finish for Drain, cancels their contexts and cuts what is left. It owns the listener
// and returns when the listener is closed: nil after an orderly or a cut end, an error
// if the listener failed by itself. Handlers that ignore their context may outlive it.
//
// Its limits, unless cfg has others: 5 s for the header, 30 s for the request, 60 s for
// the answer, 120 s idle, 32 KiB of header.
func Serve(ctx context.Context, cfg ServeConfig) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Drain <= 0 {
		cfg.Drain = defaultDrain
	}
	if cfg.MaxConnections > 0 {
		cfg.Listener = limitConnections(cfg.Listener, cfg.MaxConnections)
	}
	// Requests must survive the signal to stop, but not the end of the drain.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := newServer(requests, cfg)
	ended := make(chan error, 1)
	go func() {
		if cfg.TLS != nil {
			ended <- server.ServeTLS(cfg.Listener, "", "")
			return
		}
		ended <- server.Serve(cfg.Listener)
	}()
	select {
	case err := <-ended:
		_ = server.Close()
		return fmt.Errorf("serve %s: %w", cfg.Listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(requests, cfg.Drain)
	defer stop()
	if err := server.Shutdown(drain); err != nil {
		cfg.Logger.WarnContext(requests, "requests were cut: they outlasted the drain",
			slog.String("listener", cfg.Listener.Addr().String()), slog.Duration("drain", cfg.Drain))
		cancel()
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", cfg.Listener.Addr(), err)
	}
	return nil
}

func newServer(requests context.Context, cfg ServeConfig) *http.Server {
	return &http.Server{
		Handler:                      cfg.Handler,
		TLSConfig:                    cfg.TLS.Clone(), // net/http writes to its own, and listeners share ours
		ReadHeaderTimeout:            orDefault(cfg.HeaderTimeout, readHeaderTimeout),
		ReadTimeout:                  orDefault(cfg.ReadTimeout, readTimeout),
		WriteTimeout:                 orDefault(cfg.WriteTimeout, writeTimeout),
		IdleTimeout:                  orDefault(cfg.IdleTimeout, idleTimeout),
		MaxHeaderBytes:               orDefault(cfg.MaxHeaderBytes, maxHeaderBytes),
		DisableGeneralOptionsHandler: true, // OPTIONS * is checked like all the rest
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ConnContext:                  ConnContext,
		ErrorLog:                     log.New(&serverLog{ctx: requests, logger: cfg.Logger}, "", 0),
	}
}

func orDefault[T int | time.Duration](set, fallback T) T {
	if set > 0 {
		return set
	}
	return fallback
}

// serverLog takes net/http's own lines. What any stranger can cause is not worth a
// line at the usual level.
type serverLog struct {
	ctx    context.Context
	logger *slog.Logger
}

func (l *serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelWarn
	if strings.Contains(text, "TLS handshake error") || strings.Contains(text, "URL query contains semicolon") {
		level = slog.LevelDebug
	}
	l.logger.LogAttrs(l.ctx, level, "http server", slog.String("detail", text))
	return len(line), nil
}
