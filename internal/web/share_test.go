package web_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/countersign/countersign/internal/web"
)

// DESIGN §10: limits on concurrency. One address whose requests never end leaves places
// for all others, and gives its own back.
func TestOneAddressTakesNotEveryPlace(t *testing.T) {
	t.Parallel()
	const places, share = 4 * 80, 80
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /slow", func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	mux.HandleFunc("GET /quick", func(http.ResponseWriter, *http.Request) {})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: web.Wrap(web.Config{
		MaxConcurrent: places, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}, mux)}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()

	quick := func(from string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/quick", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", from)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	var conns []net.Conn
	for i := range share {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		// Addresses of one /64 are one client (RULES G8).
		_, _ = fmt.Fprintf(conn, "POST /slow HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::%x\r\nContent-Length: 9\r\n\r\na", i+1)
		<-entered
	}
	if got := quick("2001:db8::ffff"); got != http.StatusServiceUnavailable {
		t.Errorf("one place more for the slow one: %d", got)
	}
	if got := quick("2001:db8:1::1"); got != http.StatusOK {
		t.Errorf("others are shut out: %d", got)
	}
	close(release)
	for _, conn := range conns {
		_, _ = conn.Write([]byte("12345678"))
		_, _ = conn.Read(make([]byte, 1)) // the answer
		_ = conn.Close()
	}
	// net/http answers when Wrap is done, so the places are free by now.
	if got := quick("2001:db8::ffff"); got != http.StatusOK {
		t.Errorf("the places are not given back: %d", got)
	}
}
