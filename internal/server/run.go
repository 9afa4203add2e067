package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/countersign/countersign/internal/web"
)

// How long a stop waits: first for requests under way, then for what is queued.
const (
	drainTimeout = 10 * time.Second
	closeTimeout = 10 * time.Second
	// flushEvery is how often the last use of secrets is written.
	flushEvery = 10 * time.Minute
)

// Run serves until ctx ends, then drains, stores what is queued and closes.
//
// Errors: a listener that failed by itself, and as [Server.Close].
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := []func(context.Context) error{s.serveAPI, s.serveS3, s.serveAdmin, s.serveOps, s.flushUsed, s.registry.Follow, s.maintain}
	done := make(chan error, len(tasks))
	for _, task := range tasks {
		go func() {
			err := task(ctx)
			if err != nil {
				cancel(err) // one listener that fails takes the others down in order
			}
			done <- err
		}()
	}
	go func() {
		<-ctx.Done()
		// Who waits is answered now, so that the drain is short.
		s.iam.Close()
		s.oauth.Release()
	}()
	s.logger.InfoContext(ctx, "serving", slog.String("issuer", s.issuer), slog.String("api", s.addresses.API), slog.String("s3", s.addresses.S3), slog.String("ops", s.addresses.Ops))
	var errs []error
	for range tasks {
		errs = append(errs, <-done)
	}
	s.logger.InfoContext(ctx, "stopping")
	return errors.Join(append(errs, s.Close(context.WithoutCancel(ctx)))...)
}

func (s *Server) serveAPI(ctx context.Context) error {
	cfg := s.serving(s.listeners.api, s.wrap("api", s.hosts(), doubleSlash(s.mux, s.sts)))
	cfg.TLS, cfg.MaxConnections = s.tls, int(s.cfg.Limits.Connections)
	return web.Serve(ctx, cfg)
}

// serving is what all listeners have in common.
func (s *Server) serving(listener net.Listener, handler http.Handler) web.ServeConfig {
	limits := s.cfg.Limits
	return web.ServeConfig{
		Listener: listener, Handler: handler, Logger: s.logger, Drain: drainTimeout, MaxHeaderBytes: int(limits.HeaderBytes),
		HeaderTimeout: limits.HeaderTimeout, ReadTimeout: limits.ReadTimeout,
		WriteTimeout: limits.WriteTimeout, IdleTimeout: limits.IdleTimeout,
	}
}

// serveAdmin answers on the Unix socket. Whoever can open it is on this machine, and
// what Host they send means nothing.
func (s *Server) serveAdmin(ctx context.Context) error {
	return web.Serve(ctx, s.serving(s.listeners.admin, s.wrap("admin", nil, s.mux)))
}

func (s *Server) serveOps(ctx context.Context) error {
	checks := []check{{"store", s.storeReady}, {"clock", s.clockReady}}
	// On loopback a page in a browser must not get here by a name of its own.
	var hosts []string
	if address, err := netip.ParseAddrPort(s.addresses.Ops); err == nil && address.Addr().IsLoopback() {
		hosts = []string{}
	}
	handler := opsHandler(s.metrics.Handler(), checks, s.cfg.Ops.Pprof)
	cfg := s.serving(s.listeners.ops, s.wrap("ops", hosts, handler))
	cfg.Drain = time.Second
	return web.Serve(ctx, cfg)
}

// flushUsed writes the last use of secrets now and then: it is good to an hour.
func (s *Server) flushUsed(ctx context.Context) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.registry.FlushUsed(ctx); err != nil {
				s.logger.WarnContext(ctx, "the last use of secrets could not be written", slog.Any("error", err))
			}
		}
	}
}

// Close stores what is queued and gives everything back. Run calls it; call it
// yourself only for a Server that never ran.
//
// Errors: what could not be stored or closed.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	var errs []error
	if s.listeners != nil {
		s.listeners.close()
	}
	if s.iam != nil {
		s.iam.Close()
	}
	if s.oauth != nil {
		s.oauth.Close()
	}
	s.closeTrust()
	s.closeDirectories()
	if s.origins != nil {
		errs = append(errs, s.origins.Close())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.FlushUsed(ctx))
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Settle(ctx), s.storeOwed(ctx))
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Commit(ctx, s.event("server.stop", "")), s.audit.Close(ctx))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
