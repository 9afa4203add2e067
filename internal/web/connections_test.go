package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func listen(t *testing.T, most int) net.Listener {
	t.Helper()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := limitConnections(inner, most)
	t.Cleanup(func() { _ = limited.Close() })
	return limited
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	l := listen(t, 1)
	dial(t, l)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	dial(t, l)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- conn
	}()
	select {
	case <-accepted:
		t.Fatal("a second connection was accepted while the first was open")
	default:
	}
	// Twice: the place is given back once.
	_, _ = first.Close(), first.Close()
	second, ok := <-accepted
	if !ok {
		t.Fatal("no place was given back")
	}
	_ = second.Close()
	if n := len(l.(*limitedListener).places); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

func TestConnectionsCloseEndsAWaitingAccept(t *testing.T) {
	t.Parallel()
	l := listen(t, 1)
	dial(t, l)
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := l.Accept(); ended <- err }()
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAddressRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	handler := Wrap(Config{AddressRate: 2, Now: func() time.Time { return now }},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	send := func(from string) int {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return w.Code
	}
	for range 4 {
		if got := send("192.0.2.1:1"); got != http.StatusNoContent {
			t.Fatalf("got %d within the burst", got)
		}
	}
	for from, want := range map[string]int{
		"192.0.2.1:2": http.StatusTooManyRequests, "192.0.2.2:1": http.StatusNoContent, "127.0.0.1:1": http.StatusNoContent,
	} {
		if got := send(from); got != want {
			t.Errorf("%s got %d, want %d", from, got, want)
		}
	}
	for i := range 4 { // IPv6 counts by /64
		_ = send("[2001:db8::" + string(rune('1'+i)) + "]:1")
	}
	if got := send("[2001:db8::ffff]:1"); got != http.StatusTooManyRequests {
		t.Errorf("a neighbour in the /64 got %d", got)
	}
	now = now.Add(time.Second)
	if got := send("192.0.2.1:3"); got != http.StatusNoContent {
		t.Errorf("after a second: %d", got)
	}
}
