package egress_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/egress"
)

func TestClientOrOwnsWhatItMade(t *testing.T) {
	t.Parallel()
	client, owned := egress.ClientOr(nil, egress.Config{Timeout: time.Second})
	if !owned || client.Timeout != time.Second {
		t.Errorf("owned=%t, timeout %v; want the guarded client of the configuration", owned, client.Timeout)
	}
	if _, _, err := egress.Get(t.Context(), client, "http://example.com/", ""); !errors.Is(err, egress.ErrURL) {
		t.Errorf("got %v, want the guard's refusal", err)
	}
}

func TestClientOrFollowsNoRedirectAndKeepsNoCookie(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect to %s was followed", r.URL.Path)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	configured := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	client, owned := egress.ClientOr(configured, egress.Config{})
	if owned || client == configured || configured.CheckRedirect != nil || client.Timeout != configured.Timeout {
		t.Errorf("owned=%t, %+v made of %+v", owned, client, configured)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader("secret"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusTemporaryRedirect || len(jar.Cookies(r.URL)) != 0 {
		t.Errorf("status %d, cookies %v", resp.StatusCode, jar.Cookies(r.URL))
	}
}

func TestWithoutURL(t *testing.T) {
	t.Parallel()
	wrapped := &url.Error{Op: "Post", URL: "https://example.com/?canary", Err: io.EOF}
	for err, want := range map[error]error{nil: nil, io.EOF: io.EOF, wrapped: io.EOF, errors.Join(wrapped): io.EOF} {
		if got := egress.WithoutURL(err); got != want { //nolint:errorlint // the error itself, with nothing around it
			t.Errorf("WithoutURL(%v) = %v, want %v", err, got, want)
		}
	}
}
