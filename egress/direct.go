package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// direct sends requests that have no body and change nothing, GET and HEAD, and reads their
// answers, in the goroutine that asks. What http.Transport does by two more goroutines for
// each connection costs such a request more than all the rest of its way: three changes of
// goroutines, often to another processor. What is written and read is the work of net/http
// here too, so that there is one reading of an answer's framing: http.Request.Write and
// http.ReadResponse. Only who keeps the connections is another one.
type direct struct {
	dial          func(ctx context.Context, network, address string) (net.Conn, error)
	tls           *tls.Config // nil = plain http
	dialTimeout   time.Duration
	headerTimeout time.Duration
	idle          idleConns
}

// directConn is a connection. It belongs to one request, or to idleConns.
type directConn struct {
	net.Conn
	raw     syscall.RawConn
	address string
	in      *bufio.Reader
	out     *bufio.Writer
	// header is how many bytes may still be read before the header has ended; < 0 = it has.
	header int64
	reused bool
	timer  *time.Timer // ends it when it was idle for too long; nil = it never was
}

const directWriteBytes = 4 << 10

var (
	errHeaderTooLarge = errors.New("the header of the answer is too large")
	errStatus         = errors.New("the status of the answer is none")
	errHeaderValue    = errors.New("a header of the request has a control character")
)

// takes reports whether r is a request for direct; another one is for http.Transport.
func (d *direct) takes(r *http.Request) bool {
	if !canTellQuiet || r.Method != http.MethodGet && r.Method != http.MethodHead ||
		r.Body != nil && r.Body != http.NoBody || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Close {
		return false
	}
	for _, name := range [...]string{"Connection", "Expect", "Trailer", "Transfer-Encoding", "Upgrade"} {
		if r.Header[name] != nil {
			return false
		}
	}
	return strings.IndexFunc(r.URL.Host, func(c rune) bool { return c >= 0x80 }) < 0 // http.Transport knows IDNA
}

// RoundTrip implements http.RoundTripper. A request on a kept connection is sent a second time,
// on a new one, if the connection ended before a byte of an answer came.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, values := range r.Header {
		for _, value := range values {
			if strings.IndexFunc(value, isControl) >= 0 {
				return nil, errHeaderValue
			}
		}
	}
	ctx := r.Context()
	c := d.idle.take(d.address(r))
	if c == nil {
		return d.onNew(ctx, r)
	}
	resp, again, err := d.exchange(ctx, c, r)
	if again && ctx.Err() == nil {
		return d.onNew(ctx, r)
	}
	return resp, err
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

func (d *direct) address(r *http.Request) string {
	if r.URL.Port() != "" {
		return r.URL.Host
	}
	port := "80"
	if d.tls != nil {
		port = "443"
	}
	return net.JoinHostPort(r.URL.Hostname(), port)
}

func (d *direct) onNew(ctx context.Context, r *http.Request) (*http.Response, error) {
	c, err := d.connect(ctx, d.address(r))
	if err != nil {
		return nil, err
	}
	resp, _, err := d.exchange(ctx, c, r)
	return resp, err
}

// connect dials, and shakes hands.
func (d *direct) connect(ctx context.Context, address string) (*directConn, error) {
	conn, err := d.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &directConn{Conn: conn, address: address}
	if below, ok := conn.(syscall.Conn); ok {
		c.raw, err = below.SyscallConn()
	}
	if c.raw == nil || err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("a connection of type %T has no socket: %w", conn, errors.Join(err, errors.ErrUnsupported))
	}
	if d.tls != nil {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		config := d.tls.Clone()
		config.ServerName = host
		secure := tls.Client(conn, config)
		ctx, cancel := context.WithTimeout(ctx, d.dialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		c.Conn = secure
	}
	c.in, c.out = bufio.NewReaderSize(c, streamBufferBytes), bufio.NewWriterSize(c.Conn, directWriteBytes)
	return c, nil
}

// exchange sends a request and reads the header of its answer. The connection goes on to the
// body of the answer, or is kept, or closed. again: it was a kept one, and ended before the
// answer began.
func (d *direct) exchange(ctx context.Context, c *directConn, r *http.Request) (resp *http.Response, again bool, err error) {
	// Whoever waits for the connection is woken by its end.
	use := &directUse{conn: c, pool: &d.idle, ctx: ctx, stop: context.AfterFunc(ctx, func() { _ = c.Close() })}
	_ = c.SetDeadline(time.Now().Add(d.headerTimeout))
	resp, again, err = c.answer(r)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		use.end(false)
		return nil, again && c.reused && !errors.Is(err, os.ErrDeadlineExceeded), use.reason(err)
	}
	use.keep = !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols
	if resp.Body == http.NoBody {
		use.end(use.keep)
		return resp, false, nil
	}
	use.body, resp.Body = resp.Body, use
	return resp, false, nil
}

// answer sends a request and reads the header of its answer; unanswered: no byte of one came.
func (c *directConn) answer(r *http.Request) (resp *http.Response, unanswered bool, err error) {
	c.header = maxHeaderBytes
	if err := errors.Join(r.Write(c.out), c.out.Flush()); err != nil {
		return nil, true, err
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, true, err
	}
	for {
		if resp, err = http.ReadResponse(c.in, r); err != nil {
			return nil, false, err
		}
		switch code := resp.StatusCode; {
		case code < http.StatusContinue:
			return nil, false, errStatus
		case code >= http.StatusOK, code == http.StatusSwitchingProtocols:
			c.header = -1
			return resp, false, nil
		}
		// The others of 1xx come before the answer; they count for the size of its header.
	}
}

// Read implements io.Reader, for the buffer.
func (c *directConn) Read(p []byte) (int, error) {
	if c.header < 0 {
		return c.Conn.Read(p)
	}
	if c.header == 0 {
		return 0, errHeaderTooLarge
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.header)])
	c.header -= int64(n)
	return n, err
}

var _ http.RoundTripper = (*direct)(nil)
