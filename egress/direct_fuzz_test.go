package egress

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// canned is a connection whose server says the same, whatever it is asked, and closes.
type canned struct {
	says  *bytes.Reader
	asked chan struct{}
	once  sync.Once
}

func newCanned(says []byte) *canned {
	return &canned{says: bytes.NewReader(says), asked: make(chan struct{})}
}

func (c *canned) Read(p []byte) (int, error) {
	<-c.asked
	return c.says.Read(p)
}

func (c *canned) Write(p []byte) (int, error) {
	c.once.Do(func() { close(c.asked) })
	return len(p), nil
}

func (*canned) Close() error                     { return nil }
func (*canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzDirectAnswer holds the answers that direct reads against those of http.Transport.
func FuzzDirectAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "HTTP/1.0 200 OK\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\nx",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokok", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, says []byte, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		theirs := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHeaderBytes, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return newCanned(says), nil
		}}
		defer theirs.CloseIdleConnections()
		wantStatus, want, wantErr := readAll(theirs.RoundTrip(r))

		d := direct{headerTimeout: time.Minute, idle: idleConns{perAddress: 1}}
		defer d.idle.close()
		c := &directConn{Conn: newCanned(says)}
		c.in, c.out = bufio.NewReaderSize(c, streamBufferBytes), bufio.NewWriter(c.Conn)
		resp, again, err := d.exchange(t.Context(), c, r)
		status, got, err := readAll(resp, err)
		if wantStatus < 100 && (wantErr == nil || wantStatus > 0) {
			wantStatus, want, wantErr = 0, nil, errStatus // net/http takes them, and may fail at their body
		}
		if status != wantStatus || (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) || again {
			t.Fatalf("%d %q %v, again %v; net/http: %d %q %v", status, got, err, again, wantStatus, want, wantErr)
		}
		if d.idle.count > 0 && (err != nil || c.in.Buffered() > 0) {
			t.Fatal("it was kept")
		}
	})
}

func readAll(resp *http.Response, err error) (int, []byte, error) {
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, nil, nil // the body is the connection, and refused
	}
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	var i idleConns
	i.perAddress = 2
	first, second := &directConn{Conn: &canned{}, address: "a"}, &directConn{Conn: &canned{}, address: "a"}
	i.put(first)
	i.put(second)
	i.put(&directConn{Conn: &canned{}, address: "a"}) // one too many
	if i.count != 2 {
		t.Fatalf("%d are kept", i.count)
	}
	i.expire(first)
	i.expire(first) // once more changes nothing
	if c := i.last("a"); c != second {
		t.Error("the other one is not kept")
	}
	i.expire(second) // it is taken
	if len(i.kept) != 0 || i.count != 0 {
		t.Errorf("%d are kept still", i.count)
	}
	second.timer.Stop()
}
