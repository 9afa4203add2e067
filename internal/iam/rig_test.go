package iam_test

import (
	"context"
	"crypto/rand"
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
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/directory"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/loginproof"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

const issuer = "http://127.0.0.1:8440"

// rig is the IAM API on real parts, served on a Unix socket and over TCP.
type rig struct {
	*fixture.Parts
	log    *fixture.Log
	minter *token.Minter
	admin  *admin.Admin
	api    *iam.API
	client *iamclient.Client // over the socket
	socket string
	tcp    string // base URL
}

type rigConfig struct {
	localUID      uint32
	exposeReasons bool
	mode          iam.Mode
	on            fixture.Config
	// directory keeps profiles of users.
	directory bool
	// directories are asked besides.
	directories []directory.Directory
	// backup writes one; nil = there is none to be had.
	backup func(w io.Writer) error
}

func (cfg rigConfig) writeBackup() func(context.Context, io.Writer) (int64, error) {
	if cfg.backup == nil {
		return nil
	}
	return func(_ context.Context, w io.Writer) (int64, error) { return 1, cfg.backup(w) }
}

func (cfg rigConfig) all(r *rig) (all []directory.Directory) {
	if cfg.directory {
		all = append(all, directory.NewLocal(r.Store))
	}
	return append(all, cfg.directories...)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, rigConfig{localUID: uint32(os.Geteuid())})
}

func newRigWith(t testing.TB, cfg rigConfig) *rig {
	t.Helper()
	log := new(fixture.Log)
	logger := log.Logger(slog.LevelDebug)
	cfg.on.Logger = logger
	r := &rig{Parts: fixture.Open(t, cfg.on), log: log}
	administration, err := admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Issuer: issuer,
		LocalDirectory: cfg.directory, Now: r.Clock.Now})
	must(t, err)
	r.admin = administration
	users, err := trust.New(trust.Config{
		OwnIssuer: issuer, OwnKeys: authn.OwnKeys(r.Keys), Issuers: r.Registry, Revocations: authn.Revocations(r.Registry, issuer), Now: r.Clock.Now,
	})
	must(t, err)
	t.Cleanup(func() { _ = users.Close() })
	authenticator, err := authn.New(authn.Config{Issuer: issuer, Keys: r.Keys, Registry: r.Registry, Users: users, Logins: r.Store, Once: iam.Once(), LocalUID: cfg.localUID, Now: r.Clock.Now})
	must(t, err)
	r.minter, err = token.New(token.Config{Issuer: issuer, Keys: r.Keys, Now: r.Clock.Now})
	must(t, err)
	r.api, err = iam.New(iam.Config{Authn: authenticator, Admin: administration, Audit: r.Audit, Keys: r.Keys, Issuer: issuer,
		Directories: cfg.all(r), Mode: cfg.mode, Backup: cfg.writeBackup(), ExposeReasons: cfg.exposeReasons, Logger: logger, Now: r.Clock.Now})
	must(t, err)
	r.serve(t, logger)
	return r
}

// serve listens on both doors until the test ends.
func (r *rig) serve(t testing.TB, logger *slog.Logger) {
	t.Helper()
	// A short path: the name of a socket has at most 108 bytes.
	folder, err := os.MkdirTemp("", "iam")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	mux := http.NewServeMux()
	for _, route := range r.api.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	handler := web.Wrap(web.Config{Logger: logger, Now: r.Clock.Now}, mux)
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// token registers nothing: it mints a token for a registered service.
func (r *rig) token(t testing.TB, service, audience, scope string) string {
	t.Helper()
	s, err := r.Registry.Service(t.Context(), service)
	must(t, err)
	minted, err := r.minter.Mint(t.Context(), rand.Text(), token.Claims{
		Service: s.Name, ServiceUID: s.UID, Tenant: s.Tenant, Audience: audience, Scope: scope,
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
	service            string // in Service-Authorization
	tenant             string // in X-Active-Tenant-ID
	login              *remote
}

// askAs is ask by a login.
func (r *rig) askAs(t *testing.T, by remote, a ask) reply {
	t.Helper()
	a.login = &by
	return r.ask(t, a)
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
	if a.service != "" {
		request.Header.Set("Service-Authorization", "Bearer "+a.service)
	}
	if a.tenant != "" {
		request.Header.Set("X-Active-Tenant-ID", a.tenant)
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
	if a.login != nil {
		request.Header.Set("Authorization", loginproof.Sign(a.login.key, a.login.login.ID, issuer, request, []byte(a.body), r.Clock.Now()))
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
