package replicas

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
)

// node is a replica in this process, with a clock and a network of its own, which can be
// killed.
type node struct {
	name    string
	folder  string // short: of the socket and the data folders
	environ []string
	net     *network
	skew    atomic.Int64
	log     *buffer

	mu     sync.RWMutex
	life   *life // nil while it is dead
	deaths int
	// calmSince is since when it has had its database and a good clock; zero = it has not.
	calmSince time.Time
}

// life is one run of a server.
type life struct {
	url, ops string
	admin    *iamclient.Client
	client   *http.Client
	cancel   context.CancelFunc
	ended    chan error
	// killed: whatever it answers from now on was not heard by anybody.
	killed atomic.Bool
	// busy counts the operations that wait for an answer.
	busy atomic.Int64
}

func newNode(t *testing.T, name, dsn, master string) *node {
	t.Helper()
	folder, err := os.MkdirTemp("", "cs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	n := &node{name: name, folder: folder, log: new(buffer)}
	through := ""
	n.net, through = newNetwork(t, dsn)
	n.environ = []string{
		"COUNTERSIGN_DATA=" + n.data(), "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0",
		"COUNTERSIGN_STORE=" + through, "COUNTERSIGN_KEYS_MASTER_FILE=" + master, "COUNTERSIGN_ISSUER=" + issuer,
		"COUNTERSIGN_REVOCATION_MAX_STALENESS=" + staleness.String(), "COUNTERSIGN_LIMITS_REQUESTS_PER_ADDRESS=0",
		"COUNTERSIGN_LIMITS_REQUESTS_PER_IDENTITY=0", "COUNTERSIGN_TRUSTED_PROXIES=127.0.0.1/32",
	}
	return n
}

func (n *node) data() string { return filepath.Join(n.folder, "d"+string(rune('a'+n.deaths%26))) }

// now is the node's clock.
func (n *node) now() time.Time { return time.Now().Add(time.Duration(n.skew.Load())) }

// start runs a server on what the data folder has. It fails while the database is away.
func (n *node) start() error {
	environ := append(n.environ[1:len(n.environ):len(n.environ)], "COUNTERSIGN_DATA="+n.data())
	cfg, err := config.Load("", environ)
	if err != nil {
		return err
	}
	bounded, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	s, err := server.New(bounded, server.Options{Config: cfg, Now: n.now, Version: "test",
		Logger: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	l := &life{url: s.BaseURL(), ops: "http://" + s.Addresses().Ops, ended: make(chan error, 1)}
	if l.admin, err = iamclient.New(iamclient.Config{Socket: s.AdminSocket()}); err != nil {
		return err
	}
	l.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() { l.ended <- s.Run(ctx) }()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life = l
	return nil
}

// alive returns the run that answers now, nil for none.
func (n *node) alive() *life {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.life
}

// kill ends it as a crash does: the next start finds the folder as it was at one moment, and
// whatever the old run does after that changes nothing anywhere.
func (n *node) kill(t *testing.T) {
	t.Helper()
	l := n.alive()
	if l == nil {
		return
	}
	l.killed.Store(true) // first: what was answered before this is on the disk
	n.net.set(cut, 0)
	from := n.data()
	// A copy is not one moment, as the end of a process is: a record that is being written
	// would be torn. Nobody hears the answers that come now.
	eventually(t, 30*time.Second, "the last operations end", func() bool { return l.busy.Load() == 0 })
	n.mu.Lock()
	n.life = nil
	n.deaths++
	n.mu.Unlock()
	if err := copyFolder(n.data(), from); err != nil {
		t.Fatal(err)
	}
	l.cancel()
	t.Cleanup(func() { l.end() })
}

func (l *life) end() {
	<-l.ended // with an error, mostly: it could not store what it had
	l.admin.Close()
	l.client.CloseIdleConnections()
}

// stop ends it in good order.
func (n *node) stop(t *testing.T) {
	t.Helper()
	l := n.alive()
	if l == nil {
		return
	}
	n.mu.Lock()
	n.life = nil
	n.mu.Unlock()
	l.cancel()
	if err := <-l.ended; err != nil {
		t.Errorf("%s stops: %v", n.name, err)
	}
	l.admin.Close()
	l.client.CloseIdleConnections()
}

// copyFolder copies what a crash would leave. Files that come or go meanwhile are as they
// are met.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		body, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, body, 0o600)
	})
}

// calm notes since when the node has had no fault; zero = it has one.
func (n *node) calm(since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calmSince = since
}

func (n *node) calmFrom() time.Time {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.calmSince
}
