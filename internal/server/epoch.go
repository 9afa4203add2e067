package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/backup"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// seenEpoch is what the data folder remembers of the database: its epoch, and when the last
// restore was that was heard of here.
type seenEpoch struct {
	Epoch    string    `json:"epoch"`
	Restored time.Time `json:"restored_at,omitzero"`
}

// wantFinished refuses a database whose restore broke off: it has no new epoch yet, so
// sessions that were revoked after the backup would live.
func (s *Server) wantFinished(ctx context.Context) error {
	_, err := s.store.Meta(ctx, sqlstore.MetaUnfinished)
	switch {
	case errors.Is(err, countersign.NotFound):
		return nil
	case err != nil:
		return err
	}
	return countersign.NewError(countersign.Invalid, "", "a restore of this database was not finished: run countersign restore again")
}

// newEpoch finds out whether the database was restored since this replica ran, and returns
// what the restore said, nil where there was none. What the folder has of the audit chain as
// it was before does not fit any more: it is kept aside. That takes the word of the master
// key: who only writes to the database could else make a cut chain look restored.
func (s *Server) newEpoch(ctx context.Context) (*backup.Restored, error) {
	seen, err := s.folder.seenEpoch()
	if err != nil || seen.Epoch == s.epoch {
		return nil, err
	}
	text, err := s.store.Meta(ctx, backup.MetaRestored)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return nil, err
	}
	r, ok := backup.ParseRestored(s.master, s.deployment, text)
	if !ok && s.previous != nil {
		r, ok = backup.ParseRestored(s.previous, s.deployment, text)
	}
	if !ok || r.Epoch != s.epoch || !r.At.After(seen.Restored) {
		if seen.Epoch != "" {
			s.logger.WarnContext(ctx, "the database has another epoch, and no restore that the master key vouches for")
		}
		return nil, s.folder.rememberEpoch(seenEpoch{Epoch: s.epoch, Restored: seen.Restored})
	}
	for _, name := range []string{"audit-head.json", "spool"} {
		aside := name + ".before-" + s.epoch
		err := os.Rename(s.folder.file(name), s.folder.file(aside))
		switch {
		case err == nil:
			s.logger.WarnContext(ctx, "the database was restored from a backup: what this replica knew of its audit chain is kept aside", slog.String("file", aside))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, folderError(s.folder.path, name+" can't be kept aside", err)
		}
	}
	return &r, nil
}

// noteEpoch tells the audit log of a restore, once for each replica that finds it.
func (s *Server) noteEpoch(ctx context.Context, r *backup.Restored) error {
	if r == nil {
		return nil
	}
	now := s.now()
	sessions := "ended"
	if r.KeepSessions {
		sessions = "kept"
	}
	err := s.audit.Commit(ctx, audit.Event{
		ID: countersign.NewRequestID(now), Time: now, Action: "restore", Decision: audit.Changed, Reason: string(countersign.ReasonOK), Actor: r.By,
		Detail: fmt.Sprintf("backup of %s restored at %s, epoch %s, tokens and sessions from before are %s",
			r.BackupAt.Format(time.RFC3339), r.At.Format(time.RFC3339), r.Epoch, sessions),
	})
	if err != nil {
		return err
	}
	return s.folder.rememberEpoch(seenEpoch{Epoch: r.Epoch, Restored: r.At})
}

// seenEpoch returns the zero value where there is no file yet.
func (d *dataFolder) seenEpoch() (seen seenEpoch, err error) {
	text, err := os.ReadFile(d.file("epoch.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return seen, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil {
		return seen, folderError(d.path, "epoch.json can't be read", err)
	}
	return seen, nil
}

func (d *dataFolder) rememberEpoch(seen seenEpoch) error {
	text, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("encode epoch.json: %w", err)
	}
	temp := d.file("epoch.json.new")
	if err := errors.Join(os.WriteFile(temp, append(text, '\n'), 0o600), os.Rename(temp, d.file("epoch.json"))); err != nil {
		return folderError(d.path, "epoch.json can't be written", err)
	}
	return nil
}
