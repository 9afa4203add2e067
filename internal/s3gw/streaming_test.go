package s3gw_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/sigv4"
)

// wire is a connection on which a test says exactly what it wants to.
type wire struct {
	net.Conn
	reader *bufio.Reader
}

func (w *world) dial(t *testing.T) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a test that hangs ends
	return &wire{conn, bufio.NewReader(conn)}
}

// head writes the line and the headers of a request, without a body.
func (c *wire) head(t *testing.T, r *http.Request, header ...string) {
	t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.URL.Host)
	_ = r.Header.Write(&out)
	if r.ContentLength > 0 {
		out.WriteString("Content-Length: " + strconv.FormatInt(r.ContentLength, 10) + "\r\n")
	}
	for _, line := range header {
		out.WriteString(line + "\r\n")
	}
	out.WriteString("\r\n")
	if _, err := c.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func (c *wire) answer(t *testing.T) answer {
	t.Helper()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, codeOf(text), response.Header, string(text)}
}

// signedPut is a PUT of body by its hash.
func (w *world) signedPut(t *testing.T, c sigv4.Credentials, path string, body []byte) *http.Request {
	t.Helper()
	r := w.request(t, http.MethodPut, path, body)
	w.sign(t, r, c)
	return r
}

// A body is asked for only when it may come.
func TestContinueAfterAuthorisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	body := []byte("hello")
	for _, tt := range []struct {
		path string
		c    sigv4.Credentials
		code string
	}{
		{"/documents/other/a", c, "AccessDenied"},
		{"/missing/acme/a", c, "AccessDenied"},
		{"/documents/resumes/acme/a", (&matrix{world: w, t: t, creds: c}).wrong(), "SignatureDoesNotMatch"},
	} {
		conn := w.dial(t)
		conn.head(t, w.signedPut(t, tt.c, tt.path, body), "Expect: 100-continue")
		conn.answer(t).want(t, 403, tt.code) // and no 100 before it
	}
	conn := w.dial(t)
	conn.head(t, w.signedPut(t, c, "/documents/resumes/acme/a", body), "Expect: 100-continue")
	line, err := conn.reader.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := conn.reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	conn.answer(t).want(t, 200, "")
}

// Names of metadata are in lower case: some SDKs keep the case that they get.
func TestMetadataIsInLowerCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", []byte("x"), "x-amz-meta-Some-Purpose", "y").want(t, 200, "")
	r := w.request(t, http.MethodHead, "/documents/resumes/acme/a", nil)
	w.sign(t, r, c)
	conn := w.dial(t)
	conn.head(t, r, "Connection: close")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "\r\nx-amz-meta-some-purpose: y\r\n") {
		t.Errorf("%s, %v", text, err)
	}
}

// A body that ends before its length is no object.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	conn := w.dial(t)
	conn.head(t, w.signedPut(t, c, "/documents/resumes/acme/a", bytes.Repeat([]byte("x"), 1000)))
	if _, err := conn.Write(bytes.Repeat([]byte("x"), 999)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	conn.answer(t).want(t, 400, "IncompleteBody")
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("%+v", calls)
	}
}

// A client that goes away ends what the origin does for it.
func TestClientAbortEndsTheOrigin(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]func(t *testing.T, w *world, c sigv4.Credentials) *http.Request{
		"upload": func(t *testing.T, w *world, c sigv4.Credentials) *http.Request {
			return w.signedPut(t, c, "/documents/resumes/acme/a", bytes.Repeat([]byte("x"), 1<<20))
		},
		"download": func(t *testing.T, w *world, c sigv4.Credentials) *http.Request {
			r := w.request(t, http.MethodGet, "/documents/resumes/acme/a", nil)
			w.sign(t, r, c)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			began, ended := make(chan struct{}), make(chan error, 1)
			w.origins.of("documents").answer = func(ctx context.Context, q *s3api.Request) (*s3api.Response, error) {
				close(began)
				if q.Body != nil {
					_, err := io.Copy(io.Discard, q.Body)
					ended <- err
					return nil, err
				}
				<-ctx.Done()
				ended <- ctx.Err()
				return nil, countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "", ctx.Err())
			}
			conn := w.dial(t)
			conn.head(t, r(t, w, w.session(t, "acme")))
			<-began
			_ = conn.Conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
			if err := <-ended; err == nil {
				t.Error("the origin saw a whole body")
			}
		})
	}
}

// pieces is an origin's answer that comes in pieces and then breaks off.
type pieces struct {
	texts []string
	err   error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.texts) == 0 {
		return 0, p.err
	}
	n := copy(b, p.texts[0])
	if p.texts[0] = p.texts[0][n:]; p.texts[0] == "" {
		p.texts = p.texts[1:]
	}
	return n, nil
}

func (*pieces) Close() error { return nil }

// An answer that breaks off is never a whole one to the client.
func TestOriginAbortAbortsTheClient(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for name, tt := range map[string]struct {
		length int64
		body   *pieces
		status int // of a whole answer; 0 = the connection breaks
	}{
		"at once":                       {10, &pieces{err: broken}, 503},
		"at once, of unknown length":    {-1, &pieces{err: broken}, 503},
		"in the middle":                 {10, &pieces{[]string{"hello"}, broken}, 0},
		"in the middle, unknown length": {-1, &pieces{[]string{"hello"}, broken}, 0},
		"too short":                     {10, &pieces{[]string{"hello"}, io.EOF}, 0},
		"nothing of ten":                {10, &pieces{nil, io.EOF}, 503},
		"too long":                      {3, &pieces{[]string{"he", "llo"}, io.EOF}, 0},
		"too long at once":              {3, &pieces{[]string{"hello"}, io.EOF}, 503},
		"whole":                         {10, &pieces{[]string{"hello", "world"}, io.EOF}, 200},
		"whole, unknown length":         {-1, &pieces{[]string{"hello", "world"}, io.EOF}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.origins.of("documents").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
				return &s3api.Response{Status: 200, Header: http.Header{}, Body: tt.body, ContentLength: tt.length}, nil
			}
			r := w.request(t, http.MethodGet, "/documents/one.txt", nil)
			w.sign(t, r, w.session(t, "acme"))
			got, err := w.trySend(r)
			if tt.status == 0 {
				if err == nil {
					t.Errorf("a whole answer: %d %q", got.status, got.body)
				}
				return
			}
			if err != nil || got.status != tt.status {
				t.Errorf("%d %s, %v", got.status, got.body, err)
			}
		})
	}
}

// endless yields so many bytes.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	e.left -= int64(n)
	return n, nil
}

func (*endless) Close() error { return nil }

// An object is never in memory.
func TestStreamsTakeConstantMemory(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	w := newWorld(t)
	const size = 64 << 20
	w.origins.of("documents").answer = func(_ context.Context, q *s3api.Request) (*s3api.Response, error) {
		if q.Body != nil {
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, q.Body, make([]byte, 32<<10))
			if err != nil || n != size {
				return nil, fmt.Errorf("%d bytes: %w", n, err)
			}
			return reply(200, ""), nil
		}
		return &s3api.Response{Status: 200, Header: http.Header{}, Body: &endless{size}, ContentLength: size}, nil
	}
	c := w.session(t, "acme")
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		r := w.request(t, method, "/documents/resumes/acme/a", nil)
		if method == http.MethodPut {
			r.Body, r.ContentLength = &endless{size}, size
		}
		w.signAs(t, r, c, map[bool]string{true: sigv4.UnsignedPayload, false: sigv4.EmptyPayloadHash}[method == http.MethodPut])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, response.Body, make([]byte, 32<<10))
		_ = response.Body.Close()
		runtime.ReadMemStats(&after)
		if err != nil || response.StatusCode != 200 || method == http.MethodGet && n != size {
			t.Fatalf("%s: %d, %d bytes, %v", method, response.StatusCode, n, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
			t.Errorf("%s: %d bytes were allocated", method, took)
		}
	}
}

// Nothing is left of requests that ended in any way.
func TestNoGoroutineIsLeft(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	before := goleak.IgnoreCurrent()
	w := newWorld(t)
	c := w.session(t, "acme")
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", []byte("x"))
	w.do(t, c, http.MethodGet, "/documents/resumes/acme/a", nil)
	w.do(t, c, http.MethodGet, "/documents/other", nil)
	client.CloseIdleConnections()
	w.server.Close()
	_ = w.Audit.Close(t.Context())
	_ = w.Store.Close()
	goleak.VerifyNone(t, before)
}

// A length is required, and bounded.
func TestLengths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	r := w.request(t, http.MethodPut, "/documents/resumes/acme/a", nil)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), -1
	w.signAs(t, r, c, sigv4.UnsignedPayload)
	w.send(t, r).want(t, 411, "MissingContentLength")
	for text, want := range map[string]verdict{
		"5368709121": {400, "EntityTooLarge"}, "-1": {411, "MissingContentLength"}, "": {411, "MissingContentLength"}, "0x5": {411, "MissingContentLength"}, "+5": {411, "MissingContentLength"},
	} {
		r := w.request(t, http.MethodPut, "/documents/resumes/acme/a", nil, "x-amz-decoded-content-length", text)
		w.signAs(t, r, c, sigv4.StreamingPayload)
		w.send(t, r).want(t, want.status, want.code)
	}
	conn := w.dial(t)
	r = w.request(t, http.MethodPut, "/documents/resumes/acme/a", nil)
	r.ContentLength = 5<<30 + 1
	w.signAs(t, r, c, sigv4.UnsignedPayload)
	conn.head(t, r)
	conn.answer(t).want(t, 400, "EntityTooLarge")
}

// One identity has a limit of its own; others go on. What is not known now is 503, never 403.
func TestLimitByIdentityAndOutages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *s3gw.Config) { c.IdentityRate = 1 })
	c := w.session(t, "acme")
	w.put("documents", "one.txt", "x")
	w.put("public", "a", "x")
	for range 2 {
		w.do(t, c, http.MethodGet, "/documents/one.txt", nil).want(t, 200, "")
	}
	got := w.do(t, c, http.MethodGet, "/documents/one.txt", nil)
	got.want(t, 503, "SlowDown")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if e := w.event(t, "s3:GetObject"); e.Reason != string(countersign.ReasonRateLimited) || e.Decision != audit.Denied || e.Role != "acme" {
		t.Errorf("%+v", e)
	}
	w.send(t, w.request(t, http.MethodGet, "/public/a", nil)).want(t, 200, "")
	w.Clock.Advance(2 * time.Second)
	w.origins.fail = countersign.NewError(countersign.Unavailable, "", "x")
	w.do(t, c, http.MethodGet, "/documents/one.txt", nil).want(t, 503, "ServiceUnavailable")
	if _ = w.Store.Close(); true {
		w.do(t, c, http.MethodGet, "/archive/acme/a", nil).want(t, 503, "ServiceUnavailable")
	}
}
