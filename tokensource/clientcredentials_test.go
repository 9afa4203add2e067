package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func TestClientCredentialsSendsTheGrant(t *testing.T) {
	t.Parallel()
	var got url.Values
	var id, secret string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r.PostForm
		id, secret, _ = r.BasicAuth()
		fmt.Fprint(w, tokenBody("t", 60))
	}))
	defer server.Close()
	source := &tokensource.ClientCredentials{
		TokenURL: server.URL, ClientID: "id:with colon", ClientSecret: countersign.NewSecret("s%:ü+"),
		Scopes: []string{"b", "a", "b"}, // and the default client: a loopback may be plain http
	}
	defer source.Close()
	before := time.Now()
	token := mustToken(t, source, "parse-service")
	want := url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"}, "scope": {"a b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	if id != "id%3Awith+colon" || secret != "s%25%3A%C3%BC%2B" {
		t.Errorf("basic %q %q is not form-encoded (RFC 6749 §2.3.1)", id, secret)
	}
	if end := token.ExpiresAt; end.Before(before.Add(59*time.Second)) || end.After(time.Now().Add(60*time.Second)) {
		t.Errorf("expires %v, asked at %v", end, before)
	}
}

func TestClientCredentialsManyCallersOneRequest(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	source := newSource(e)
	defer source.Close()
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() { mustToken(t, source, "parse-service") })
	}
	callers.Wait()
	if n := e.calls.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestClientCredentialsKeepsAudiencesApart(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	source := newSource(e)
	defer source.Close()
	a, b := mustToken(t, source, "a"), mustToken(t, source, "b")
	if a.Value.Equal(b.Value) {
		t.Error("two audiences share a token")
	}
	if again := mustToken(t, source, "a"); !again.Value.Equal(a.Value) {
		t.Error("a's token was not kept")
	}
}

func TestClientCredentialsBoundsAudiences(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	source := newSource(e)
	defer source.Close()
	for i := range 256 {
		mustToken(t, source, fmt.Sprint("a", i))
	}
	mustToken(t, source, "a0") // now a1 is the one that was used longest ago
	mustToken(t, source, "one too many")
	before := e.calls.Load()
	mustToken(t, source, "a0")
	mustToken(t, source, "a2")
	if n := e.calls.Load() - before; n != 0 {
		t.Errorf("%d requests for what should be cached", n)
	}
	mustToken(t, source, "a1")
	if n := e.calls.Load() - before; n != 1 {
		t.Errorf("the least recently used audience was asked for %d times, want 1", n)
	}
}

func TestClientCredentialsConfig(t *testing.T) {
	t.Parallel()
	good := func() *tokensource.ClientCredentials { return newSource(&endpoint{}) }
	tests := map[string]func(*tokensource.ClientCredentials){
		"no url":               func(c *tokensource.ClientCredentials) { c.TokenURL = "" },
		"relative url":         func(c *tokensource.ClientCredentials) { c.TokenURL = "/oauth2/token" },
		"plain http":           func(c *tokensource.ClientCredentials) { c.TokenURL = "http://auth.example.com/" },
		"plain http, private":  func(c *tokensource.ClientCredentials) { c.TokenURL = "http://10.0.0.1/" },
		"loopback lookalike":   func(c *tokensource.ClientCredentials) { c.TokenURL = "http://127.0.0.1.example.com/" },
		"password in the url":  func(c *tokensource.ClientCredentials) { c.TokenURL = "https://a:b@auth.example.com/" },
		"fragment":             func(c *tokensource.ClientCredentials) { c.TokenURL = "https://auth.example.com/#x" },
		"other scheme":         func(c *tokensource.ClientCredentials) { c.TokenURL = "ftp://auth.example.com/" },
		"no client":            func(c *tokensource.ClientCredentials) { c.ClientID = "" },
		"no secret":            func(c *tokensource.ClientCredentials) { c.ClientSecret = countersign.Secret{} },
		"two secrets":          func(c *tokensource.ClientCredentials) { c.ClientSecretFile = "x" },
		"empty scope":          func(c *tokensource.ClientCredentials) { c.Scopes = []string{""} },
		"two scopes in a word": func(c *tokensource.ClientCredentials) { c.Scopes = []string{"a b"} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := good()
			change(source)
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Invalid)
			source.Invalidate("a", tokensource.Token{})
			_ = source.Close()
		})
	}
}

// TestRuleC5NoSecretOnARedirect: a 307 would carry the secret to wherever it points.
func TestRuleC5NoSecretOnARedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for name, client := range map[string]*http.Client{"guarded": nil, "own": server.Client()} {
		source := newSource(nil)
		source.TokenURL, source.HTTPClient = server.URL, client
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Upstream)
		_ = source.Close()
		if leaked.Load() != 0 {
			t.Errorf("%s client: the secret followed a redirect", name)
		}
	}
}

func TestClientCredentialsSecretFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "secret")
		var secrets []string
		e := &endpoint{}
		e.set(func(r *http.Request) (int, http.Header, string) {
			_, secret, _ := r.BasicAuth()
			secrets = append(secrets, secret)
			return 200, nil, tokenBody("t", 60)
		})
		source := newSource(e)
		source.ClientSecret, source.ClientSecretFile = countersign.Secret{}, path
		defer source.Close()
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Unavailable)
		for _, secret := range []string{"old\n", "new\n"} {
			if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(61 * time.Second)
			mustToken(t, source, "a")
		}
		if diff := cmp.Diff([]string{"old", "new"}, secrets); diff != "" {
			t.Errorf("secrets that were sent (-want +got):\n%s", diff)
		}
		for _, bad := range []string{"", " \n", strings.Repeat("x", 5000)} {
			if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Minute)
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Unavailable)
		}
	})
}

func TestClientCredentialsCallerGivesUpOthersDont(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		e := &endpoint{}
		e.set(func(r *http.Request) (int, http.Header, string) {
			<-hold
			return 200, nil, tokenBody("t", 60)
		})
		source := newSource(e)
		defer source.Close()
		impatient, cancel := context.WithCancel(t.Context())
		outcome := make(chan error, 2)
		go func() { _, err := source.Token(impatient, "a"); outcome <- err }()
		synctest.Wait()
		go func() { _, err := source.Token(t.Context(), "a"); outcome <- err }()
		synctest.Wait()
		cancel()
		if err := <-outcome; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		close(hold)
		if err := <-outcome; err != nil {
			t.Errorf("who stayed got %v", err)
		}
	})
}

func TestClientCredentialsClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: hanging{}}
		source := newSource(nil)
		source.HTTPClient = client
		outcome := make(chan error, 1)
		go func() { _, err := source.Token(t.Context(), "a"); outcome <- err }()
		synctest.Wait()
		if err := source.Close(); err != nil {
			t.Error(err)
		}
		wantCode(t, <-outcome, countersign.Upstream)
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Unavailable)
		_ = source.Close()
	})
}

func TestClientCredentialsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := newSource(nil)
		source.HTTPClient = &http.Client{Transport: hanging{}}
		defer source.Close()
		start := time.Now()
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Upstream)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}
