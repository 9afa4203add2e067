package iam_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/web"
)

const issuer = "http://127.0.0.1:8440"

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logText is what was logged.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// rig is the IAM API on real parts, served on a Unix socket and over TCP.
type rig struct {
	clock    *clock
	log      *logText
	store    store.Store
	audit    *audit.Log
	registry *registry.Registry
	keys     *keys.Ring
	minter   *token.Minter
	api      *iam.API
	client   *iamclient.Client // over the socket
	socket   string
	tcp      string // base URL
}

type rigConfig struct {
	localUID      uint32
	exposeReasons bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, rigConfig{localUID: uint32(os.Geteuid())})
}

func newRigWith(t *testing.T, cfg rigConfig) *rig {
	t.Helper()
	ctx := t.Context()
	r := &rig{clock: &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, log: &logText{}}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	// A short path: the name of a socket has at most 108 bytes.
	folder, err := os.MkdirTemp("", "iam")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	database, err := sqlstore.OpenSQLite(ctx, filepath.Join(folder, "db"), sqlstore.Options{})
	must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	r.store = database
	var key [32]byte
	_, _ = rand.Read(key[:])
	master, err := keys.ParseMaster(base64.StdEncoding.EncodeToString(key[:]))
	must(t, err)
	r.keys, err = keys.Open(ctx, keys.Config{Store: r.store, Master: master, DeploymentID: "test", Now: r.clock.now})
	must(t, err)
	r.audit, err = audit.Open(ctx, audit.Config{Store: r.store, Replica: "test", Signer: r.keys, Now: r.clock.now, Logger: logger})
	must(t, err)
	t.Cleanup(func() { _ = r.audit.Close(context.WithoutCancel(ctx)) })
	r.registry, err = registry.New(ctx, registry.Config{Store: r.store, Now: r.clock.now})
	must(t, err)
	administration, err := admin.New(admin.Config{Store: r.store, Audit: r.audit, Registry: r.registry, Keys: r.keys, Now: r.clock.now})
	must(t, err)
	authenticator, err := authn.New(authn.Config{Issuer: issuer, Keys: r.keys, Registry: r.registry, LocalUID: cfg.localUID, Now: r.clock.now})
	must(t, err)
	r.minter, err = token.New(token.Config{Issuer: issuer, Keys: r.keys, Now: r.clock.now})
	must(t, err)
	r.api, err = iam.New(iam.Config{Authn: authenticator, Admin: administration, Audit: r.audit,
		ExposeReasons: cfg.exposeReasons, Logger: logger, Now: r.clock.now})
	must(t, err)
	r.serve(t, folder, logger)
	return r
}

// serve listens on both doors until the test ends.
func (r *rig) serve(t *testing.T, folder string, logger *slog.Logger) {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range r.api.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	handler := web.Wrap(web.Config{Logger: logger, Now: r.clock.now}, mux)
	r.socket = filepath.Join(folder, "admin.sock")
	local, err := net.Listen("unix", r.socket)
	must(t, err)
	remote, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r.tcp = "http://" + remote.Addr().String()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, listener := range []net.Listener{local, remote} {
		running.Go(func() {
			if err := web.Serve(ctx, web.ServeConfig{Listener: listener, Handler: handler, Logger: logger}); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
	r.client, err = iamclient.New(iamclient.Config{Socket: r.socket})
	must(t, err)
	t.Cleanup(func() { r.client.Close(); r.api.Close(); stop(); running.Wait() })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// token registers nothing: it mints a token for a registered service.
func (r *rig) token(t *testing.T, service, audience, scope string) string {
	t.Helper()
	s, err := r.registry.Service(t.Context(), service)
	must(t, err)
	minted, err := r.minter.Mint(t.Context(), rand.Text(), token.Claims{
		Service: s.Name, ServiceUID: s.UID, Audience: audience, Scope: scope,
	})
	must(t, err)
	return minted.Token.Reveal()
}

// reply is an answer as it came.
type reply struct {
	status  int
	header  http.Header
	body    string
	problem iamclient.Problem // of an error
}

// ask sends one request: over the socket, or over TCP with a bearer.
type ask struct {
	method, path, body string
	header             map[string]string
	local              bool
	bearer             string
}

func (r *rig) ask(t *testing.T, a ask) reply {
	t.Helper()
	base, client := r.tcp, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if a.local {
		base = "http://localhost"
		client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", r.socket)
		}}
	}
	request, err := http.NewRequestWithContext(t.Context(), a.method, base+iamclient.BasePath+a.path, strings.NewReader(a.body))
	must(t, err)
	if a.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if a.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+a.bearer)
	}
	if len(a.body) > 200<<10 {
		// Wait for the server to want it: one that refuses closes the connection.
		request.Header.Set("Expect", "100-continue")
		transport, _ := client.Transport.(*http.Transport)
		transport.ExpectContinueTimeout = 20 * time.Second
	}
	for name, value := range a.header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	got := reply{status: response.StatusCode, header: response.Header, body: string(body)}
	if response.Header.Get("Content-Type") == iamclient.ProblemType {
		must(t, json.Unmarshal(body, &got.problem))
	}
	return got
}

// events returns what the audit log has, oldest first.
func (r *rig) events(t *testing.T, q audit.Query) []audit.Event {
	t.Helper()
	q.Limit = 1000
	result, err := r.audit.Query(t.Context(), q)
	must(t, err)
	return result.Events
}
