package egress_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

func newStream(t *testing.T, cfg egress.StreamConfig) *egress.Stream {
	t.Helper()
	s := egress.NewStream(cfg)
	t.Cleanup(s.CloseIdleConnections)
	return s
}

func ask(t *testing.T, s *egress.Stream, rawURL string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.RoundTrip(r)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

func TestRuleC2StreamDialsNoForbiddenAddress(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("was reached") })
	port := server.URL[strings.LastIndexByte(server.URL, ':')+1:]
	for _, rawURL := range []string{
		"https://0.0.0.0:" + port, "https://169.254.169.254", "https://[::ffff:127.0.0.1]:" + port, "https://[64:ff9b::7f00:1]:" + port, "https://10.0.0.1:1",
	} {
		if _, err := ask(t, newStream(t, egress.StreamConfig{}), rawURL); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%s: %v, want ErrAddress", rawURL, err)
		}
	}
	open := newStream(t, egress.StreamConfig{AllowPrivateAddresses: true})
	for _, rawURL := range []string{"https://169.254.169.254", "http://169.254.169.254", "http://8.8.8.8", "http://[2606:4700::1111]", "http://[fd00:ec2::254]"} {
		if _, err := ask(t, open, rawURL); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%s with private addresses: %v, want ErrAddress", rawURL, err)
		}
	}
}

func TestRuleC2StreamRefusesURLs(t *testing.T) {
	t.Parallel()
	strict, open := newStream(t, egress.StreamConfig{}), newStream(t, egress.StreamConfig{AllowPrivateAddresses: true})
	for _, rawURL := range []string{"http://10.0.0.1/", "http://example.com/", "ftp://127.0.0.1/", "https://user@example.com/", "http:///x"} {
		if _, err := ask(t, strict, rawURL); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want invalid", rawURL, err)
		}
	}
	for _, rawURL := range []string{"ftp://127.0.0.1/", "http://user@10.0.0.1/", "http:///x", "unix:///x"} {
		if _, err := ask(t, open, rawURL); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s with private addresses: %v, want invalid", rawURL, err)
		}
	}
}

func TestStreamTakesNoProxyFollowsNoRedirectAndBoundsNoBody(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	t.Setenv("http_proxy", "http://192.0.2.1:1")
	const size = egress.DefaultMaxBodyBytes * 4
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	})
	s := newStream(t, egress.StreamConfig{})
	resp, err := ask(t, s, server.URL+"/there")
	if err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("redirect: %v, %v", resp, err)
	}
	if resp, err = ask(t, s, server.URL); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestStreamBoundsTheHeader(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
			return
		}
		w.Header().Set("X-Large", strings.Repeat("x", 128<<10))
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	s := newStream(t, egress.StreamConfig{HeaderTimeout: 20 * time.Millisecond})
	if _, err := ask(t, s, server.URL+"/slow"); err == nil {
		t.Error("a header that never comes")
	}
	if _, err := ask(t, newStream(t, egress.StreamConfig{}), server.URL+"/large"); err == nil {
		t.Error("a header of 128 KiB")
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]bool{
		"https://example.com": false, "http://127.0.0.1:1": false, "http://localhost": false, "http://10.0.0.1": true, "http://minio:9000": true,
	} {
		u, _ := url.Parse(rawURL)
		if got, err := egress.IsPlain(u); got != want || err != nil {
			t.Errorf("IsPlain(%s) = %v, %v", rawURL, got, err)
		}
	}
	if _, err := egress.IsPlain(&url.URL{Scheme: "ftp"}); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("ftp: %v", err)
	}
}
