package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/hostpath"
)

// maxResources bounds what is read of all files together, in bytes.
const maxResources = 64 << 20

// applyResources makes the documents of the configuration's files hold. A bad one keeps
// the server from starting: it would serve something else than what was written down.
//
// Errors: countersign.Invalid, as admin.Apply.
func (s *Server) applyResources(ctx context.Context) error {
	if len(s.cfg.Resources) == 0 {
		return nil
	}
	files, err := readResources(s.cfg.Resources)
	if err != nil {
		return err
	}
	actor := admin.Actor{ID: fmt.Sprintf("local:%d", os.Geteuid()), Proof: "config", SuperAdmin: true}
	applied, err := s.admin.Apply(ctx, actor, admin.ApplyRequest{Files: files, FromConfig: true})
	if err != nil {
		return fmt.Errorf("apply the configured resources: %w", err)
	}
	for _, a := range applied {
		if a.Action != admin.ApplyUnchanged {
			s.logger.InfoContext(ctx, "a resource of the configuration was applied",
				slog.String("kind", a.Kind), slog.String("name", a.Name), slog.String("action", string(a.Action)))
		}
	}
	return nil
}

// paths are those of this machine that documents may name (RULES A8): never our own secrets,
// nor a folder around them.
func (s *Server) paths() hostpath.Paths {
	p := hostpath.Paths{Folder: s.cfg.Folder, Allowed: s.cfg.AllowedPaths, Forbidden: []string{s.cfg.Data}}
	for _, file := range []string{s.cfg.Keys.MasterFile, s.cfg.Keys.PreviousMasterFile, s.cfg.TLS.KeyFile} {
		if file != "" {
			p.Forbidden = append(p.Forbidden, file)
		}
	}
	return p
}

// readResources reads files, and of folders what ends in .yaml, .yml or .json, in order
// of name; hidden ones are left out.
func readResources(paths []string) ([]admin.File, error) {
	var files []admin.File
	budget := int64(maxResources)
	for _, configured := range paths {
		path, err := filepath.EvalSymlinks(configured) // a folder may be mounted behind a link
		if err != nil {
			return nil, resourcesError(configured, err)
		}
		err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name != path && strings.HasPrefix(entry.Name(), "."):
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			case entry.IsDir():
				return nil
			case name != path && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
				return nil
			}
			content, err := readBounded(name, budget)
			budget -= int64(len(content))
			files = append(files, admin.File{Name: name, Content: content})
			return err
		})
		if err != nil {
			return nil, resourcesError(configured, err)
		}
	}
	return files, nil
}

var errTooMuch = errors.New("the files are too large together")

func readBounded(name string, budget int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // resourcesError does
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, budget+1))
	if err == nil && int64(len(content)) > budget {
		err = errTooMuch
	}
	return content, err //nolint:wrapcheck // resourcesError does
}

func resourcesError(path string, err error) error {
	return countersign.WrapError(countersign.Invalid, countersign.ReasonResourceInvalid,
		fmt.Sprintf("resources: %s can't be read", path), err)
}
