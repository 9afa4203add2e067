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
