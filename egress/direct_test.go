package egress_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/egress"
)

// script is a server that answers the n-th request of each connection, both counted from 0,
// with text; "" = it closes the connection instead.
func script(t *testing.T, answer func(connection, request int, method string) string) (url string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(connections.Add(1)) - 1
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for n := 0; ; n++ {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					text := answer(number, n, r.Method)
					if _, err := io.WriteString(conn, text); err != nil || text == "" {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

func send(t *testing.T, s *egress.Stream, ctx context.Context, method, url string) (status int, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestStreamKeepsConnections(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"length":             okAnswer,
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-After: 1\r\n\r\n",
		"after 1xx":          "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + okAnswer,
		"no content":         "HTTP/1.1 204 No Content\r\n\r\n",
		"not modified":       "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
		"nothing":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"keep-alive of 1.0 ": "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, connections := script(t, func(int, int, string) string { return answer })
			s := newStream(t, egress.StreamConfig{})
			for range 5 {
				if status, body, err := send(t, s, t.Context(), http.MethodGet, url); err != nil || strings.Contains(answer, "ok") != (body == "ok") {
					t.Fatalf("%d %q %v", status, body, err)
				}
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestStreamOfHeadHasNoBody(t *testing.T) {
	t.Parallel()
	url, connections := script(t, func(_, _ int, method string) string {
		if method == http.MethodHead {
			return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
		}
		return okAnswer
	})
	s := newStream(t, egress.StreamConfig{})
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodHead} {
		if status, body, err := send(t, s, t.Context(), method, url); err != nil || status != 200 || method == http.MethodHead && body != "" {
			t.Fatalf("%s: %d %q %v", method, status, body, err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Bytes that nobody asked for must never be the answer to the next request, which may be
// another caller's.
func TestVulnerabilityStreamTakesNoAnswerThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, first := range map[string]string{
		"behind a length":  okAnswer + evil,
		"behind chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil,
		"behind no body":   "HTTP/1.1 304 Not Modified\r\n\r\n" + evil,
		"a byte":           okAnswer + "\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok" + evil,
		"length and chunk": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil,
		"switched":         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + evil,
		"close":            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" + evil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := script(t, func(connection, request int, _ string) string {
				if connection == 0 && request == 0 {
					return first
				}
				return okAnswer
			})
			s := newStream(t, egress.StreamConfig{})
			_, _, _ = send(t, s, t.Context(), http.MethodGet, url)
			if _, body, err := send(t, s, t.Context(), http.MethodGet, url); err != nil || body != "ok" {
				t.Errorf("the second answer is %q, %v", body, err)
			}
		})
	}
}

// As above, where the bytes come while the connection is idle.
func TestVulnerabilityStreamTakesNoAnswerThatCameWhileIdle(t *testing.T) {
	t.Parallel()
	late, sent := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, okAnswer)
		<-late
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		close(sent)
		_, _ = io.Copy(io.Discard, conn)
	}))
	t.Cleanup(server.Close)
	s := newStream(t, egress.StreamConfig{})
	if _, body, err := send(t, s, t.Context(), http.MethodGet, server.URL); err != nil || body != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	close(late)
	<-sent // on loopback it has arrived
	if _, body, err := send(t, s, t.Context(), http.MethodGet, server.URL+"/again"); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestStreamAsksAgainOnlyWhereAKeptConnectionEnded(t *testing.T) {
	t.Parallel()
	url, connections := script(t, func(_, request int, _ string) string {
		if request == 0 {
			return okAnswer
		}
		return "" // when it was asked for the second time
	})
	s := newStream(t, egress.StreamConfig{})
	for range 4 {
		if _, body, err := send(t, s, t.Context(), http.MethodGet, url); err != nil || body != "ok" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if n := connections.Load(); n != 4 {
		t.Errorf("%d connections", n)
	}
	url, connections = script(t, func(int, int, string) string { return "" })
	if _, _, err := send(t, s, t.Context(), http.MethodGet, url); err == nil || connections.Load() != 1 {
		t.Errorf("a new connection that ends: %v, %d connections", err, connections.Load())
	}
	// What has begun is not asked for again.
	url, connections = script(t, func(connection, request int, _ string) string {
		if connection == 0 && request == 1 {
			return "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
		}
		return okAnswer
	})
	_, _, _ = send(t, s, t.Context(), http.MethodGet, url)
	if _, _, err := send(t, s, t.Context(), http.MethodGet, url); err == nil || connections.Load() != 1 {
		t.Errorf("a broken answer: %v, %d connections", err, connections.Load())
	}
}

func TestStreamTellsABrokenAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"short":             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
		"a chunk is short":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
		"no last chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"no status":         "200 OK\r\n\r\n",
		"a broken header":   "HTTP/1.1 200 OK\r\nContent Length: 2\r\n\r\nok",
		"a folded length":   "HTTP/1.1 200 OK\r\nContent-Length: 2,3\r\n\r\nok",
		"a negative length": "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"another coding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"1xx without end":   strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 1000)+"\r\n\r\n", 70) + okAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, connections := script(t, func(connection, request int, _ string) string {
				if request == 1 {
					return ""
				}
				return answer
			})
			s := newStream(t, egress.StreamConfig{HeaderTimeout: 10 * time.Second})
			ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("the test's own"))
			defer cancel()
			if status, body, err := send(t, s, ctx, http.MethodGet, url); err == nil {
				t.Errorf("%d %q", status, body)
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived, gone := make(chan struct{}), make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	t.Cleanup(server.Close)
	s := newStream(t, egress.StreamConfig{})
	cause := errors.New("the reason")
	for _, path := range []string{"/header", "/body"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		begun := make(chan struct{})
		go func() {
			<-arrived
			if path == "/body" {
				<-begun
			}
			cancel(cause)
		}()
		if path == "/header" {
			if _, err := s.RoundTrip(r); !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
		} else {
			resp, err := s.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			close(begun)
			if _, err = io.Copy(io.Discard, resp.Body); !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
			if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, cause) {
				t.Errorf("once more: %v", err)
			}
		}
		<-gone // the server sees it
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := send(t, s, ctx, http.MethodGet, server.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was over before: %v", err)
	}
}

func TestStreamClosedEarlyClosesTheConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	resp, err := ask(t, newStream(t, egress.StreamConfig{}), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-gone
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after close: %v", err)
	}
}

func TestStreamSendsNoHeaderThatIsTwo(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("was reached") })
	s := newStream(t, egress.StreamConfig{})
	for _, value := range []string{"a\r\nX-Evil: 1", "a\nb", "\x00", "\x7f"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		r.Header["X-A"] = []string{value}
		if _, err := s.RoundTrip(r); err == nil {
			t.Errorf("%q was sent", value)
		}
	}
}

func TestStreamOverTLSKeepsConnectionsAndVerifies(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:forcetypeassert // httptest's
	s := newStream(t, egress.StreamConfig{RootCAs: pool})
	for range 3 {
		if _, body, err := send(t, s, t.Context(), http.MethodGet, server.URL); err != nil || body != "HTTP/1.1" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if _, _, err := send(t, newStream(t, egress.StreamConfig{}), t.Context(), http.MethodGet, server.URL); err == nil {
		t.Error("a certificate of nobody was taken")
	}
	other := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // the certificate is for the address
	if _, _, err := send(t, s, t.Context(), http.MethodGet, other); err == nil {
		t.Error("a certificate for another name was taken")
	}
}

func TestStreamBoundsWhatItKeeps(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	arrived, release := make(chan struct{}, 6), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	all := make(chan struct{})
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed && closed.Add(1) == 6 {
			close(all)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := newStream(t, egress.StreamConfig{MaxIdlePerHost: 2})
	done := make(chan error)
	for range 6 {
		go func() {
			_, _, err := send(t, s, t.Context(), http.MethodGet, server.URL)
			done <- err
		}()
	}
	for range 6 {
		<-arrived // each has a connection
	}
	close(release)
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s.CloseIdleConnections()
	<-all
}
