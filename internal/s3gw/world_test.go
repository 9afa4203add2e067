package s3gw_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/sigv4"
)

const (
	account = "000000000000"
	domain  = "s3.example.com"
)

// everything is every action on every key of a bucket.
var everything = func() string {
	var names []string
	for _, a := range policy.S3Actions() {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}()

// documents are the resources of a world.
var documents = `
kind: Issuer
name: workloads
url: https://idp.example.com
subject: workload
profile: oidc
audiences: [sts-clients]
---
kind: Role
name: all
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"]}}]
permissions:
  - {bucket: documents, prefixes: [""], actions: [` + everything + `]}
  - {bucket: archive, prefixes: [""], actions: [` + everything + `]}
  - {bucket: closed, prefixes: [""], actions: [` + everything + `]}
  - {bucket: missing, prefixes: [""], actions: [` + everything + `]}
---
kind: Role
name: acme
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"]}}]
permissions:
  - {bucket: documents, prefixes: ["resumes/acme/", "one.txt"], actions: [get_object, put_object, delete_object, list_bucket, get_object_tagging]}
  - {bucket: archive, prefixes: ["acme/"], actions: [get_object]}
  - {bucket: missing, prefixes: ["acme/"], actions: [put_object]}
---
kind: Role
name: writer
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"]}}]
permissions:
  - {bucket: documents, prefixes: [""], actions: [put_object, delete_object, get_object_tagging]}
---
kind: Role
name: nothing
trust: [{oidc: {issuer: workloads, subject_conditions: ["build:*"]}}]
permissions:
  - {bucket: other, prefixes: ["x/"], actions: [get_object]}
---
kind: Bucket
name: documents
origin: {s3: {endpoint: "https://origin.example.com", bucket: real-documents, region: us-east-1, credentials: ambient}}
---
kind: Bucket
name: archive
origin: {s3: {endpoint: "https://origin.example.com", bucket: real-archive, region: us-east-1, credentials: ambient}}
---
kind: Bucket
name: closed
allowed_roles: [nothing]
origin: {s3: {endpoint: "https://origin.example.com", bucket: real-closed, region: us-east-1, credentials: ambient}}
---
kind: Bucket
name: public
anonymous: true
origin: {s3: {endpoint: "https://origin.example.com", bucket: real-public, region: us-east-1, credentials: ambient}}
`

// world is a gateway with everything below it, in front of origins that are made up.
type world struct {
	*fixture.Parts
	origins *origins
	gateway *s3gw.Gateway
	sealer  *session.Sealer
	admin   *admin.Admin
	server  *httptest.Server
	log     *fixture.Log
}

func newWorld(t testing.TB, change ...func(*s3gw.Config)) *world {
	t.Helper()
	w := &world{Parts: fixture.Open(t, fixture.Config{}), origins: newOrigins(), log: &fixture.Log{}}
	var err error
	w.admin, err = admin.New(admin.Config{Store: w.Store, Audit: w.Audit, Registry: w.Registry, Keys: w.Keys, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, documents)
	w.sealer = session.New(session.Config{Keys: w.Keys, DeploymentID: "test", Now: w.Clock.Now})
	proofs, err := authn.NewS3(authn.S3Config{Sealer: w.sealer, Registry: w.Registry, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	cfg := s3gw.Config{
		AccountID: account, Authn: proofs, Registry: w.Registry, Origins: w.origins, Audit: w.Audit, Domain: domain, Hosts: []string{},
		AllowUnsigned: func(*http.Request) bool { return true }, Logger: w.log.Logger(slog.LevelDebug), Now: w.Clock.Now,
	}
	for _, f := range change {
		f(&cfg)
	}
	if w.gateway, err = s3gw.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(web.Wrap(web.Config{Logger: w.log.Logger(slog.LevelDebug), Now: w.Clock.Now}, w.gateway))
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) apply(t testing.TB, text string) {
	t.Helper()
	_, err := w.admin.Apply(t.Context(), admin.Actor{ID: "local:0", Proof: "config", SuperAdmin: true}, admin.ApplyRequest{
		Files: []admin.File{{Name: "test.yaml", Content: []byte(text)}}, FromConfig: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// session mints one of a role, with a session policy where one is given.
func (w *world) session(t testing.TB, role string, policies ...string) sigv4.Credentials {
	t.Helper()
	r, err := w.Registry.Role(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := w.Store.Object(t.Context(), "Issuer", "workloads")
	if err != nil {
		t.Fatal(err)
	}
	s := session.Session{
		Role: r.Name, RoleUID: r.UID, Name: "job-7", Kind: session.OIDC, Issuer: "https://idp.example.com", Subject: "build:main",
		IssuerUID: issuer.UID, Fingerprint: r.Trust[0].Fingerprint(), IssuedAt: w.Clock.Now(), ExpiresAt: w.Clock.Now().Add(time.Hour),
	}
	for _, text := range policies {
		parsed, err := policy.ParseSessionPolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Policy = parsed.String()
	}
	c, _, err := w.sealer.Mint(s)
	if err != nil {
		t.Fatal(err)
	}
	return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// request makes a request of a path (with its query) as it is written.
func (w *world) request(t testing.TB, method, path string, body []byte, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(body) == 0 {
		r.Body, r.ContentLength = nil, 0
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[http.CanonicalHeaderKey(header[i])] = append(r.Header[http.CanonicalHeaderKey(header[i])], header[i+1])
	}
	return r
}

// sign signs by the header, with the hash of the body.
func (w *world) sign(t testing.TB, r *http.Request, c sigv4.Credentials) {
	t.Helper()
	payload := sigv4.EmptyPayloadHash
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			text, _ := io.ReadAll(body)
			payload = sigv4.HashPayload(text)
		}
	}
	w.signAs(t, r, c, payload)
}

func (w *world) signAs(t testing.TB, r *http.Request, c sigv4.Credentials, payload string) {
	t.Helper()
	err := sigv4.Sign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: w.Clock.Now(), PayloadHash: payload})
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	code   string
	header http.Header
	body   string
}

// do signs and sends.
func (w *world) do(t testing.TB, c sigv4.Credentials, method, path string, body []byte, header ...string) answer {
	t.Helper()
	r := w.request(t, method, path, body, header...)
	w.sign(t, r, c)
	return w.send(t, r)
}

func (w *world) send(t testing.TB, r *http.Request) answer {
	t.Helper()
	got, err := w.trySend(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return got
}

var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (w *world) trySend(r *http.Request) (answer, error) {
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{status: response.StatusCode, header: response.Header}, err
	}
	return answer{response.StatusCode, codeOf(text), response.Header, string(text)}, nil
}

func codeOf(text []byte) string {
	var e struct {
		XMLName xml.Name
		Code    string
	}
	if xml.Unmarshal(text, &e) != nil || e.XMLName.Local != "Error" {
		return ""
	}
	return e.Code
}

// want fails the test unless the answer is that.
func (a answer) want(t testing.TB, status int, code string) {
	t.Helper()
	if a.status != status || a.code != code {
		t.Errorf("%d %s, want %d %s: %s", a.status, a.code, status, code, a.body)
	}
}

// event is the newest audit event.
func (w *world) event(t testing.TB, action string) audit.Event {
	t.Helper()
	if err := w.Audit.Commit(context.WithoutCancel(t.Context()), audit.Event{Action: "flush", Decision: audit.Changed, Reason: string(countersign.ReasonOK)}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		events := w.Events(t, audit.Query{})
		for i := len(events) - 1; i >= 0; i-- {
			if events[i].Action == action {
				return events[i]
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no audit event of %s", action)
		}
	}
}

// put puts an object into an origin, past the gateway.
func (w *world) put(bucket, key, body string) {
	m := w.origins.of(bucket)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = stored{body: []byte(body), header: http.Header{}}
}
