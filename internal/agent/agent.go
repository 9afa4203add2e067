package agent

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/web"
)

const (
	// maxConnections bounds the connections of an endpoint.
	maxConnections = 256
	// drain is how long requests may go on when the agent stops.
	drain = 5 * time.Second
)

// Config of an [Agent]. One of Roles and TokenFile is required.
type Config struct {
	// Listen is a loopback address with a port; port 0 = any.
	Listen string
	// Authorization is the value of that header: see [Authorization].
	Authorization countersign.Secret
	Roles         []Role
	// TokenFile is kept fresh; nil = none.
	TokenFile *TokenFile
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Agent serves credentials and keeps a token file fresh. It is made by [New] and works
// while Run does.
type Agent struct {
	endpoint  *Endpoint // nil = no roles
	listener  net.Listener
	tokenFile *TokenFile
	logger    *slog.Logger
}

// New opens the listener. Nothing is asked of anybody before Run.
//
// Errors: countersign.Invalid, Unavailable.
func New(ctx context.Context, cfg Config) (*Agent, error) {
	if len(cfg.Roles) == 0 && cfg.TokenFile == nil {
		return nil, invalid("there is nothing to serve: name a role or a token file")
	}
	a := &Agent{tokenFile: cfg.TokenFile, logger: cfg.Logger}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Roles) == 0 {
		return a, nil
	}
	// Before anything listens: who could reach it from elsewhere must not for a moment.
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || !egress.IsLoopbackHost(host) {
		return nil, invalid("credentials are served on a loopback address with a port only: 127.0.0.1:8442")
	}
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", "the agent can't listen on "+cfg.Listen, err)
	}
	a.endpoint, err = NewEndpoint(EndpointConfig{
		Address: a.listener.Addr(), Authorization: cfg.Authorization, Roles: cfg.Roles, Logger: a.logger,
	})
	if err != nil {
		_ = a.listener.Close()
		return nil, err
	}
	return a, nil
}

// URL is where the credentials of a role are served; "" without roles.
func (a *Agent) URL(role string) string {
	if a.endpoint == nil {
		return ""
	}
	return a.endpoint.URL(role)
}

// Close ends an agent that is not run; Run does it itself.
func (a *Agent) Close() {
	if a.listener != nil {
		_ = a.listener.Close()
	}
}

// Run serves until ctx ends, then lets requests under way finish.
//
// Errors: when the listener fails by itself.
func (a *Agent) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	if a.tokenFile != nil {
		work.Go(func() { a.tokenFile.Run(ctx) })
	}
	if a.listener == nil {
		<-ctx.Done()
		return nil
	}
	return web.Serve(ctx, web.ServeConfig{
		Listener: a.listener, Handler: a.endpoint, Logger: a.logger, Drain: drain, MaxConnections: maxConnections,
	})
}
