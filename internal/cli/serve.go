package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/server"
	"github.com/countersign/countersign/internal/telemetry"
)

type serveCommand struct {
	Config   string `help:"The config file; without one the defaults hold." placeholder:"FILE" env:"COUNTERSIGN_CONFIG" type:"path"`
	Data     string `help:"The data folder, instead of the config's." placeholder:"FOLDER" type:"path"`
	LogLevel string `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// Help implements kong.HelpProvider.
func (serveCommand) Help() string {
	return `With no config at all it keeps its data in ./countersign-data and listens on loopback:
the API on 127.0.0.1:8440, the S3 gateway on 127.0.0.1:8441, health and metrics on
127.0.0.1:8449. It ends gracefully on Ctrl-C or SIGTERM.

Example:
  countersign serve --config countersign.yaml`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, p *Process) error {
	cfg, err := loadConfig(p, c.Config, c.Data)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return usageError{"--log-level: " + err.Error()}
	}
	logger := telemetry.NewLogger(p.Stderr, level)
	for _, warning := range cfg.Warnings {
		logger.WarnContext(ctx, warning)
	}
	s, err := server.New(ctx, server.Options{Config: cfg, Logger: logger, Version: Version()})
	if err != nil {
		return err
	}
	addresses := s.Addresses()
	_, _ = fmt.Fprintf(p.Stdout, "countersign %s is up\n  api    %s  (issuer %s)\n  s3     %s\n  ops    http://%s\n  admin  %s\n",
		Version(), s.BaseURL(), s.Issuer(), addresses.S3URL, addresses.Ops, s.AdminSocket())
	tuning, stop := context.WithCancel(ctx)
	defer stop()
	go tuneCollector(tuning, p) // ends with stop
	return s.Run(ctx)
}

// loadConfig reads the config file; a data folder that is not "" overrides its own.
func loadConfig(p *Process, path, data string) (config.Config, error) {
	environ := p.Environ
	if data != "" {
		environ = append(environ[:len(environ):len(environ)], "COUNTERSIGN_DATA="+data)
	}
	return config.Load(path, environ)
}

type demoCommand struct {
	Once bool `help:"Exit when the story is told: 0 only if every step ended as it should."`
}

// Help implements kong.HelpProvider.
func (demoCommand) Help() string {
	return `Starts Countersign with a throw-away data folder and three HTTP services that use the
public SDK, plays calls that are allowed and calls that are refused, and prints each.

Example:
  countersign demo --once`
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context, p *Process) error {
	if p.Demo == nil {
		return fmt.Errorf("this build has no demo: %w", os.ErrNotExist)
	}
	return p.Demo(ctx, p.Stdout, c.Once)
}
