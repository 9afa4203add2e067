package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
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

// clock is real time that can be moved forward.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// buffer is a log that can be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// load makes a configuration for a data folder, with free ports, from variables.
func load(tb testing.TB, data string, environ ...string) config.Config {
	tb.Helper()
	cfg, err := config.Load("", append([]string{
		"COUNTERSIGN_DATA=" + data, "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_EXPOSE_REASONS=true",
	}, environ...))
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// rig is a running server and what a test needs to talk to it.
type rig struct {
	*server.Server
	data, ops string
	clock     *clock
	log       *buffer
	admin     *iamclient.Client
	client    *http.Client

	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
	err    error
}

// start runs a server in a data folder of its own; stop or the end of the test ends it.
func start(tb testing.TB, environ ...string) *rig {
	tb.Helper()
	return startIn(tb, filepath.Join(tb.TempDir(), "data"), environ...)
}

func startIn(tb testing.TB, data string, environ ...string) *rig {
	tb.Helper()
	r := &rig{data: data, clock: new(clock), log: new(buffer), ended: make(chan error, 1)}
	logger := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	r.Server, err = server.New(tb.Context(), server.Options{
		Config: load(tb, data, environ...), Logger: logger, Now: r.clock.Now, Version: "test",
	})
	if err != nil {
		tb.Fatal(err)
	}
	if r.admin, err = iamclient.New(iamclient.Config{Socket: r.AdminSocket()}); err != nil {
		tb.Fatal(err)
	}
	r.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 4},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.ops = "http://" + r.Addresses().Ops
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go func() { r.ended <- r.Run(ctx) }()
	tb.Cleanup(func() {
		if err := r.stop(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// stop ends the server gracefully and returns what Run returned.
func (r *rig) stop() error {
	r.once.Do(func() {
		r.client.CloseIdleConnections()
		r.admin.Close()
		r.cancel()
		r.err = <-r.ended
		r.client.CloseIdleConnections()
	})
	return r.err
}

// create registers a service and returns its secret.
func (r *rig) create(tb testing.TB, name string, audiences ...string) string {
	tb.Helper()
	credentials, err := r.admin.CreateService(tb.Context(), iamclient.CreateService{
		Name: name, Scopes: []string{"s2s:internal"}, Audiences: audiences,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return credentials.ClientSecret.Reveal()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
}

func (a answer) field(tb testing.TB, name string) string {
	tb.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.text), &body); err != nil {
		tb.Fatalf("%d %q: %v", a.status, a.text, err)
	}
	text, _ := body[name].(string)
	return text
}

// post sends a form with client_secret_basic.
func (r *rig) post(tb testing.TB, path, id, secret string, form url.Values) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.BaseURL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(id, secret)
	return r.do(tb, request)
}

func (r *rig) token(tb testing.TB, id, secret, audience string) answer {
	tb.Helper()
	return r.post(tb, "/oauth2/token", id, secret, url.Values{"grant_type": {"client_credentials"}, "audience": {audience}})
}

func (r *rig) get(tb testing.TB, target string) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r.do(tb, request)
}

func (r *rig) do(tb testing.TB, request *http.Request) answer {
	tb.Helper()
	response, err := r.client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		tb.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// eventually asks until it is so; another goroutine is getting there.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			tb.Fatalf("it never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // there is no event to wait on
	}
}

// wantWhole checks the audit chain of a running server.
func (r *rig) wantWhole(tb testing.TB) {
	tb.Helper()
	report, err := r.admin.VerifyAudit(tb.Context())
	if err != nil || !report.OK {
		tb.Errorf("audit verify: %+v, %v", report, err)
	}
}
