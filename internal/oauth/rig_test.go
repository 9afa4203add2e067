package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/web"
)

const issuer = "http://127.0.0.1:8440"

var root = admin.Actor{ID: "local:0", Proof: "unix_socket", SuperAdmin: true}

// rig is the front door on real pieces.
type rig struct {
	*fixture.Parts
	admin   *admin.Admin
	door    *oauth.Handler
	handler http.Handler
	log     *fixture.Log
}

func newRig(tb testing.TB, change ...func(*oauth.Config)) *rig {
	tb.Helper()
	return newRigOn(tb, fixture.Config{Start: time.Now()}, change...)
}

func newRigOn(tb testing.TB, on fixture.Config, change ...func(*oauth.Config)) *rig {
	tb.Helper()
	level := slog.LevelDebug // everything, for the tests that look for secrets in it
	if _, ok := tb.(*testing.B); ok {
		level = slog.LevelInfo
	}
	log := new(fixture.Log)
	logger := log.Logger(level)
	on.Logger = logger
	f := &rig{Parts: fixture.Open(tb, on), log: log}
	var err error
	check := func() {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	f.admin, err = admin.New(admin.Config{Store: f.Store, Audit: f.Audit, Registry: f.Registry, Keys: f.Keys, Now: f.Clock.Now})
	check()
	minter, err := token.New(token.Config{Issuer: issuer, Keys: f.Keys, Now: f.Clock.Now})
	check()
	authenticator, err := authn.New(authn.Config{Issuer: issuer, Keys: f.Keys, Registry: f.Registry, LocalUID: uint32(os.Getuid()), Now: f.Clock.Now})
	check()
	cfg := oauth.Config{
		Issuer: issuer, Keys: f.Keys, Registry: f.Registry, Minter: minter, Audit: f.Audit,
		Admin: f.admin, Authn: authenticator, SingleUse: f.Store, Logger: logger, Now: f.Clock.Now,
		Sleep: func(_ context.Context, d time.Duration) error { f.Clock.Advance(d); return nil },
	}
	for _, fn := range change {
		fn(&cfg)
	}
	f.door, err = oauth.New(cfg)
	check()
	mux := http.NewServeMux()
	f.door.Mount(mux)
	f.handler = web.Wrap(web.Config{
		Logger: logger, Now: f.Clock.Now,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // httptest's client
	}, mux)
	return f
}

// service registers a service and returns its secret. The clock then moves past what
// an earlier revocation of that name covers.
func (f *rig) service(tb testing.TB, spec admin.ServiceSpec) string {
	tb.Helper()
	_, creds, err := f.admin.CreateService(context.Background(), root, spec)
	if err != nil {
		tb.Fatal(err)
	}
	return creds.ClientSecret.Reveal()
}

// apply makes documents hold.
func (f *rig) apply(tb testing.TB, documents string) {
	tb.Helper()
	_, err := f.admin.Apply(context.Background(), root, admin.ApplyRequest{Files: []admin.File{{Name: "f", Content: []byte(documents)}}})
	if err != nil {
		tb.Fatal(err)
	}
}

// story registers the services of the story and returns their secrets.
func (f *rig) story(tb testing.TB) map[string]string {
	tb.Helper()
	secrets := map[string]string{
		"document-service": f.service(tb, admin.ServiceSpec{Name: "document-service", Scopes: []string{"s2s:internal", "docs:read"}, Audiences: []string{"parse-service"}}),
		"parse-service":    f.service(tb, admin.ServiceSpec{Name: "parse-service"}),
	}
	secrets["backend-actor"] = f.service(tb, admin.ServiceSpec{Name: "backend-actor", Audiences: []string{"document-service", "parse-service", "urn:example:files"}, Tenant: "acme"})
	return secrets
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

func (f *rig) do(tb testing.TB, c call) answer {
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
func (f *rig) token(tb testing.TB, id, secret, audience string) string {
	tb.Helper()
	a := f.do(tb, call{id: id, secret: secret, form: grant("audience", audience)})
	if a.status != http.StatusOK {
		tb.Fatalf("no token for %s: %d %s", id, a.status, a.text)
	}
	return a.word("access_token")
}

// event returns the one event with the id of an answer.
func (f *rig) event(tb testing.TB, a answer) audit.Event {
	tb.Helper()
	found := f.Events(tb, audit.Query{ID: a.header.Get("X-Request-Id")})
	if len(found) != 1 {
		tb.Fatalf("%d events with the id of the answer %d %s", len(found), a.status, a.text)
	}
	return found[0]
}
