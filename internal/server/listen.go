package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
)

// Addresses are the addresses that were bound, as host:port; listen.json holds them.
type Addresses struct {
	API string `json:"api"`
	S3  string `json:"s3"`
	Ops string `json:"ops"`
	// URL is where the api listener answers on this machine, with its scheme.
	URL string `json:"url"`
	// S3URL is where clients reach the s3 listener: as configured, else as URL.
	S3URL string `json:"s3_url"`
}

// listeners are all bound before anything is served, so that a taken port is an
// error at start and not a half-started server.
type listeners struct {
	api, s3, ops, admin net.Listener
}

func bind(ctx context.Context, cfg config.Listen, folder *dataFolder) (*listeners, error) {
	var l listeners
	var err error
	if l.api, err = bindTCP(ctx, "api", cfg.API); err != nil {
		return nil, err
	}
	if l.s3, err = bindTCP(ctx, "s3", cfg.S3); err != nil {
		l.close()
		return nil, err
	}
	if l.ops, err = bindTCP(ctx, "ops", cfg.Ops); err != nil {
		l.close()
		return nil, err
	}
	if l.admin, err = bindSocket(ctx, folder.file("admin.sock")); err != nil {
		l.close()
		return nil, err
	}
	return &l, nil
}

func bindTCP(ctx context.Context, name, address string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", fmt.Sprintf("listener %s: can't listen on %s", name, address), err)
	}
	return listener, nil
}

// maxSocketPath is what a Unix socket address holds on Linux, less its final zero.
const maxSocketPath = 107

// bindSocket listens on the administrator's Unix socket. The folder's lock is held,
// so a socket that is there is a dead one.
func bindSocket(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, countersign.WrapError(countersign.Unavailable, "", fmt.Sprintf("listener admin: can't replace %s", path), err)
	}
	address := path
	if len(path) > maxSocketPath {
		// A long path is reached through an open folder: its descriptor makes a short one.
		folder, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, countersign.WrapError(countersign.Unavailable, "", "listener admin: can't open the data folder", err)
		}
		defer func() { _ = folder.Close() }()
		address = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "unix", address)
	if err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", fmt.Sprintf("listener admin: can't listen on %s", path), err)
	}
	if unix, ok := listener.(*net.UnixListener); ok && address != path {
		unix.SetUnlinkOnClose(false) // the short path means nothing later
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, countersign.WrapError(countersign.Unavailable, "", fmt.Sprintf("listener admin: can't protect %s", path), err)
	}
	return listener, nil
}

func (l *listeners) close() {
	for _, listener := range []net.Listener{l.api, l.s3, l.ops, l.admin} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}
