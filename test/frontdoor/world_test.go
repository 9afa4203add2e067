// Package frontdoor attacks the running server, and a receiving service that is built
// with the public SDK, from outside: over real HTTP, with real keys, with everything
// that goes wrong by mistake or on purpose. It asks for the right refusal each time,
// and that no secret shows in any output.
package frontdoor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/server"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/verify"
)

// world is a running server, its log, and everything that must never show in what it
// writes. When the test ends all of it is searched (vulnerabilities 30).
type world struct {
	server  *server.Server
	url     string
	ops     string
	data    string
	clock   atomic.Int64
	markers atomic.Int64
	admin   *iamclient.Client
	client  *http.Client
	ring    *keys.Ring // the server's own keys, for tokens that it would never mint

	mu       sync.Mutex
	log      bytes.Buffer
	answers  strings.Builder // bodies and headers of every refusal
	canaries map[string]string
}

// Now is the server's clock.
func (w *world) Now() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) }

func (w *world) advance(d time.Duration) { w.clock.Add(int64(d)) }

// Write takes the server's log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

// hide adds something that must not show.
func (w *world) hide(what, secret string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.canaries[secret] = what
	return secret
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{data: filepath.Join(t.TempDir(), "data"), canaries: make(map[string]string)}
	cfg, err := config.Load("", []string{
		"COUNTERSIGN_DATA=" + w.data, "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_EXPOSE_REASONS=true",
	})
	must(t, err)
	w.server, err = server.New(t.Context(), server.Options{
		Config: cfg, Now: w.Now, Version: "test",
		Sleep:  func(_ context.Context, d time.Duration) error { w.advance(d); return nil },
		Logger: slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(t, err)
	w.url, w.ops = w.server.BaseURL(), "http://"+w.server.Addresses().Ops
	w.admin, err = iamclient.New(iamclient.Config{Socket: w.server.AdminSocket()})
	must(t, err)
	w.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx) }()
	t.Cleanup(func() {
		w.search(t)
		w.client.CloseIdleConnections()
		w.admin.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	w.openKeys(t)
	return w
}

// openKeys reads the server's private keys behind its back.
func (w *world) openKeys(t *testing.T) {
	t.Helper()
	database, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(w.data, "countersign.db"), sqlstore.Options{})
	must(t, err)
	defer func() { must(t, database.Close()) }()
	master, err := keys.LoadMaster(filepath.Join(w.data, "master.key"), false)
	must(t, err)
	deployment, err := database.Meta(t.Context(), "deployment_id")
	must(t, err)
	w.ring, err = keys.Open(t.Context(), keys.Config{Store: database, Master: master, DeploymentID: deployment, Now: w.Now})
	must(t, err)
}

// search looks for everything hidden in everything shown, and for panics.
func (w *world) search(t *testing.T) {
	t.Helper()
	metrics := w.get(t, w.ops+"/metrics").text
	events := w.events(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log.String()
	if strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("the server panicked: %s", log)
	}
	for place, text := range map[string]string{"log": log, "answers": w.answers.String(), "metrics": metrics, "audit": events} {
		for secret, what := range w.canaries {
			if secret != "" && strings.Contains(text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%s shows %s: …%.200s", place, what, text[max(0, at-100):])
			}
		}
	}
}

// events returns the audit log as text, after what is queued has been stored.
func (w *world) events(t *testing.T) string {
	t.Helper()
	// An event of our own comes after all that were queued before it.
	marker := fmt.Sprintf("marker-%d", w.markers.Add(1))
	w.post(t, "/oauth2/token", nil, url.Values{"grant_type": {"client_credentials"}, "client_id": {marker}})
	for deadline := time.Now().Add(20 * time.Second); ; {
		var text strings.Builder
		found := false
		for after := ""; ; {
			page, err := w.admin.AuditEvents(context.Background(), iamclient.AuditQuery{After: after, Limit: 1000})
			must(t, err)
			if len(page.Events) == 0 {
				break
			}
			for _, e := range page.Events {
				line, err := json.Marshal(e)
				must(t, err)
				text.Write(line)
				text.WriteByte('\n')
				found = found || e.Service == marker
			}
			after = page.After
		}
		if found {
			return text.String()
		}
		if time.Now().After(deadline) {
			t.Fatalf("the audit log never caught up: %s\n%s", marker, text.String())
		}
		time.Sleep(5 * time.Millisecond) // the writer runs by its own timer
	}
}

// create registers a service and returns its secret.
func (w *world) create(t *testing.T, name string, audiences ...string) string {
	t.Helper()
	credentials, err := w.admin.CreateService(t.Context(), iamclient.CreateService{
		Name: name, Scopes: []string{"s2s:internal", "docs.read"}, Audiences: audiences,
	})
	must(t, err)
	return w.hide("a client secret", credentials.ClientSecret.Reveal())
}

// grant is a good form for an audience, with more parameters.
func grant(audience string, pairs ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {audience}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// token gets a token that must be had.
func (w *world) token(t *testing.T, id, secret, audience string, pairs ...string) string {
	t.Helper()
	a := w.post(t, "/oauth2/token", basic(id, secret), grant(audience, pairs...))
	if a.status != http.StatusOK {
		t.Fatalf("token for %s: %d %s", id, a.status, a.text)
	}
	token := a.field(t, "access_token")
	w.hide("a token's signature", token[strings.LastIndexByte(token, '.')+1:])
	return w.hide("a token", token)
}

// active asks introspection about a token.
func (w *world) active(t *testing.T, id, secret, token string) bool {
	t.Helper()
	a := w.post(t, "/oauth2/introspect", basic(id, secret), url.Values{"token": {token}})
	if a.status != http.StatusOK {
		t.Fatalf("introspect as %s: %d %s", id, a.status, a.text)
	}
	active := strings.Contains(a.text, `"active":true`)
	if !active && strings.TrimSpace(a.text) != `{"active":false}` {
		t.Errorf("an inactive token is told more of: %s", a.text)
	}
	return active
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
}

func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.text), &body); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.text, err)
	}
	text, _ := body[name].(string)
	return text
}

// wantError checks a refusal: its status, its word and its form.
func (a answer) wantError(t *testing.T, status int, word string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.text)
		return
	}
	if got := a.field(t, "error"); got != word || a.field(t, "request_id") == "" {
		t.Errorf("error %q, want %q: %s", got, word, a.text)
	}
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers of a refusal: %v", a.header)
	}
	if challenge := a.header.Get("WWW-Authenticate"); (status == http.StatusUnauthorized) != (challenge != "") && status != http.StatusForbidden && status != http.StatusBadRequest {
		t.Errorf("status %d with WWW-Authenticate %q", status, challenge)
	}
}

func (w *world) do(t *testing.T, request *http.Request) answer {
	t.Helper()
	response, err := w.client.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode >= 400 || strings.HasSuffix(request.URL.Path, "/introspect") {
		w.mu.Lock()
		_, _ = fmt.Fprintf(&w.answers, "%v %s\n", response.Header, body)
		w.mu.Unlock()
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (w *world) get(t *testing.T, target string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	must(t, err)
	return w.do(t, request)
}

// post sends a form; headers may be nil.
func (w *world) post(t *testing.T, path string, header http.Header, form url.Values) answer {
	t.Helper()
	return w.send(t, path, header, form.Encode())
}

// send posts a body as a form, unless the header names another type.
func (w *world) send(t *testing.T, path string, header http.Header, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+path, strings.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range header {
		request.Header[name] = values
	}
	return w.do(t, request)
}

// basic is the header of client_secret_basic.
func basic(id, secret string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header
}

// receiver is a receiving service of the public SDK: parse-service.
type receiver struct {
	*httptest.Server
	users *authtest.UserIssuer
}

// The doors of a receiver.
const (
	doorAny     = "/any"     // whoever is verified
	doorService = "/service" // document-service
	doorMachine = "/machine" // a service with s2s:internal, and no user
	doorUser    = "/user"    // a user
)

// newReceiver starts one that trusts the world's server and an issuer of users.
func (w *world) newReceiver(t *testing.T) *receiver {
	t.Helper()
	users := authtest.NewUserIssuer(t, "web-app")
	verifier, err := verify.New(verify.Config{
		Audience: "parse-service", Issuers: []verify.Issuer{{URL: w.server.Issuer()}, users.Trust()}, Now: w.Now,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	who := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		p := countersign.FromContext(r.Context())
		_ = json.NewEncoder(out).Encode(map[string]string{"service": p.Service.Name, "user": p.User.Subject})
	})
	mux := http.NewServeMux()
	for door, rules := range map[string][]middleware.Middleware{
		doorAny:     nil,
		doorService: {middleware.AllowedServices("document-service")},
		doorMachine: {middleware.MachineOnly(), middleware.RequireScopes("s2s:internal")},
		doorUser:    {middleware.RequireUser()},
	} {
		authenticate := middleware.Authenticate(verifier, middleware.WithExposeReasons(), middleware.WithClock(w.Now))
		mux.Handle(door, middleware.Chain(who, append([]middleware.Middleware{authenticate}, rules...)...))
	}
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewJSONHandler(w, nil), slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return &receiver{Server: s, users: users}
}

// call goes to a door with headers given as pairs of name and value.
func (w *world) call(t *testing.T, r *receiver, door string, pairs ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.URL+door, nil)
	must(t, err)
	for i := 0; i < len(pairs); i += 2 {
		request.Header.Add(pairs[i], pairs[i+1])
	}
	return w.do(t, request)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}
