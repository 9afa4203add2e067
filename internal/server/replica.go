package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// embedded names the audit chain of SQLite: it has exactly one writer.
const embedded = "embedded"

// openStore opens the database, and settles what this process calls itself among
// those that share it.
func (s *Server) openStore(ctx context.Context) (err error) {
	if s.cfg.Store.IsZero() {
		s.replica = embedded
		s.store, err = sqlstore.OpenSQLite(ctx, s.folder.file("countersign.db"), sqlstore.Options{})
		return err
	}
	if s.replica, err = s.folder.replicaName(); err != nil {
		return err
	}
	s.store, err = sqlstore.OpenPostgres(ctx, s.cfg.Store.Reveal(), sqlstore.PostgresOptions{})
	return err
}

// Migrate brings the schema of the configured database up to date, and nothing else: New
// does it too. Several may run at once, and beside servers of the version before.
//
// Errors: countersign.Invalid (the schema is newer than this program, or the data folder
// is not ours), Conflict (a server has the data folder, with SQLite), Unavailable.
func Migrate(ctx context.Context, cfg config.Config) error {
	var (
		db  *sqlstore.Store
		err error
	)
	if !cfg.Store.IsZero() {
		db, err = sqlstore.OpenPostgres(ctx, cfg.Store.Reveal(), sqlstore.PostgresOptions{})
	} else {
		folder, openErr := openDataFolder(cfg.Data)
		if openErr != nil {
			return openErr
		}
		defer func() { _ = folder.close() }()
		db, err = sqlstore.OpenSQLite(ctx, folder.file("countersign.db"), sqlstore.Options{})
	}
	if err != nil {
		return err
	}
	return db.Close()
}

// shared reports whether other processes may use the database too.
func (s *Server) shared() bool { return !s.cfg.Store.IsZero() }

// replicaName returns the name that the data folder keeps for this replica: its audit
// chain goes on under it after a restart. It is made at the first start.
func (d *dataFolder) replicaName() (string, error) {
	path := d.file("replica")
	text, err := os.ReadFile(path)
	if err == nil {
		name := strings.TrimSpace(string(text))
		if !countersign.ValidName(name) || name == embedded {
			return "", countersign.NewError(countersign.Invalid, "", fmt.Sprintf("%s is not the name of a replica", path))
		}
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", folderError(d.path, "the replica's name can't be read", err)
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	name := "replica-" + hex.EncodeToString(random[:])
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(name+"\n"), 0o600); err != nil {
		return "", folderError(d.path, "the replica's name can't be written", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return "", folderError(d.path, "the replica's name can't be written", err)
	}
	return name, nil
}
