package transport_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/transport"
)

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
