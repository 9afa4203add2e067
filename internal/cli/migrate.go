package cli

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/server"
)

type migrateCommand struct {
	Config string `help:"The config file; without one the defaults hold." placeholder:"FILE" env:"COUNTERSIGN_CONFIG" type:"path"`
	Data   string `help:"The data folder, instead of the config's." placeholder:"FOLDER" type:"path"`
}

// Help implements kong.HelpProvider.
func (migrateCommand) Help() string {
	return `The server does it too when it starts; this is for doing it before. With PostgreSQL the
servers of the version before may go on. It only goes forward: keep a backup.

Example:
  countersign migrate --config countersign.yaml`
}

// Run implements the command.
func (c *migrateCommand) Run(ctx context.Context, p *Process) error {
	cfg, err := loadConfig(p, c.Config, c.Data)
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		_, _ = fmt.Fprintln(p.Stderr, "countersign:", warning)
	}
	if err := server.Migrate(ctx, cfg); err != nil {
		return err
	}
	where := "PostgreSQL" // its URL may hold a password
	if cfg.Store.IsZero() {
		where = "SQLite in " + cfg.Data
	}
	_, _ = fmt.Fprintf(p.Stderr, "the schema is up to date: %s\n", where)
	return nil
}
