package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
)

// serviceTokens is a source whose tokens name their audience, and which counts what it
// is told.
type serviceTokens struct {
	asked, invalidated atomic.Int64
}

func (s *serviceTokens) Token(_ context.Context, audience string) (tokensource.Token, error) {
	s.asked.Add(1)
	return tokensource.Token{Value: countersign.NewSecret("service-for-" + audience), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func (s *serviceTokens) Invalidate(audience string, token tokensource.Token) {
	if token.Value.Reveal() == "service-for-"+audience {
		s.invalidated.Add(1)
	}
}

// echo answers with the two headers.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%q %q", r.Header.Values("Authorization"), r.Header.Values("Service-Authorization"))
}

func hostOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func get(ctx context.Context, t *testing.T, client *http.Client, target string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), nil
}

func wantCode(t *testing.T, err error, want countersign.Code) {
	t.Helper()
	if got := countersign.CodeOf(err); got != want {
		t.Errorf("code %q, want %q (%v)", got, want, err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(server.Close) // after the parallel subtests
	const user, service = `["Bearer user"]`, `["Bearer service-for-parse-service"]`
	tests := []struct {
		mode     transport.Mode
		withUser bool
		want     string
		wantCode countersign.Code
	}{
		{transport.UserAndService, true, user + " " + service, ""},
		{transport.UserAndService, false, service + " []", ""},
		{transport.UserElseService, true, user + " []", ""},
		{transport.UserElseService, false, service + " []", ""},
		{transport.ServiceOnly, true, service + " []", ""},
		{transport.ServiceOnly, false, service + " []", ""},
		{transport.UserOnly, true, user + " []", ""},
		{transport.UserOnly, false, "", countersign.Unauthenticated},
		{transport.Mode(4), true, "", countersign.Invalid},
		{transport.Mode(-1), true, "", countersign.Invalid},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.mode, test.withUser), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if test.withUser {
				ctx = countersign.WithUserToken(ctx, "user")
			}
			client := &http.Client{Transport: &transport.Transport{
				Source: &serviceTokens{}, Mode: test.mode, Audiences: map[string]string{hostOf(t, server): "parse-service"},
			}}
			got, err := get(ctx, t, client, server.URL)
			wantCode(t, err, test.wantCode)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserOnlyNeedsNoSource(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	client := &http.Client{Transport: &transport.Transport{
		Mode: transport.UserOnly, Audiences: map[string]string{hostOf(t, server): "iam-service"},
	}}
	if _, err := get(countersign.WithUserToken(t.Context(), "user"), t, client, server.URL); err != nil {
		t.Error(err)
	}
	client.Transport = &transport.Transport{Audiences: map[string]string{hostOf(t, server): "iam-service"}}
	_, err := get(t.Context(), t, client, server.URL)
	wantCode(t, err, countersign.Invalid)
}

// capture is a Base that answers without a network.
type capture struct {
	requests []*http.Request
	status   int
	err      error
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests = append(c.requests, r)
	if c.err != nil {
		return nil, c.err
	}
	recorder := httptest.NewRecorder()
	recorder.WriteHeader(max(c.status, 200))
	return recorder.Result(), nil
}

// TestRuleC5HostsAreExact: where tokens go, and where nothing goes.
func TestRuleC5HostsAreExact(t *testing.T) {
	t.Parallel()
	audiences := map[string]string{
		"parse.internal": "parse", "docs.internal:8443": "docs", "127.0.0.1:8080": "local",
		"localhost": "own", "[::1]:8080": "six", "Upper.Internal": "upper", "10.0.0.1": "private",
	}
	tests := []struct {
		url  string
		want string // the audience; "" = refused
	}{
		{"https://parse.internal/x", "parse"},
		{"https://parse.internal:443/x", "parse"},
		{"https://PARSE.internal/x", "parse"},
		{"https://docs.internal:8443/", "docs"},
		{"https://upper.internal/", "upper"},
		{"https://10.0.0.1/", "private"},
		{"http://127.0.0.1:8080/", "local"},
		{"https://127.0.0.1:8080/", "local"},
		{"http://localhost/", "own"},
		{"http://localhost:80/", "own"},
		{"https://localhost/", "own"},
		{"http://[::1]:8080/", "six"},

		{"http://parse.internal/", ""}, // C5: http on loopback only
		{"http://parse.internal:443/", ""},
		{"http://10.0.0.1/", ""},
		{"https://parse.internal:8443/", ""},
		{"https://parse.internal:80/", ""},
		{"https://docs.internal/", ""},
		{"https://docs.internal:443/", ""},
		{"https://parse.internal./", ""},
		{"https://evil.parse.internal/", ""},
		{"https://parse.internal.evil.com/", ""},
		{"https://parse.internal@evil.com/", ""},
		{"https://user:password@parse.internal/", ""},
		{"https://evil.com/parse.internal", ""},
		{"https://evil.com:443", ""},
		{"http://127.0.0.1/", ""},
		{"http://127.0.0.1:8081/", ""},
		{"http://127.0.0.2:8080/", ""},
		{"http://127.1:8080/", ""},
		{"http://localhost:443/", ""},
		{"http://localhost:8080/", ""},
		{"http://[::ffff:127.0.0.1]:8080/", ""},
		{"https:///x", ""},
		{"ftp://parse.internal/", ""},
		{"wss://parse.internal/", ""},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			t.Parallel()
			base, source := &capture{}, &serviceTokens{}
			tr := &transport.Transport{Source: source, Audiences: audiences, Base: base}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(req)
			if test.want == "" {
				if err == nil || len(base.requests) != 0 || source.asked.Load() != 0 {
					t.Fatalf("err %v, %d requests, %d tokens; want nothing sent", err, len(base.requests), source.asked.Load())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := base.requests[0].Header.Get("Authorization"); got != "Bearer service-for-"+test.want {
				t.Errorf("Authorization %q", got)
			}
		})
	}
}

func TestAudiencesConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]map[string]string{
		"empty host":     {"": "a"},
		"empty audience": {"parse.internal": ""},
		"scheme":         {"https://parse.internal": "a"},
		"path":           {"parse.internal/x": "a"},
		"user":           {"u@parse.internal": "a"},
		"pattern":        {"*.internal": "a"},
		"port only":      {":443": "a"},
		"empty port":     {"parse.internal:": "a"},
		"port zero":      {"parse.internal:0": "a"},
		"port too large": {"parse.internal:65536": "a"},
		"port spelled":   {"parse.internal:0443": "a"},
		"named port":     {"parse.internal:https": "a"},
		"bare ipv6":      {"::1": "a"},
		"zone":           {"[fe80::1%25eth0]:80": "a"},
		"not ipv6":       {"[parse]:80": "a"},
		"space":          {"parse internal": "a"},
		"list":           {"a.internal,b.internal": "a"},
		"twice":          {"parse.internal": "a", "parse.internal:443": "b"},
		"twice by case":  {"parse.internal": "a", "PARSE.internal": "b"},
	}
	for name, audiences := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := &capture{}
			tr := &transport.Transport{Source: &serviceTokens{}, Audiences: audiences, Base: base}
			_, err := (&http.Client{Transport: tr}).Get("https://parse.internal/")
			wantCode(t, err, countersign.Invalid)
			if len(base.requests) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

// TestRuleC5NoTokenOnARedirect: neither to a stranger nor to a listed host.
func TestRuleC5NoTokenOnARedirect(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	count := func(http.ResponseWriter, *http.Request) { got.Add(1) }
	listed, stranger := httptest.NewServer(http.HandlerFunc(count)), httptest.NewServer(http.HandlerFunc(count))
	defer listed.Close()
	defer stranger.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, target := range map[string]string{"listed": listed.URL, "stranger": stranger.URL, "itself": "/again"} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/again" {
					count(w, r)
				}
				http.Redirect(w, r, target, status)
			}))
			client := &http.Client{Transport: &transport.Transport{
				Source:    &serviceTokens{},
				Audiences: map[string]string{hostOf(t, server): "a", hostOf(t, listed): "b"},
			}}
			_, err := get(countersign.WithUserToken(t.Context(), "user"), t, client, server.URL)
			wantCode(t, err, countersign.Denied)
			if got.Load() != 0 {
				t.Errorf("%d to %s: followed", status, name)
			}
			server.Close()
		}
	}
}

func TestRefusesAuthorizationThatIsThere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Authorization", "Service-Authorization", "authorization", "AUTHORIZATION",
		"service-authorization", "Service_Authorization", "SERVICE_AUTHORIZATION",
	} {
		for _, values := range [][]string{{"Bearer x"}, {""}, {}} {
			base := &capture{}
			tr := &transport.Transport{Source: &serviceTokens{}, Audiences: map[string]string{"a.internal": "a"}, Base: base}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.internal/", nil)
			req.Header[name] = values // as it is: Set would spell it its own way
			_, err := tr.RoundTrip(req)
			wantCode(t, err, countersign.Invalid)
			if len(base.requests) != 0 {
				t.Errorf("%s: sent", name)
			}
		}
	}
}

func TestRefusesAnotherHostHeader(t *testing.T) {
	t.Parallel()
	tr := &transport.Transport{Source: &serviceTokens{}, Audiences: map[string]string{"a.internal": "a"}, Base: &capture{}}
	for host, want := range map[string]countersign.Code{
		"": "", "a.internal": "", "A.internal": "", "a.internal:443": "",
		"b.internal": countersign.Invalid, "a.internal:80": countersign.Invalid, "a.internal.": countersign.Invalid,
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.internal/", nil)
		req.Host = host
		_, err := tr.RoundTrip(req)
		wantCode(t, err, want)
	}
}

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestRoundTripperContract(t *testing.T) {
	t.Parallel()
	base := &capture{}
	tr := &transport.Transport{Source: &serviceTokens{}, Audiences: map[string]string{"a.internal": "a"}, Base: base}
	content := &body{Reader: strings.NewReader("content")}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.internal/", nil)
	req.Body = content
	req.Header.Set("X-Own", "1")
	before := req.Header.Clone()
	if _, err := tr.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, req.Header); diff != "" {
		t.Errorf("the caller's request was changed:\n%s", diff)
	}
	sent := base.requests[0]
	if sent == req || sent.Header.Get("X-Own") != "1" || sent.Body != content {
		t.Error("the request that was sent is not a copy of the caller's")
	}
	sent.Header["X-Own"][0] = "2"
	if req.Header.Get("X-Own") != "1" {
		t.Error("the copy shares its headers with the caller's request")
	}

	refused := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://b.internal/", nil)
	refused.Body = content
	content.closed = false
	_, err := tr.RoundTrip(refused)
	wantCode(t, err, countersign.Denied)
	if !content.closed {
		t.Error("the body was not closed")
	}

	bare := &http.Request{Method: http.MethodGet, URL: req.URL} // no Header, no Body
	if _, err := tr.RoundTrip(bare); err != nil {
		t.Error(err)
	}
	_, err = tr.RoundTrip(&http.Request{Method: http.MethodGet})
	wantCode(t, err, countersign.Invalid)
}

func TestErrorsOfSourceAndBase(t *testing.T) {
	t.Parallel()
	audiences := map[string]string{"a.internal": "a"}
	failing := tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
		return tokensource.Token{}, countersign.NewError(countersign.BadClient, "", "")
	})
	base := &capture{}
	_, err := (&http.Client{Transport: &transport.Transport{Source: failing, Audiences: audiences, Base: base}}).Get("https://a.internal")
	wantCode(t, err, countersign.BadClient)
	if len(base.requests) != 0 {
		t.Error("sent without a token")
	}
	down := errors.New("down")
	_, err = (&http.Client{Transport: &transport.Transport{Source: &serviceTokens{}, Audiences: audiences, Base: &capture{err: down}}}).Get("https://a.internal")
	if !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
}

func TestTokensThatCantBeSent(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a b", "a,b", "a\r\nX-Evil: 1", "a\x00", "ü", "a\t"} {
		audiences := map[string]string{"a.internal": "a"}
		source := tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
			return tokensource.Token{Value: countersign.NewSecret(bad)}, nil
		})
		base := &capture{}
		_, err := (&http.Client{Transport: &transport.Transport{Source: source, Audiences: audiences, Base: base}}).Get("https://a.internal")
		wantCode(t, err, countersign.Invalid)
		if bad != "" { // an empty user token is none
			client := &http.Client{Transport: &transport.Transport{Source: &serviceTokens{}, Audiences: audiences, Base: base}}
			_, err = get(countersign.WithUserToken(t.Context(), bad), t, client, "https://a.internal")
			wantCode(t, err, countersign.Invalid)
			if strings.Contains(fmt.Sprint(err), bad) {
				t.Errorf("the token is in the error: %v", err)
			}
		}
		if len(base.requests) != 0 {
			t.Errorf("%q was sent", bad)
		}
	}
}

func TestUnauthorizedDropsTheServiceToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		mode   transport.Mode
		user   string
		want   int64
	}{
		{401, transport.UserAndService, "", 1},
		{401, transport.UserAndService, "user", 1},
		{401, transport.ServiceOnly, "user", 1},
		{401, transport.UserElseService, "user", 0}, // it was not the service's token
		{401, transport.UserOnly, "user", 0},
		{403, transport.ServiceOnly, "", 0},
		{200, transport.ServiceOnly, "", 0},
	}
	for _, test := range tests {
		source, base := &serviceTokens{}, &capture{status: test.status}
		client := &http.Client{Transport: &transport.Transport{
			Source: source, Mode: test.mode, Audiences: map[string]string{"a.internal": "a"}, Base: base,
		}}
		if _, err := get(countersign.WithUserToken(t.Context(), test.user), t, client, "https://a.internal"); err != nil {
			t.Fatal(err)
		}
		if got := source.invalidated.Load(); got != test.want || len(base.requests) != 1 {
			t.Errorf("%+v: %d drops, %d requests", test, got, len(base.requests))
		}
	}
}

func TestRuleC5DumpsAreRedacted(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer canary"}, "Service-Authorization": {"Bearer canary", "canary"}, "authorization": {"canary"},
		"Service_Authorization": {"canary"}, "Cookie": {"canary"}, "Set-Cookie": {"canary"}, "Proxy-Authorization": {"canary"}, "Accept": {"*/*"},
	}
	clean := transport.Redact(h)
	if text := fmt.Sprint(clean); strings.Contains(text, "canary") || !strings.Contains(text, "*/*") {
		t.Errorf("redacted: %s", text)
	}
	if h.Get("Authorization") != "Bearer canary" || transport.Redact(nil) != nil {
		t.Error("Redact changed its argument")
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.internal/path", strings.NewReader("content"))
	req.Header = h
	text, err := transport.DumpRequest(req)
	if err != nil || strings.Contains(string(text), "canary") || !strings.Contains(string(text), "/path") {
		t.Errorf("dump %q, %v", text, err)
	}
	if rest, err := io.ReadAll(req.Body); err != nil || string(rest) != "content" {
		t.Errorf("the dump read the body: %q, %v", rest, err)
	}
}

type idleCloser struct {
	capture
	closed bool
}

func (c *idleCloser) CloseIdleConnections() { c.closed = true }

func TestCloseIdleConnections(t *testing.T) {
	t.Parallel()
	base := &idleCloser{}
	(&http.Client{Transport: &transport.Transport{Base: base}}).CloseIdleConnections()
	if !base.closed {
		t.Error("Base was not asked")
	}
	(&transport.Transport{Base: &capture{}}).CloseIdleConnections()
}
