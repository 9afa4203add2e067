package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/web"
)

const issuer = "http://127.0.0.1:8440"

var root = admin.Actor{ID: "local:0", Proof: "unix_socket", SuperAdmin: true}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// safeBuffer is a log that tests read.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// fixture is the front door on real pieces: SQLite in a temporary folder.
type fixture struct {
	clock    *clock
	store    *sqlstore.Store
	keys     *keys.Ring
	audit    *audit.Log
	registry *registry.Registry
	admin    *admin.Admin
	door     *oauth.Handler
	handler  http.Handler
	log      *safeBuffer
}

func newFixture(tb testing.TB, change ...func(*oauth.Config)) *fixture {
	tb.Helper()
	f := &fixture{clock: &clock{now: time.Now()}, log: &safeBuffer{}}
	ctx, dir := context.Background(), tb.TempDir()
	var err error
	check := func() {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	level := slog.LevelDebug // everything, for the tests that look for secrets in it
	if _, ok := tb.(*testing.B); ok {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: level}))
	f.store, err = sqlstore.OpenSQLite(ctx, filepath.Join(dir, "countersign.db"), sqlstore.Options{})
	check()
	tb.Cleanup(func() { _ = f.store.Close() })
	master, err := keys.LoadMaster(filepath.Join(dir, "master.key"), true)
	check()
	f.keys, err = keys.Open(ctx, keys.Config{Store: f.store, Master: master, DeploymentID: "test", TokenLifetime: time.Hour, Now: f.clock.Now})
	check()
	f.audit, err = audit.Open(ctx, audit.Config{Store: f.store, Replica: "test", Signer: f.keys, Now: f.clock.Now, Logger: logger})
	check()
	tb.Cleanup(func() { _ = f.audit.Close(context.Background()) })
	f.registry, err = registry.New(ctx, registry.Config{Store: f.store, Now: f.clock.Now})
	check()
	f.admin, err = admin.New(admin.Config{Store: f.store, Audit: f.audit, Registry: f.registry, Keys: f.keys, Now: f.clock.Now})
	check()
	minter, err := token.New(token.Config{Issuer: issuer, Keys: f.keys, Now: f.clock.Now})
	check()
	authenticator, err := authn.New(authn.Config{Issuer: issuer, Keys: f.keys, Registry: f.registry, LocalUID: uint32(os.Getuid()), Now: f.clock.Now})
	check()
	cfg := oauth.Config{
		Issuer: issuer, Keys: f.keys, Registry: f.registry, Minter: minter, Audit: f.audit,
		Admin: f.admin, Authn: authenticator, Logger: logger, Now: f.clock.Now,
		Sleep: func(_ context.Context, d time.Duration) error { f.clock.Advance(d); return nil },
	}
	for _, fn := range change {
		fn(&cfg)
	}
	f.door, err = oauth.New(cfg)
	check()
	mux := http.NewServeMux()
	f.door.Mount(mux)
	f.handler = web.Wrap(web.Config{
		Logger: logger, Now: f.clock.Now,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // httptest's client
	}, mux)
	return f
}

// service registers a service and returns its secret. The clock then moves past what
// an earlier revocation of that name covers.
func (f *fixture) service(tb testing.TB, spec admin.ServiceSpec) string {
	tb.Helper()
	_, creds, err := f.admin.CreateService(context.Background(), root, spec)
	if err != nil {
		tb.Fatal(err)
	}
	return creds.ClientSecret.Reveal()
}

// story registers the services of the story and returns their secrets.
func (f *fixture) story(tb testing.TB) map[string]string {
	tb.Helper()
	return map[string]string{
		"document-service": f.service(tb, admin.ServiceSpec{Name: "document-service", Scopes: []string{"s2s:internal", "docs:read"}, Audiences: []string{"parse-service"}}),
		"backend-actor":    f.service(tb, admin.ServiceSpec{Name: "backend-actor", Audiences: []string{"document-service", "parse-service", "urn:example:files"}, Tenant: "acme"}),
		"parse-service":    f.service(tb, admin.ServiceSpec{Name: "parse-service"}),
	}
}

// answer is an HTTP answer, with its JSON body.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (a answer) word(name string) string {
	word, _ := a.body[name].(string)
	return word
}

// call is a request that a test makes.
type call struct {
	method, path string
	id, secret   string // Basic; none when both are empty
	form         url.Values
	raw          string // instead of form
	header       http.Header
	from         string // client address, as the trusted proxy says
}

func (f *fixture) do(tb testing.TB, c call) answer {
	tb.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = "/oauth2/token"
	}
	body := c.raw
	if body == "" {
		body = c.form.Encode()
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(body))
	r.Host = "127.0.0.1:8440"
	for name, values := range c.header {
		r.Header[name] = values
	}
	if c.method == http.MethodPost && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.id != "" || c.secret != "" {
		r.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	}
	if c.from != "" {
		r.Header.Set("X-Forwarded-For", c.from)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return readAnswer(tb, w.Result())
}

func readAnswer(tb testing.TB, response *http.Response) answer {
	tb.Helper()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			tb.Fatalf("status %d, not JSON: %v: %s", a.status, err, text)
		}
	}
	return a
}

func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

func grant(pairs ...string) url.Values {
	return form(append([]string{"grant_type", "client_credentials"}, pairs...)...)
}

// token gets a token and fails the test without one.
func (f *fixture) token(tb testing.TB, id, secret, audience string) string {
	tb.Helper()
	a := f.do(tb, call{id: id, secret: secret, form: grant("audience", audience)})
	if a.status != http.StatusOK {
		tb.Fatalf("no token for %s: %d %s", id, a.status, a.text)
	}
	return a.word("access_token")
}

// events returns all audit events.
func (f *fixture) events(tb testing.TB, q audit.Query) []audit.Event {
	tb.Helper()
	q.Limit = 1000
	found, err := f.audit.Query(context.Background(), q)
	if err != nil {
		tb.Fatal(err)
	}
	return found.Events
}

// event returns the one event with the id of an answer.
func (f *fixture) event(tb testing.TB, a answer) audit.Event {
	tb.Helper()
	found := f.events(tb, audit.Query{ID: a.header.Get("X-Request-Id")})
	if len(found) != 1 {
		tb.Fatalf("%d events with the id of the answer %d %s", len(found), a.status, a.text)
	}
	return found[0]
}
