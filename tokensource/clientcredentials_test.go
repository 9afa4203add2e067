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

const secretText = "csk_canary-secret-value"

// endpoint is somebody's token endpoint, without a network so that it works with the
// clock of testing/synctest. answer may be replaced between calls.
type endpoint struct {
	calls  atomic.Int64
	mu     sync.Mutex
	answer func(r *http.Request) (status int, header http.Header, body string)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	n := e.calls.Add(1)
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		return response(200, nil, tokenBody(fmt.Sprintf("token-%d", n), 900)), nil
	}
	status, header, body := answer(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return response(status, header, body), nil
}

func (e *endpoint) set(answer func(r *http.Request) (int, http.Header, string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) fail(status int, word string) {
	e.set(func(*http.Request) (int, http.Header, string) { return status, nil, `{"error":"` + word + `"}` })
}

func response(status int, header http.Header, body string) *http.Response {
	recorder := httptest.NewRecorder()
	for name, values := range header {
		recorder.Header()[name] = values
	}
	recorder.WriteHeader(status)
	_, _ = recorder.WriteString(body)
	return recorder.Result()
}

func tokenBody(token string, expiresIn int) string {
	return fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, expiresIn)
}

func newSource(e *endpoint) *tokensource.ClientCredentials {
	return &tokensource.ClientCredentials{
		TokenURL: "https://auth.example.com/oauth2/token", ClientID: "document-service",
		ClientSecret: countersign.NewSecret(secretText), HTTPClient: &http.Client{Transport: e},
	}
}

func mustToken(t *testing.T, s tokensource.Source, audience string) tokensource.Token {
	t.Helper()
	token, err := s.Token(t.Context(), audience)
	if err != nil {
		t.Fatalf("Token(%q): %v", audience, err)
	}
	return token
}

func wantCode(t *testing.T, err error, want countersign.Code) {
	t.Helper()
	if got := countersign.CodeOf(err); got != want {
		t.Errorf("code %q, want %q (%v)", got, want, err)
	}
}

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

func TestClientCredentialsRefreshesInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		time.Sleep(600 * time.Second) // 67 % of 900 s
		mustToken(t, source, "a")
		if n := e.calls.Load(); n != 1 {
			t.Fatalf("%d requests before the refresh is due", n)
		}
		time.Sleep(170 * time.Second) // 86 %
		hold := make(chan struct{})
		e.set(func(*http.Request) (int, http.Header, string) {
			<-hold
			return 200, nil, tokenBody("fresh", 900)
		})
		for range 3 { // nobody who can have a valid token waits, and one request is enough
			if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
				t.Error("not the token that is still valid")
			}
		}
		synctest.Wait()
		if n := e.calls.Load(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		close(hold)
		synctest.Wait()
		if got := mustToken(t, source, "a").Value.Reveal(); got != "fresh" {
			t.Errorf("token %q after the refresh", got)
		}
	})
}

func TestClientCredentialsRefreshJitters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := make(map[time.Duration]bool)
		for range 5 {
			e := &endpoint{}
			source := newSource(e)
			start := time.Now()
			for e.calls.Load() < 2 {
				mustToken(t, source, "a")
				time.Sleep(time.Second)
				synctest.Wait()
			}
			after := time.Since(start)
			if after < 900*3/4*time.Second || after > 900*87/100*time.Second {
				t.Errorf("refreshed after %v of 15 min", after)
			}
			at[after] = true
			_ = source.Close()
		}
		if len(at) < 2 {
			t.Error("five sources refreshed at the same second")
		}
	})
}

func TestClientCredentialsLastGoodTokenThroughAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		e.set(func(*http.Request) (int, http.Header, string) { return 0, nil, "" })
		for time.Now().Before(first.ExpiresAt) {
			if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
				t.Fatal("not the last good token")
			}
			time.Sleep(5 * time.Second)
		}
		if n := e.calls.Load(); n < 4 || n > 12 {
			t.Errorf("%d requests in 180 s of outage: not an exponential backoff", n)
		}
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Upstream)
		e.set(nil)
		time.Sleep(2 * time.Minute)
		mustToken(t, source, "a")
	})
}

func TestClientCredentialsBackoffAnswersAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		status   int
		word     string
		header   http.Header
		want     countersign.Code
		min, max time.Duration // of the first backoff
	}{
		{"server down", 503, "", nil, countersign.Unavailable, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"retry after", 503, "", http.Header{"Retry-After": {"40"}}, countersign.Unavailable, 40 * time.Second, 40 * time.Second},
		{"throttled", 429, "", http.Header{"Retry-After": {"7"}}, countersign.Throttled, 7 * time.Second, 7 * time.Second},
		{"throttled for a year", 429, "", http.Header{"Retry-After": {"31536000"}}, countersign.Throttled, 5 * time.Minute, 5 * time.Minute},
		{"retry after makes no sense", 503, "", http.Header{"Retry-After": {"-3"}}, countersign.Unavailable, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"client refused", 401, "invalid_client", nil, countersign.BadClient, 24 * time.Second, 36 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				e.set(func(*http.Request) (int, http.Header, string) {
					return test.status, test.header, `{"error":"` + test.word + `"}`
				})
				source := newSource(e)
				defer source.Close()
				_, err := source.Token(t.Context(), "a")
				wantCode(t, err, test.want)
				_, err = source.Token(t.Context(), "a")
				wantCode(t, err, test.want)
				var detail *countersign.Error
				if !errors.As(err, &detail) || detail.RetryAfter < test.min || detail.RetryAfter > test.max {
					t.Fatalf("in backoff: %#v, want RetryAfter %v to %v", err, test.min, test.max)
				}
				time.Sleep(detail.RetryAfter - time.Millisecond)
				_, _ = source.Token(t.Context(), "a")
				if n := e.calls.Load(); n != 1 {
					t.Errorf("%d requests before the backoff ended", n)
				}
				time.Sleep(time.Millisecond)
				_, _ = source.Token(t.Context(), "a")
				if n := e.calls.Load(); n != 2 {
					t.Errorf("%d requests after the backoff ended, want 2", n)
				}
			})
		})
	}
}

func TestClientCredentialsRefusedClientIsNoLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.fail(401, "invalid_client")
		source := newSource(e)
		defer source.Close()
		for range 3600 {
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.BadClient)
			time.Sleep(time.Second)
		}
		if n := e.calls.Load(); n > 20 {
			t.Errorf("a refused client asked %d times in an hour", n)
		}
	})
}

func TestClientCredentialsInvalidateDropsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		other := mustToken(t, source, "b")
		source.Invalidate("a", other)               // not a's token
		source.Invalidate("a", tokensource.Token{}) // no token
		source.Invalidate("c", first)               // nobody asked for c
		if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
			t.Fatal("somebody else's refusal dropped the token")
		}
		for range 10 {
			source.Invalidate("a", first)
		}
		second := mustToken(t, source, "a")
		if second.Value.Equal(first.Value) {
			t.Fatal("the refused token came again")
		}
		source.Invalidate("a", first) // late news of the old one
		source.Invalidate("a", second)
		if got := mustToken(t, source, "a"); !got.Value.Equal(second.Value) {
			t.Error("a second refusal within the minute made another request")
		}
		time.Sleep(time.Minute)
		source.Invalidate("a", second)
		if got := mustToken(t, source, "a"); got.Value.Equal(second.Value) {
			t.Error("a refusal a minute later had no effect")
		}
		if n := e.calls.Load(); n != 4 {
			t.Errorf("%d requests, want 4", n)
		}
	})
}

// A receiver that refuses a token while the token endpoint is down must not take away
// what may still be good.
func TestClientCredentialsInvalidateDuringAnOutage(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	source := newSource(e)
	defer source.Close()
	first := mustToken(t, source, "a")
	e.fail(503, "")
	source.Invalidate("a", first)
	for range 2 { // from the failed request, and in the backoff
		if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
			t.Error("not the last good token")
		}
	}
	e2 := &endpoint{}
	refused := newSource(e2)
	defer refused.Close()
	first = mustToken(t, refused, "a")
	e2.fail(401, "invalid_client")
	refused.Invalidate("a", first)
	_, err := refused.Token(t.Context(), "a")
	wantCode(t, err, countersign.BadClient)
}

func TestClientCredentialsErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		body   string
		want   countersign.Code
	}{
		{400, `{"error":"invalid_request"}`, countersign.Invalid},
		{401, `{"error":"invalid_client"}`, countersign.BadClient},
		{400, `{"error":"invalid_client"}`, countersign.BadClient},
		{400, `{"error":"invalid_grant"}`, countersign.Denied},
		{400, `{"error":"unauthorized_client"}`, countersign.Denied},
		{400, `{"error":"unsupported_grant_type"}`, countersign.Unsupported},
		{400, `{"error":"invalid_scope"}`, countersign.BadScope},
		{400, `{"error":"invalid_target"}`, countersign.BadTarget},
		{400, `{"error":"temporarily_unavailable"}`, countersign.Unavailable},
		{500, `{"error":"server_error"}`, countersign.Unavailable},
		{503, `{"error":"invalid_client"}`, countersign.Unavailable},
		{429, `{"error":"invalid_client"}`, countersign.Throttled},
		{400, `{"error":"something new"}`, countersign.Invalid},
		{401, `not json`, countersign.BadClient},
		{403, ``, countersign.Denied},
		{404, `{"error":"not_found"}`, countersign.Upstream},
		{302, ``, countersign.Upstream},
		{201, tokenBody("t", 60), countersign.Upstream},
		{0, ``, countersign.Upstream},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.set(func(*http.Request) (int, http.Header, string) { return test.status, nil, test.body })
			source := newSource(e)
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, test.want)
		})
	}
}

func TestClientCredentialsBadAnswers(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"empty":             ``,
		"not json":          `token`,
		"no token":          `{"token_type":"Bearer","expires_in":60}`,
		"no type":           `{"access_token":"t","expires_in":60}`,
		"other type":        `{"access_token":"t","token_type":"DPoP","expires_in":60}`,
		"two headers":       `{"access_token":"t\r\nX: y","token_type":"Bearer","expires_in":60}`,
		"two tokens":        `{"access_token":"t, Bearer u","token_type":"Bearer","expires_in":60}`,
		"zero life":         `{"access_token":"t","token_type":"Bearer","expires_in":0}`,
		"negative life":     `{"access_token":"t","token_type":"Bearer","expires_in":-1}`,
		"fractional life":   `{"access_token":"t","token_type":"Bearer","expires_in":1.5}`,
		"a date for a life": `{"access_token":"t","token_type":"Bearer","expires_in":1800000000}`,
		"life overflows":    `{"access_token":"t","token_type":"Bearer","expires_in":9223372036854775808}`,
		"token too large":   tokenBody(strings.Repeat("t", 17<<10), 60),
		"answer too large":  tokenBody("t", 60) + strings.Repeat(" ", 70<<10),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.set(func(*http.Request) (int, http.Header, string) { return 200, nil, body })
			source := newSource(e)
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Upstream)
		})
	}
}

func TestClientCredentialsLife(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"access_token":"t","token_type":"bearer"}`:                      5 * time.Minute,
		`{"access_token":"t","token_type":"BEARER","expires_in":60}`:      time.Minute,
		`{"access_token":"t","token_type":"Bearer","expires_in":2592000}`: 24 * time.Hour,
	} {
		now := time.Unix(1_800_000_000, 0)
		e := &endpoint{}
		e.set(func(*http.Request) (int, http.Header, string) { return 200, nil, body })
		source := newSource(e)
		source.Now = func() time.Time { return now }
		if got := mustToken(t, source, "a").ExpiresAt.Sub(now); got != want {
			t.Errorf("%s: lives %v, want %v", body, got, want)
		}
		_ = source.Close()
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

// TestVulnerability30NoSecretInErrors: an endpoint that repeats what it was sent.
func TestVulnerability30NoSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 400, 401, 403, 429, 500} {
		e := &endpoint{}
		e.set(func(r *http.Request) (int, http.Header, string) {
			return status, http.Header{"Location": {secretText}, "Retry-After": {secretText}},
				`{"error":"` + secretText + `","error_description":"` + r.Header.Get("Authorization") + secretText + `","access_token":"` + secretText + ` x"}`
		})
		source := newSource(e)
		_, err := source.Token(t.Context(), "a")
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", &source.ClientSecret), countersign.MessageOf(err)} {
			if strings.Contains(text, "canary") || strings.Contains(text, "ZG9jdW1lbnQ") {
				t.Errorf("status %d: a secret in %q", status, text)
			}
		}
		_ = source.Close()
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

// A token endpoint that never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
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
