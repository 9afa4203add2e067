package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/backup"
	"github.com/countersign/countersign/internal/server"
)

type backupCommand struct {
	target
	output
	File string `arg:"" help:"The file to write; it must not exist." type:"path"`
}

// Help implements kong.HelpProvider.
func (backupCommand) Help() string {
	return `A running server writes it, of one moment, while it goes on serving; with PostgreSQL any
replica will do. Private keys and secrets are in it as in the database: sealed under the
master key. The master key is NOT in it: keep a copy of that somewhere else. Without it no
backup can be restored.

Example:
  countersign backup countersign-$(date +%F).backup`
}

// Run implements the command.
func (c *backupCommand) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return countersign.WrapError(countersign.Conflict, "", c.File+" is there already: a backup overwrites nothing", err)
	}
	file, err := writeBackup(c.File, func(w io.Writer) error { return client.Backup(ctx, w) })
	if err != nil {
		return err
	}
	wrote(p, client, fmt.Sprintf("took a backup of %d rows into %s", file.Rows, c.File))
	_, _ = fmt.Fprintln(p.Stderr, "the master key is not in it: keep a copy of that somewhere else")
	if c.json() {
		return printJSON(p.Stdout, struct {
			File string `json:"file"`
			Rows int64  `json:"rows"`
			backup.Header
		}{c.File, file.Rows, file.Header})
	}
	return nil
}

// writeBackup makes the file, for its owner alone, looks through it and only then gives it
// its name: what broke off never looks like a backup.
func writeBackup(path string, fill func(io.Writer) error) (read *backup.File, err error) {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", "the backup can't be written", err)
	}
	defer func() {
		_ = part.Close()
		_ = os.Remove(part.Name()) // under its own name by then, where all went well
	}()
	if err := fill(part); err != nil {
		return nil, err
	}
	if read, err = backup.Open(part); err != nil {
		return nil, fmt.Errorf("look through the backup: %w", err)
	}
	// Link refuses a file that somebody else made meanwhile; Rename would overwrite it.
	if err := errors.Join(part.Sync(), os.Link(part.Name(), path)); err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", "the backup can't be written to "+path, err)
	}
	return read, nil
}

type restoreCommand struct {
	output
	File         string `arg:"" help:"The backup." type:"existingfile"`
	Config       string `help:"The config file; without one the defaults hold." placeholder:"FILE" env:"COUNTERSIGN_CONFIG" type:"path"`
	Data         string `help:"The data folder, instead of the config's." placeholder:"FOLDER" type:"path"`
	Force        bool   `help:"Replace a database that is in use. SQLite: it is put aside; PostgreSQL: its tables are dropped."`
	KeepSessions bool   `help:"Let tokens and sessions from before go on, also those that were revoked after the backup."`
}

// Help implements kong.HelpProvider.
func (restoreCommand) Help() string {
	return `Stop every server first. The database may be another one than that of the backup, and of the
other kind. The master key must be in place: in the config, or as master.key in the data
folder. A new epoch begins: all tokens and sessions from before are refused, and keys rotate.

Example:
  countersign restore countersign-2026-11-26.backup --data ./countersign-data`
}

// Run implements the command.
func (c *restoreCommand) Run(ctx context.Context, p *Process) error {
	cfg, err := loadConfig(p, c.Config, c.Data)
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		_, _ = fmt.Fprintln(p.Stderr, "countersign:", warning)
	}
	file, err := os.Open(c.File)
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "the backup can't be read", err)
	}
	defer func() { _ = file.Close() }()
	done, err := server.Restore(ctx, cfg, file, server.RestoreOptions{Force: c.Force, KeepSessions: c.KeepSessions})
	if err != nil {
		return err
	}
	where := "PostgreSQL" // its URL may hold a password
	if cfg.Store.IsZero() {
		where = "SQLite in " + cfg.Data
	}
	_, _ = fmt.Fprintf(p.Stderr, "restored %d rows of deployment %s, as of %s: %s\n", done.Rows, printable(done.Deployment), formatTime(done.CreatedAt), where)
	if done.Aside != "" {
		_, _ = fmt.Fprintf(p.Stderr, "the database that was there is kept as %s\n", done.Aside)
	}
	if c.KeepSessions {
		_, _ = fmt.Fprintln(p.Stderr, "tokens and sessions from before go on, also those that were revoked after the backup")
	} else {
		_, _ = fmt.Fprintln(p.Stderr, "tokens and sessions from before are refused, and keys rotate at the next start")
	}
	if c.json() {
		return printJSON(p.Stdout, struct {
			Rows int64 `json:"rows"`
			backup.Header
			Aside string `json:"aside,omitempty"`
		}{done.Rows, done.Header, done.Aside})
	}
	return nil
}
