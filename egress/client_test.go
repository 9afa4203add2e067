package egress_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

func TestGetReturnsBodyAndHeader(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, r.Header.Get("Accept"))
	})
	body, header, err := egress.Get(t.Context(), newClient(t, egress.Config{}), server.URL, "application/json")
	if err != nil || string(body) != "application/json" || header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("Get = %q, %v, %v", body, header, err)
	}
}

func TestPostSendsBody(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("Content-Type")+" ")
		_, _ = io.Copy(w, r.Body)
	})
	body, _, err := egress.Post(t.Context(), newClient(t, egress.Config{}), server.URL, "text/plain", []byte("hello"))
	if err != nil || string(body) != "POST text/plain hello" {
		t.Errorf("Post = %q, %v", body, err)
	}
}

func TestRefusedURLs(t *testing.T) {
	t.Parallel()
	client := newClient(t, egress.Config{AllowPrivateAddresses: true})
	for _, url := range []string{
		"", "/relative", "http://example.com/", "http://10.0.0.1/", "http://localhost.example.com/",
		"http://[::ffff:127.0.0.1]/", "ftp://127.0.0.1/", "file:///etc/passwd", "https:///path", "https:opaque",
		"https://user:password@example.com/", "http://user@127.0.0.1/", "https://example.com/#fragment",
		"https://[fe80::1%25eth0]/", "https://exa mple.com/", "gopher://127.0.0.1",
	} {
		if err := egress.CheckURL(url); countersign.CodeOf(err) != countersign.Invalid || !errors.Is(err, egress.ErrURL) {
			t.Errorf("CheckURL(%q) = %v, want Invalid", url, err)
		}
		_, _, err := egress.Get(t.Context(), client, url, "")
		if err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("Get(%q) = %v", url, err)
		}
	}
	for _, url := range []string{"https://example.com", "https://example.com:8443/a?b=c", "http://127.0.0.1:80/", "http://[::1]/", "http://localhost:1/"} {
		if err := egress.CheckURL(url); err != nil {
			t.Errorf("CheckURL(%q) = %v", url, err)
		}
	}
}

func TestVulnerability18RedirectIsAnError(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	target := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308, 399} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target.URL)
			w.WriteHeader(status)
		})
		_, _, err := egress.Get(t.Context(), newClient(t, egress.Config{}), server.URL, "")
		if !errors.Is(err, egress.ErrRedirect) || countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("status %d: %v, want ErrRedirect", status, err)
		}
		_, _, err = egress.Post(t.Context(), newClient(t, egress.Config{}), server.URL, "text/plain", []byte("secret"))
		if !errors.Is(err, egress.ErrRedirect) {
			t.Errorf("status %d, POST: %v, want ErrRedirect", status, err)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("a redirect was followed %d times", reached.Load())
	}
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		size    int
		chunked bool
		want    error
	}{
		{"empty", 0, false, nil},
		{"exactly full", 1000, false, nil},
		{"exactly full, chunked", 1000, true, nil},
		{"one over", 1001, false, egress.ErrTooLarge},
		{"one over, chunked", 1001, true, egress.ErrTooLarge},
		{"huge, chunked", 1 << 20, true, egress.ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.chunked {
					w.(http.Flusher).Flush()
				}
				_, _ = w.Write(bytes.Repeat([]byte("x"), test.size))
			})
			body, _, err := egress.Get(t.Context(), newClient(t, egress.Config{MaxBodyBytes: 1000}), server.URL, "")
			if !errors.Is(err, test.want) || err == nil && len(body) != test.size || err != nil && body != nil {
				t.Errorf("Get = %d bytes, %v, want %v", len(body), err, test.want)
			}
		})
	}
}

func TestHugeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Huge", strings.Repeat("x", 100<<10))
	})
	if _, _, err := egress.Get(t.Context(), newClient(t, egress.Config{}), server.URL, ""); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("Get = %v, want Upstream", err)
	}
}

func TestStatusIsReported(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 429, 500, 503} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "why")
		})
		body, _, err := egress.Get(t.Context(), newClient(t, egress.Config{}), server.URL, "")
		var got *egress.StatusError
		if !errors.As(err, &got) || got.Status != status || string(got.Body) != "why" || body != nil {
			t.Errorf("status %d: %q, %v", status, body, err)
		}
		if strings.Contains(err.Error(), "why") {
			t.Errorf("the server's text is in the error: %v", err)
		}
	}
}

func TestTimeBoundsTheBodyToo(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-release
	})
	t.Cleanup(func() { close(release) })
	_, _, err := egress.Get(t.Context(), newClient(t, egress.Config{Timeout: 50 * time.Millisecond}), server.URL, "")
	if countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("Get = %v, want Upstream", err)
	}
}

func TestContextEndsTheExchange(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	server := serve(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
	t.Cleanup(func() { close(release) })
	if _, _, err := egress.Get(ctx, newClient(t, egress.Config{}), server.URL, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want context.Canceled", err)
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	client := newClient(t, egress.Config{Timeout: 200 * time.Millisecond, Resolver: fakeDNS(t, "127.0.0.1")})
	if _, _, err := egress.Get(t.Context(), client, "https://idp.example.com/", ""); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("Get = %v, want ErrAddress: dialled directly and refused", err)
	}
}

func TestCookiesAreNotKept(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	client := newClient(t, egress.Config{})
	for range 2 {
		if body, _, err := egress.Get(t.Context(), client, server.URL, ""); err != nil || len(body) > 0 {
			t.Errorf("Get = %q, %v", body, err)
		}
	}
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "tls") }))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	if _, _, err := egress.Get(t.Context(), newClient(t, egress.Config{}), server.URL, ""); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("unknown certificate: %v, want Upstream", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	body, _, err := egress.Get(t.Context(), newClient(t, egress.Config{RootCAs: roots}), server.URL, "")
	if err != nil || string(body) != "tls" {
		t.Errorf("Get = %q, %v", body, err)
	}
}

// TestVulnerability18DNSRebinding: a name whose address is harmless when somebody
// looks and is ours when the connection is made.
func TestVulnerability18DNSRebinding(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"} {
		client := newClient(t, egress.Config{Resolver: fakeDNS(t, address)})
		_, _, err := egress.Get(t.Context(), client, "https://rebind.example.com/", "")
		if !errors.Is(err, egress.ErrAddress) || countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%s: %v, want ErrAddress", address, err)
		}
	}
}

func TestPrivateAddressByName(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	cfg := egress.Config{Resolver: fakeDNS(t, "127.0.0.1"), RootCAs: roots}
	url := "https://example.com:" + port // the name in httptest's certificate
	if _, _, err := egress.Get(t.Context(), newClient(t, cfg), url, ""); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("Get = %v, want ErrAddress", err)
	}
	cfg.AllowPrivateAddresses = true
	if body, _, err := egress.Get(t.Context(), newClient(t, cfg), url, ""); err != nil || string(body) != "inside" {
		t.Errorf("Get = %q, %v, want it allowed", body, err)
	}
}

func newClient(t *testing.T, cfg egress.Config) *http.Client {
	t.Helper()
	client := egress.New(cfg)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// fakeDNS answers every question with one address.
func fakeDNS(t *testing.T, address string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer(buf[:n], address), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer builds a DNS reply with one A or AAAA record, RFC 1035 §4.1.
func answer(query []byte, address string) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	ip, kind := net.ParseIP(address).To16(), uint16(28)
	if !strings.Contains(address, ":") {
		ip, kind = ip.To4(), 1
	}
	reply := append([]byte{}, query[:end]...)
	binary.BigEndian.PutUint16(reply[2:], 0x8180)
	binary.BigEndian.PutUint16(reply[6:], 0)
	binary.BigEndian.PutUint32(reply[8:], 0)
	if binary.BigEndian.Uint16(query[end-4:]) != kind {
		return reply
	}
	binary.BigEndian.PutUint16(reply[6:], 1)
	reply = append(reply, 0xc0, 12)
	reply = binary.BigEndian.AppendUint16(reply, kind)
	reply = append(reply, 0, 1, 0, 0, 0, 0, 0, byte(len(ip)))
	return append(reply, ip...)
}
