package server

import (
	"context"
	"errors"
	"sync"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3dir"
)

// folders opens the folders of buckets, each as long as its document stands.
type folders struct {
	server *Server
	mu     sync.Mutex
	open   map[string]folder // by the bucket's uid
}

type folder struct {
	revision int64
	dir      *s3dir.Dir
}

// Origin implements s3gw.Origins.
func (f *folders) Origin(_ context.Context, b *registry.Bucket) (s3api.Origin, error) {
	if b.Origin.Dir == "" {
		return nil, countersign.NewError(countersign.Unsupported, countersign.ReasonActionUnsupported, "only folders are served yet")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if held, ok := f.open[b.UID]; ok && held.revision == b.Revision {
		return held.dir, nil
	}
	made, err := s3dir.Open(b.Origin.Dir, s3dir.Config{Bucket: b.Name, Forbidden: f.server.paths().Forbidden, Now: f.server.now})
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	f.open[b.UID] = folder{revision: b.Revision, dir: made}
	return made, nil
}

// Close closes the folders.
func (f *folders) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, held := range f.open {
		errs = append(errs, held.dir.Close())
	}
	clear(f.open)
	return errors.Join(errs...)
}

func (s *Server) newOrigins() (*folders, error) {
	return &folders{server: s, open: make(map[string]folder)}, nil
}
