package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/web"
)

// served is a running Serve.
type served struct {
	addr string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, cfg web.ServeConfig) *served {
	t.Helper()
	if cfg.Listener == nil {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listener = listener
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &served{addr: cfg.Listener.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { s.done <- web.Serve(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			t.Error("Serve does not end")
		}
	})
	return s
}

// raw sends bytes as they are and returns the answer's first line.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

// formServer reads a form of at most 1 KiB as a front door would.
func formServer(t *testing.T, log *fixture.Log) *served {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST /form", web.Handle(log.Logger(slog.LevelDebug), writeError, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := web.ReadForm(r, 1024); err != nil {
			return err
		}
		return web.WriteJSON(w, 200, true)
	}))
	return serve(t, web.ServeConfig{Handler: web.Wrap(web.Config{Logger: log.Logger(slog.LevelDebug), Hosts: []string{}}, mux), Logger: log.Logger(slog.LevelDebug)})
}

// Bad input as bytes on the wire: each gets the right refusal, and the server lives on.
func TestServeRefusesBadRequests(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	s := formServer(t, &log)
	const head = "POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	tests := []struct{ name, request, want string }{
		{"good", head + "Content-Length: 3\r\n\r\na=b", "HTTP/1.1 200"},
		{"large header", "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat(canary, 4000) + "\r\n\r\n", "HTTP/1.1 431"},
		{"many headers", "GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: 1\r\n", 9000) + "\r\n", "HTTP/1.1 431"},
		{"large request line", "GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 431"},
		{"declared large body", head + "Content-Length: 1000000000000\r\n\r\n", "HTTP/1.1 413"},
		{"declared large body, expecting", head + "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n", "HTTP/1.1 413"},
		{"chunked large body", head + "Transfer-Encoding: chunked\r\n\r\n800\r\n" + strings.Repeat("a", 0x800) + "\r\n0\r\n\r\n", "HTTP/1.1 413"},
		{"duplicate parameter", head + "Content-Length: 7\r\n\r\na=b&a=c", "HTTP/1.1 400"},
		{"two lengths", head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b", "HTTP/1.1 400"},
		// RFC 9112 §6.3: the chunks count; net/http drops the length before we could see it.
		{"length and chunks", head + "Content-Length: 1000000\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200"},
		{"negative length", head + "Content-Length: -1\r\n\r\n", "HTTP/1.1 400"},
		{"bad chunk", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 400"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
		{"foreign host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421"},
		{"foreign host in the URL", "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 421"},
		{"OPTIONS *, foreign host", "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421"},
		{"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 421"},
		{"bad header", "GET / HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n", "HTTP/1.1 400"},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "HTTP/1.1 400"},
	}
	for _, test := range tests {
		if got := raw(t, s.addr, test.request); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %q, want %s", test.name, got, test.want)
		}
	}
	if strings.Contains(log.String(), canary) || strings.Contains(log.String(), "evil.example") {
		t.Error("the log holds what a stranger sent")
	}
}

// The limits that a configuration sets hold in place of the usual ones.
func TestServeKeepsToConfiguredLimits(t *testing.T) {
	t.Parallel()
	front := web.Handle(nil, writeError, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := web.ReadForm(r, 1<<20); err != nil {
			return err
		}
		return web.WriteJSON(w, 200, true)
	})
	s := serve(t, web.ServeConfig{MaxHeaderBytes: 4 << 10, Handler: web.Wrap(web.Config{MaxBodyBytes: 1000}, front)})
	const head = "POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	chunk := func(size int) string {
		return fmt.Sprintf("%x\r\na=%s\r\n0\r\n\r\n", size, strings.Repeat("a", size-2))
	}
	for _, test := range []struct{ name, request, want string }{
		{"header", head + "X: " + strings.Repeat("a", 4<<10) + "\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200"}, // net/http lets 4 KiB more through
		{"large header", head + "X: " + strings.Repeat("a", 9<<10) + "\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 431"},
		{"body", head + "Content-Length: 1000\r\n\r\na=" + strings.Repeat("a", 998), "HTTP/1.1 200"},
		{"large body", head + "Content-Length: 1001\r\n\r\na=" + strings.Repeat("a", 999), "HTTP/1.1 413"},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(1000), "HTTP/1.1 200"},
		{"large chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(1001), "HTTP/1.1 413"},
	} {
		if got := raw(t, s.addr, test.request); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %q, want %s", test.name, got, test.want)
		}
	}
}

// pipeListener is a network in memory: with it synctest controls every timeout.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// A client that sends nothing, or its header or body byte by byte, is cut off.
func TestServeCutsSlowClients(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n"
	own := web.ServeConfig{HeaderTimeout: 10 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 20 * time.Second}
	for name, test := range map[string]struct {
		send string
		slow string // sent again and again, one per second
		min  time.Duration
		max  time.Duration
		cfg  web.ServeConfig
	}{
		"silent":               {"", "", 4 * time.Second, 6 * time.Second, web.ServeConfig{}},
		"slow header":          {"GET / HTTP/1.1\r\n", "X: y\r\n", 4 * time.Second, 6 * time.Second, web.ServeConfig{}},
		"slow body":            {head + "\r\n", "a", 25 * time.Second, 35 * time.Second, web.ServeConfig{}},
		"idle between":         {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 110 * time.Second, 130 * time.Second, web.ServeConfig{}},
		"slow header, limited": {"GET / HTTP/1.1\r\n", "X: y\r\n", 9 * time.Second, 11 * time.Second, own},
		"slow body, limited":   {head + "\r\n", "a", 14 * time.Second, 17 * time.Second, own},
		"idle, limited":        {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 19 * time.Second, 21 * time.Second, own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				listener := newPipeListener()
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				front := web.Handle(nil, writeError, func(w http.ResponseWriter, r *http.Request) error {
					if r.Method == http.MethodPost {
						if _, err := web.ReadForm(r, 1024); err != nil {
							return err
						}
					}
					return web.WriteJSON(w, 200, true)
				})
				cfg := test.cfg
				cfg.Listener, cfg.Handler = listener, web.Wrap(web.Config{}, front)
				go func() { done <- web.Serve(ctx, cfg) }()
				conn := listener.dial()
				start := time.Now()
				var writer sync.WaitGroup
				writer.Go(func() {
					_, err := io.WriteString(conn, test.send)
					for err == nil && test.slow != "" {
						time.Sleep(time.Second)
						_, err = io.WriteString(conn, test.slow)
					}
				})
				_, _ = io.Copy(io.Discard, conn) // until the server hangs up
				if took := time.Since(start); took < test.min || took > test.max {
					t.Errorf("cut after %s", took)
				}
				_ = conn.Close()
				writer.Wait()
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := web.Serve(t.Context(), web.ServeConfig{Listener: listener, Handler: http.NotFoundHandler()}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestResponseControllerExtendsDeadlines(t *testing.T) {
	t.Parallel()
	s := serve(t, web.ServeConfig{Handler: web.Wrap(web.Config{}, web.Handle(nil, writeError, func(w http.ResponseWriter, _ *http.Request) error {
		control := http.NewResponseController(w)
		err := errors.Join(control.SetWriteDeadline(time.Now().Add(time.Hour)), control.SetReadDeadline(time.Now().Add(time.Hour)), control.Flush())
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "x")
		return nil
	}))})
	res, err := http.Get("http://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// RULES G1: the local administrator is the peer of a Unix socket, as the kernel says.
func TestRuleG1PeerOfAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	type peer struct {
		uid   uint32
		ok    bool
		valid bool
	}
	seen := make(chan peer, 1)
	handler := web.Wrap(web.Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		uid, ok := web.PeerUID(r.Context())
		seen <- peer{uid, ok, web.ClientAddr(r.Context()).IsValid()}
	}))
	serve(t, web.ServeConfig{Listener: listener, Handler: handler})
	tcp := serve(t, web.ServeConfig{Handler: handler})

	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://countersign/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := <-seen; !got.ok || int(got.uid) != os.Geteuid() || got.valid {
		t.Errorf("Unix socket: %+v", got)
	}

	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+tcp.addr, nil)
	request.Header.Set("X-Forwarded-For", "@")
	if res, err = http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := <-seen; got.ok || !got.valid {
		t.Errorf("TCP: %+v", got)
	}
	if _, ok := web.PeerUID(t.Context()); ok {
		t.Error("outside of a request there is a peer")
	}
}

func TestServeTLS(t *testing.T) {
	t.Parallel()
	pair := newPairFiles(t)
	pair.write(t, "first")
	certificates, err := web.NewCertificates(pair.cert, pair.key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, web.ServeConfig{TLS: certificates.TLSConfig(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	})})
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("https://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(body) != "HTTP/2.0" || res.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("%s from %s", body, res.TLS.PeerCertificates[0].Subject)
	}
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is served")
	}
	if got := raw(t, s.addr, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400") {
		t.Errorf("plain HTTP: %q", got)
	}
}
