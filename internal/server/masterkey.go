package server

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/keys"
)

// openMaster loads the master key, and the one before it where the config names one.
func (s *Server) openMaster(ctx context.Context) (err error) {
	// Made on the first start only. Later a missing one is lost, and another in its place
	// would open nothing and hide that.
	_, err = s.store.Meta(ctx, metaDeployment)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return err
	}
	first := err != nil
	s.master, s.previous, err = loadMaster(s.cfg, s.folder.file("master.key"), first)
	return err
}

// loadMaster loads what the config says. Where it says nothing the key is in the file named
// inFolder; there it may be made.
func loadMaster(cfg config.Config, inFolder string, create bool) (master, previous *keys.Master, err error) {
	switch {
	case cfg.Keys.MasterEnv != "":
		master, err = keys.ParseMaster(cfg.Keys.MasterText.Reveal())
	case cfg.Keys.MasterFileConfigured:
		master, err = keys.LoadMaster(cfg.Keys.MasterFile, false)
	default:
		master, err = keys.LoadMaster(inFolder, create)
	}
	if err != nil || cfg.Keys.PreviousMasterFile == "" {
		return master, nil, err
	}
	previous, err = keys.LoadMaster(cfg.Keys.PreviousMasterFile, false)
	return master, previous, err
}
