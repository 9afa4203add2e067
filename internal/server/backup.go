package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/backup"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// backup writes a backup of the database as it is now.
func (s *Server) backup(ctx context.Context, w io.Writer) (rows int64, err error) {
	return backup.Write(ctx, w, backup.Source{Store: s.store, Master: s.master, Deployment: s.deployment, Program: s.version, Now: s.now})
}

// RestoreOptions of [Restore].
type RestoreOptions struct {
	// Force replaces a database that is in use.
	Force bool
	// KeepSessions lets tokens and sessions from before go on (RULES E6).
	KeepSessions bool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Restored is what [Restore] did.
type Restored struct {
	backup.Header
	Rows int64
	// Aside is where the database is kept that was replaced; "" = there was none, or it was
	// dropped.
	Aside string
}

const database = "countersign.db"

// Restore makes the configured database from a backup and begins a new epoch (RULES E6). No
// server may use it meanwhile. Nothing is changed before the whole backup was read and is
// known to be of a server with our master key.
//
// Errors: countersign.Invalid (the backup or the data folder can't be used, the master key is
// another one), Conflict (the database is in use), Unavailable.
func Restore(ctx context.Context, cfg config.Config, from io.ReadSeeker, opts RestoreOptions) (done Restored, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	file, err := backup.Open(from)
	if err != nil {
		return done, err
	}
	folder, err := openDataFolder(cfg.Data)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	if err := wantMaster(cfg, folder, file.Header); err != nil {
		return done, err
	}
	master, previous, err := loadMaster(cfg, folder.file("master.key"), false)
	if err != nil {
		return done, err
	}
	if master, err = file.Check(master, previous); err != nil {
		return done, err
	}
	done = Restored{Header: file.Header, Rows: file.Rows}
	r := restoration(file, master, opts)
	if !cfg.Store.IsZero() {
		return done, sqlstore.RestorePostgres(ctx, cfg.Store.Reveal(), sqlstore.PostgresOptions{}, r)
	}
	done.Aside, err = restoreSQLite(ctx, folder, r)
	return done, err
}

func restoration(file *backup.File, master *keys.Master, opts RestoreOptions) sqlstore.Restore {
	beginning := backup.Beginning{
		Master: master, File: file, By: fmt.Sprintf("local:%d", os.Geteuid()), KeepSessions: opts.KeepSessions, Now: opts.Now(),
	}
	return sqlstore.Restore{Schema: file.Header.Schema, Source: file.Source, Finish: beginning.In, Force: opts.Force}
}

// wantMaster says what is missing where there is no master key at all.
func wantMaster(cfg config.Config, folder *dataFolder, h backup.Header) error {
	if cfg.Keys.MasterEnv != "" || cfg.Keys.MasterFileConfigured {
		return nil
	}
	path := folder.file("master.key")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("a backup does not hold the master key: put the one of deployment %s at %s first (mode 0600), or name it in the config", h.Deployment, path))
	}
	return nil
}

// restoreSQLite makes the new database beside the old one and puts it in its place at once.
func restoreSQLite(ctx context.Context, folder *dataFolder, r sqlstore.Restore) (aside string, err error) {
	path, fresh := folder.file(database), folder.file(database+".restoring")
	_, err = os.Stat(path)
	used := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", folderError(folder.path, "can't be read", err)
	}
	if used && !r.Force {
		return "", countersign.NewError(countersign.Conflict, "",
			fmt.Sprintf("data folder %s has a database: restore into an empty one, or say --force to put it aside", folder.path))
	}
	discard := func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(fresh + suffix) // left behind by one that broke off, or not there
		}
	}
	discard()
	if err := sqlstore.RestoreSQLite(ctx, fresh, r); err != nil {
		discard()
		return "", err
	}
	if used {
		if aside, err = putAside(folder, path); err != nil {
			return "", err
		}
	}
	if err := errors.Join(os.Rename(fresh, path), syncFolder(folder.path)); err != nil {
		return "", folderError(folder.path, "the new database can't be put in place", err)
	}
	return aside, nil
}

// putAside gives the old database another name beside its own, so that there is one at every
// moment. Its log goes along first: beside the new one it would be taken for that one's.
func putAside(folder *dataFolder, path string) (aside string, err error) {
	name := database + ".before-" + time.Now().UTC().Format("20060102T150405.000")
	aside = folder.file(name)
	if err := os.Link(path, aside); err != nil {
		return "", folderError(folder.path, "the old database can't be put aside", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", folderError(folder.path, "the old database can't be put aside", err)
		}
	}
	return aside, nil
}

func syncFolder(path string) error {
	folder, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
