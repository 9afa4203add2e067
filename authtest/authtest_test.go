package authtest_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/tokensource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask gets a token without any cache in between.
func ask(t *testing.T, srv *authtest.Server, id string, secret countersign.Secret) (countersign.Secret, error) {
	t.Helper()
	source := &tokensource.ClientCredentials{
		TokenURL: srv.URL + "/oauth2/token", ClientID: id, ClientSecret: secret, Now: srv.Clock.Now,
	}
	defer func() { _ = source.Close() }()
	token, err := source.Token(t.Context(), "parse-service")
	return token.Value, err
}

// active asks the server itself about a token, as the service that it was issued to.
func active(t *testing.T, srv *authtest.Server, id string, secret, token countersign.Secret) bool {
	t.Helper()
	form := url.Values{"client_id": {id}, "client_secret": {secret.Reveal()}, "token": {token.Reveal()}}
	response, err := http.PostForm(srv.URL+"/oauth2/introspect", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var text [4096]byte
	n, _ := response.Body.Read(text[:])
	if response.StatusCode != http.StatusOK {
		t.Fatalf("introspect: %d %s", response.StatusCode, text[:n])
	}
	return strings.Contains(string(text[:n]), `"active":true`)
}

func wantCode(t *testing.T, what string, err error, code countersign.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

var parse = authtest.Service{Audiences: []string{"parse-service"}, Scopes: []string{"s2s:internal"}}

// One clock for the verifier, the server and the source: time moves for all at once.
func TestClockMovesForAll(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	documents := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"parse-service"}, TokenLifetime: 5 * time.Minute})
	verifier := srv.Verifier(t, "parse-service")
	first := documents.Token(t, "parse-service")
	if again := documents.Token(t, "parse-service"); again != first {
		t.Error("the source does not keep its token")
	}
	verified, err := verifier.Verify(t.Context(), first.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if life := verified.ExpiresAt.Sub(verified.IssuedAt); life != 5*time.Minute || verified.Principal.Service.Name != "document-service" {
		t.Errorf("lifetime %v, %+v", life, verified.Principal)
	}
	srv.Clock.Advance(4*time.Minute - time.Second)
	if _, err := verifier.Verify(t.Context(), first.Reveal()); err != nil {
		t.Errorf("a token within its life: %v", err)
	}
	srv.Clock.Advance(3 * time.Minute) // its end, and the minute that clocks may differ
	_, err = verifier.Verify(t.Context(), first.Reveal())
	wantCode(t, "verifier", err, countersign.Expired)
	if active(t, srv, "document-service", documents.Secret, first) {
		t.Error("the server calls an expired token active")
	}
	second := documents.Token(t, "parse-service")
	if second == first {
		t.Error("the source hands out an expired token")
	}
	if _, err := verifier.Verify(t.Context(), second.Reveal()); err != nil {
		t.Errorf("the token after it: %v", err)
	}
	srv.VerifyAudit(t)
}

func TestServiceLifecycle(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	documents := srv.CreateService(t, "document-service", parse)
	secret := documents.Secret
	old, err := ask(t, srv, "document-service", secret)
	if err != nil {
		t.Fatal(err)
	}

	disabled := srv.Clock.Now()
	srv.DisableService(t, "document-service")
	_, err = ask(t, srv, "document-service", secret)
	wantCode(t, "disabled", err, countersign.BadClient)
	srv.EnableService(t, "document-service")
	ahead, left := time.Until(srv.Clock.Now()), 2*time.Second-srv.Clock.Now().Sub(disabled)
	fresh, err := ask(t, srv, "document-service", secret)
	if err != nil {
		t.Errorf("enabled again: %v", err)
	}
	// A machine that is slow enough leaves nothing to wait for.
	if moved := time.Until(srv.Clock.Now()) - ahead; left > 1500*time.Millisecond && moved < time.Millisecond {
		t.Errorf("a token after a revocation waited for real time: the clock is to move instead, and moved by %v", moved)
	}
	if active(t, srv, "document-service", secret, old) || !active(t, srv, "document-service", secret, fresh) {
		t.Error("tokens from before a disable stay dead, those from after it live")
	}

	rotated := srv.RotateSecret(t, "document-service", time.Hour)
	for what, s := range map[string]countersign.Secret{"old secret in its grace": secret, "new secret": rotated} {
		if _, err := ask(t, srv, "document-service", s); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	srv.Clock.Advance(time.Hour)
	_, err = ask(t, srv, "document-service", secret)
	wantCode(t, "old secret behind its grace", err, countersign.BadClient)
	kept, err := ask(t, srv, "document-service", rotated)
	if err != nil {
		t.Errorf("new secret: %v", err)
	}

	srv.RevokeToken(t, kept)
	srv.RevokeToken(t, kept) // no error
	if active(t, srv, "document-service", rotated, kept) {
		t.Error("a revoked token is active")
	}

	srv.DeleteService(t, "document-service")
	_, err = ask(t, srv, "document-service", rotated)
	wantCode(t, "deleted", err, countersign.BadClient)
	again := srv.CreateService(t, "document-service", parse)
	_, err = ask(t, srv, "document-service", rotated)
	wantCode(t, "the old one's secret", err, countersign.BadClient)
	if active(t, srv, "document-service", again.Secret, fresh) {
		t.Error("the new service revives the old one's token")
	}
	again.Token(t, "parse-service")
	srv.VerifyAudit(t)
}

// Several who ask right after a revocation do not add up their waits.
func TestClockIsMovedOnceForManyWhoWait(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	documents := srv.CreateService(t, "document-service", parse)
	srv.DisableService(t, "document-service")
	srv.EnableService(t, "document-service")
	before := srv.Clock.Now()
	done := make(chan error)
	for range 8 {
		go func() {
			_, err := ask(t, srv, "document-service", documents.Secret)
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if moved := srv.Clock.Now().Sub(before); moved > 15*time.Second {
		t.Errorf("the clock moved by %v", moved)
	}
}

func TestUserIssuer(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	users := authtest.NewUserIssuer(t, "web-app")
	users.Clock = srv.Clock
	verifier := srv.Verifier(t, "document-service", users.Trust())
	token := users.Token(t, "alice", map[string]any{"email": "alice@example.com"})
	verified, err := verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	p := verified.Principal
	if p.User.Issuer != users.URL || p.User.Subject != "alice" || !p.Service.IsZero() {
		t.Errorf("principal %+v", p)
	}
	for name, bad := range map[string]map[string]any{
		"another audience": {"aud": "other"}, "another issuer": {"iss": srv.URL}, "no subject": {"sub": ""},
		"already over": {"exp": srv.Clock.Now().Add(-time.Hour).Unix()}, "not yet": {"iat": srv.Clock.Now().Add(time.Hour).Unix()},
	} {
		if _, err := verifier.Verify(t.Context(), users.Token(t, "alice", bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	stranger := authtest.NewUserIssuer(t, "web-app")
	if _, err := verifier.Verify(t.Context(), stranger.Token(t, "alice", nil)); countersign.ReasonOf(err) != countersign.ReasonIssuerUnknown {
		t.Errorf("an issuer that is not trusted: %v", err)
	}
	if _, err := srv.Verifier(t, "document-service").Verify(t.Context(), token); err == nil {
		t.Error("a receiver without this issuer took its token")
	}
	srv.Clock.Advance(2 * time.Hour)
	_, err = verifier.Verify(t.Context(), token)
	wantCode(t, "after an hour", err, countersign.Expired)
	if _, err := verifier.Verify(t.Context(), users.Token(t, "alice", nil)); err != nil {
		t.Errorf("a new login: %v", err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	documents := srv.CreateService(t, "document-service", parse)
	documents.Token(t, "parse-service")
	_, err := ask(t, srv, "document-service", countersign.NewSecret("wrong"))
	wantCode(t, "wrong secret", err, countersign.BadClient)
	srv.RotateSecret(t, "document-service", 0)
	srv.DeleteService(t, "document-service")

	want := []authtest.Event{
		{Action: "service.create", Decision: "changed", Reason: "ok", Target: "document-service"},
		{Action: "token", Decision: "issued", Reason: "ok", Service: "document-service", Target: "parse-service"},
		{Action: "token", Decision: "refused", Reason: "secret_wrong", Service: "document-service"},
		{Action: "service.rotate", Decision: "changed", Reason: "ok", Target: "document-service"},
		{Action: "service.delete", Decision: "changed", Reason: "ok", Target: "document-service"},
	}
	var got []authtest.Event
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && len(got) < len(want); {
		got = nil
		for _, e := range srv.Events(t) { // refusals are stored within a second
			if strings.HasPrefix(e.Action, "service.") || e.Action == "token" {
				got = append(got, e)
			}
		}
	}
	if len(got) != len(want) {
		t.Fatalf("events %+v", got)
	}
	for _, w := range want {
		found := false
		for _, e := range got {
			found = found || e.Action == w.Action && e.Decision == w.Decision && e.Reason == w.Reason && e.Service == w.Service && e.Target == w.Target
			if e.Time.IsZero() || e.Action != "token" && !strings.HasPrefix(e.Actor, "local:") {
				t.Errorf("event %+v", e)
			}
		}
		if !found {
			t.Errorf("there is no event %+v in %+v", w, got)
		}
	}
	srv.VerifyAudit(t)
}

// recorder is a TB whose failures are seen and not had.
type recorder struct {
	*testing.T
	failed chan string
}

func (r recorder) Fatalf(format string, _ ...any) {
	r.failed <- format
	panic(r) // a test would end here
}

// What goes wrong ends the test with a word about it, and never goes on.
func TestFailuresEndTheTest(t *testing.T) {
	t.Parallel()
	srv := authtest.New(t)
	stranger := &authtest.Identity{Name: "nobody", Source: &tokensource.ClientCredentials{
		TokenURL: srv.URL + "/oauth2/token", ClientID: "nobody", ClientSecret: countersign.NewSecret("x"),
	}}
	t.Cleanup(func() { _ = stranger.Source.Close() })
	for name, fn := range map[string]func(tb authtest.TB){
		"a bad name":         func(tb authtest.TB) { srv.CreateService(tb, "Not A Name", parse) },
		"a name twice":       func(tb authtest.TB) { srv.CreateService(tb, "twice", parse); srv.CreateService(tb, "twice", parse) },
		"disable nobody":     func(tb authtest.TB) { srv.DisableService(tb, "nobody") },
		"enable nobody":      func(tb authtest.TB) { srv.EnableService(tb, "nobody") },
		"delete nobody":      func(tb authtest.TB) { srv.DeleteService(tb, "nobody") },
		"rotate nobody":      func(tb authtest.TB) { srv.RotateSecret(tb, "nobody", 0) },
		"revoke no token":    func(tb authtest.TB) { srv.RevokeToken(tb, countersign.NewSecret("x")) },
		"a verifier of none": func(tb authtest.TB) { srv.Verifier(tb, "") },
		"a stranger's token": func(tb authtest.TB) { stranger.Token(tb, "parse-service") },
	} {
		r := recorder{t, make(chan string, 1)}
		func() {
			defer func() { _ = recover() }()
			fn(r)
		}()
		select {
		case format := <-r.failed:
			if !strings.HasPrefix(format, "authtest: ") {
				t.Errorf("%s: %q", name, format)
			}
		default:
			t.Errorf("%s: the test goes on", name)
		}
	}
}

// Not parallel: it counts the goroutines of the whole process.
func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("a test", func(t *testing.T) {
		srv := authtest.New(t)
		users := authtest.NewUserIssuer(t, "web-app")
		documents := srv.CreateService(t, "document-service", parse)
		verifier := srv.Verifier(t, "parse-service", users.Trust())
		for _, token := range []string{documents.Token(t, "parse-service").Reveal(), users.Token(t, "alice", nil)} {
			if _, err := verifier.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		srv.VerifyAudit(t)
	})
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}

// Two servers in one process know nothing of each other.
func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, two := authtest.New(t), authtest.New(t)
	documents := one.CreateService(t, "document-service", parse)
	two.CreateService(t, "document-service", parse)
	token := documents.Token(t, "parse-service")
	if _, err := two.Verifier(t, "parse-service").Verify(t.Context(), token.Reveal()); err == nil {
		t.Error("a token of one server is good at the other")
	}
	one.Clock.Advance(time.Hour)
	if two.Clock.Now().After(time.Now().Add(time.Minute)) {
		t.Error("they share a clock")
	}
}
