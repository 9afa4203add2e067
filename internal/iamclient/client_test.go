package iamclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// answering returns a client of a server that answers everything with handler.
func answering(t *testing.T, handler http.HandlerFunc) *iamclient.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := iamclient.New(iamclient.Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]iamclient.Config{
		"neither":            {},
		"both":               {Socket: "s", BaseURL: "https://a"},
		"client with socket": {Socket: "s", HTTPClient: http.DefaultClient},
		"no scheme":          {BaseURL: "auth.example.com"},
		"other scheme":       {BaseURL: "ftp://auth.example.com"},
		"user in URL":        {BaseURL: "https://u:p@auth.example.com"},
		"query in URL":       {BaseURL: "https://auth.example.com?a=b"},
		"no host":            {BaseURL: "https://"},
	} {
		if _, err := iamclient.New(cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestMissingServerSaysHowToStartOne(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stale := filepath.Join(folder, "stale.sock")
	listener, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []string{filepath.Join(folder, "none.sock"), filepath.Join(folder, "no", "folder.sock"), stale} {
		client, err := iamclient.New(iamclient.Config{Socket: socket})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Service(t.Context(), "document-service")
		if !errors.Is(err, countersign.Unavailable) || countersign.MessageOf(err) != "no server: start countersign serve" {
			t.Errorf("%s: %v", socket, err)
		}
	}
}

// failing is a transport that can't make a request complete, so that nobody was asked.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// A secret that can't be read and a token that is refused say nothing of the server.
func TestNoTokenIsNotNoServer(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no file": countersign.WrapError(countersign.Unavailable, "", "the client secret can't be read", fs.ErrNotExist),
		"refused": countersign.NewError(countersign.Unauthenticated, "", "the token endpoint answered 401"),
	} {
		client, newErr := iamclient.New(iamclient.Config{BaseURL: "https://auth.example.com", HTTPClient: &http.Client{Transport: failing{fmt.Errorf("get a token: %w", err)}}})
		if newErr != nil {
			t.Fatal(newErr)
		}
		if _, got := client.Service(t.Context(), "a"); !errors.Is(got, err) || countersign.MessageOf(got) != countersign.MessageOf(err) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSocketOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may open every folder")
	}
	folder := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(folder, 0); err != nil {
		t.Fatal(err)
	}
	client, err := iamclient.New(iamclient.Config{Socket: filepath.Join(folder, "admin.sock")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Service(t.Context(), "a"); !errors.Is(err, countersign.Denied) {
		t.Errorf("got %v, want denied", err)
	}
}

func TestEveryCodeComesBack(t *testing.T) {
	t.Parallel()
	for _, code := range countersign.Codes() {
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", iamclient.ProblemType)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTeapot)
			_ = json.NewEncoder(w).Encode(iamclient.Problem{Detail: "why", Code: string(code), Reason: "name_taken"})
		})
		_, err := client.Service(t.Context(), "a")
		var e *countersign.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", code, err)
		}
		want := &countersign.Error{Code: code, Reason: countersign.ReasonNameTaken, Msg: "why", RetryAfter: 7 * time.Second}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s: %s", code, diff)
		}
	}
}

func TestAnswersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   countersign.Code
	}{
		{"unknown code", 403, `{"code":"made_up"}`, countersign.Denied},
		{"oauth error", 401, `{"error":"invalid_client","error_description":"no"}`, countersign.Unauthenticated},
		{"html", 502, `<html>`, countersign.Upstream},
		{"empty 503", 503, ``, countersign.Unavailable},
		{"redirect is not followed", 302, ``, countersign.Upstream},
		{"stale revision", 412, ``, countersign.Conflict},
		{"200 but no JSON", 200, `<html>`, countersign.Upstream},
		{"200 but a list", 200, `[]`, countersign.Upstream},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "elsewhere") {
					t.Error("the redirect was followed")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			if _, err := client.Service(t.Context(), "a"); countersign.CodeOf(err) != test.want {
				t.Errorf("got %v (%s), want %s", err, countersign.CodeOf(err), test.want)
			}
		})
	}
}

func TestErrorTextCannotSteerATerminal(t *testing.T) {
	t.Parallel()
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(iamclient.Problem{Code: "invalid", Detail: "a\x1b[2Jb\nc" + strings.Repeat("x", 5000)})
	})
	_, err := client.Service(t.Context(), "a")
	if msg := countersign.MessageOf(err); strings.ContainsAny(msg, "\x1b\n") || len(msg) > 1024 {
		t.Errorf("message %q", msg)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"name":"%s"}`, strings.Repeat("x", 17<<20))
	})
	if _, err := client.Service(t.Context(), "a"); !errors.Is(err, countersign.Upstream) {
		t.Errorf("got %v, want upstream", err)
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	type request struct{ Line, IfMatch, ContentType, Body string }
	var got request
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{r.Method + " " + r.URL.RequestURI(), r.Header.Get("If-Match"), r.Header.Get("Content-Type"), string(body)}
		_, _ = io.WriteString(w, `{}`)
	})
	ctx := t.Context()
	const base = iamclient.BasePath
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name string
		call func() error
		want request
	}{
		{"create", func() error {
			_, err := client.CreateService(ctx, iamclient.CreateService{Name: "a", Audiences: []string{"b"}, TokenLifetime: iamclient.Duration(time.Minute)})
			return err
		}, request{"POST " + base + "/admin/services", "", "application/json", `{"name":"a","audiences":["b"],"token_lifetime":"1m"}`}},
		{"a name stays one segment", func() error { _, err := client.Service(ctx, "a/../b?c"); return err },
			request{Line: "GET " + base + "/admin/services/a%2F..%2Fb%3Fc"}},
		{"list", func() error {
			_, err := client.Services(ctx, iamclient.ServicePage{After: "a", Limit: 2})
			return err
		}, request{Line: "GET " + base + "/admin/services?after=a&limit=2"}},
		{"rotate", func() error { _, err := client.RotateSecret(ctx, "a", 3, 0); return err },
			request{"POST " + base + "/admin/services/a/rotate", `"3"`, "application/json", `{"grace":"0s"}`}},
		{"disable", func() error { _, err := client.DisableService(ctx, "a", iamclient.AnyRevision); return err },
			request{"POST " + base + "/admin/services/a/disable", "*", "", ""}},
		{"enable", func() error { _, err := client.EnableService(ctx, "a", 1); return err },
			request{"POST " + base + "/admin/services/a/enable", `"1"`, "", ""}},
		{"delete", func() error { return client.DeleteService(ctx, "a", 1) },
			request{"DELETE " + base + "/admin/services/a", `"1"`, "", ""}},
		{"revoke token", func() error { _, err := client.RevokeToken(ctx, countersign.NewSecret("t.o.k")); return err },
			request{"POST " + base + "/admin/revocations", "", "application/json", `{"token":"t.o.k"}`}},
		{"revoke token id", func() error { _, err := client.RevokeTokenID(ctx, "j", at); return err },
			request{"POST " + base + "/admin/revocations", "", "application/json", `{"jti":"j","expires_at":"2026-01-02T03:04:05Z"}`}},
		{"revoke service", func() error { _, err := client.RevokeService(ctx, "a"); return err },
			request{"POST " + base + "/admin/revocations", "", "application/json", `{"service":"a"}`}},
		{"audit", func() error {
			_, err := client.AuditEvents(ctx, iamclient.AuditQuery{Since: at, Service: "a", Limit: 5, Newest: true, Wait: 25 * time.Second})
			return err
		}, request{Line: "GET " + base + "/admin/audit/events?limit=5&newest=true&service=a&since=2026-01-02T03%3A04%3A05Z&wait=25s"}},
		{"verify", func() error { _, err := client.VerifyAudit(ctx); return err },
			request{Line: "POST " + base + "/admin/audit/verify"}},
		{"introspect", func() error { _, err := client.Introspect(ctx, countersign.NewSecret("t.o.k")); return err },
			request{"POST /oauth2/introspect", "", "application/x-www-form-urlencoded", "token=t.o.k"}},
	}
	for _, test := range tests { // one after another: they share got
		got = request{}
		if err := test.call(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestSecretsAreShownOnlyWhereTheyMustBe(t *testing.T) {
	t.Parallel()
	const canary = "csk_canary"
	c := iamclient.Credentials{ClientID: "a", ClientSecret: countersign.NewSecret(canary)}
	plain, err := json.Marshal(c)
	if err != nil || strings.Contains(string(plain)+fmt.Sprintf("%v %+v %#v", c, c, c), canary) {
		t.Errorf("the secret is shown: %s, %v", plain, err)
	}
	revealed, err := c.RevealJSON()
	if err != nil || strings.Count(string(revealed), canary) != 1 || strings.Contains(string(revealed), "REDACTED") {
		t.Errorf("the secret is not revealed once: %s, %v", revealed, err)
	}
	var back iamclient.Credentials
	if err := json.Unmarshal(revealed, &back); err != nil || back.ClientSecret.Reveal() != canary || back.ClientID != "a" {
		t.Errorf("it does not read back: %+v, %v", back, err)
	}
	request, err := json.Marshal(iamclient.Revoke{Token: countersign.NewSecret(canary)})
	if err != nil || strings.Contains(string(request), canary) {
		t.Errorf("the token is shown: %s, %v", request, err)
	}
}

func TestIntrospectionAudience(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"active":true,"aud":"a"}`:       {"a"},
		`{"active":true,"aud":["a","b"]}`: {"a", "b"},
		`{"active":false}`:                nil,
	} {
		var got iamclient.Introspection
		if err := json.Unmarshal([]byte(body), &got); err != nil || cmp.Diff(want, []string(got.Audience)) != "" {
			t.Errorf("%s: %v, %v", body, got.Audience, err)
		}
	}
}
