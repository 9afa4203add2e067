package s3gw_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/internal/web"
)

// Who neither sends nor takes is let go; who goes on is not, however long it takes in all.
func TestIdleClientsAreLetGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *s3gw.Config) { c.ReadIdle = 100 * time.Millisecond })
	conn := w.dial(t)
	conn.head(t, w.signedPut(t, w.session(t, "acme"), "/documents/resumes/acme/a", []byte("hello")))
	_, _ = conn.Write([]byte("hell"))
	conn.answer(t).want(t, 400, "RequestTimeout")
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("%+v", calls)
	}
}

// Each piece gives the client its time anew, and the server's own bounds of a whole request and
// of a whole answer, which are an hour here, are in force no more.
func TestSlowClientsAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *s3gw.Config) { c.ReadIdle, c.WriteIdle = time.Microsecond, time.Microsecond })
	l := w.keepDeadlines(t)
	body := bytes.Repeat([]byte("x"), 1<<20)
	w.origins.of("documents").answer = func(_ context.Context, q *s3api.Request) (*s3api.Response, error) {
		if q.Body == nil {
			return &s3api.Response{Status: 200, Header: http.Header{}, ContentLength: int64(len(body)), Body: io.NopCloser(io.MultiReader(
				bytes.NewReader(body[:len(body)/2]), check(func() { l.want(t, "within the answer", noDeadline, ofAPiece) }), bytes.NewReader(body[len(body)/2:])))}, nil
		}
		if _, err := io.ReadFull(q.Body, make([]byte, len(body)/2)); err != nil {
			return nil, err
		}
		l.want(t, "within the body", ofAPiece, noDeadline)
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return nil, err
		}
		l.want(t, "after the body", noDeadline, noDeadline)
		return reply(200, ""), nil
	}
	c := w.session(t, "acme")
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", body).want(t, 200, "")
	if got := w.do(t, c, http.MethodGet, "/documents/resumes/acme/a", nil); len(got.body) != len(body) {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	if conn := l.last.Load(); conn.read.pieces.Load() < 3 || conn.write.pieces.Load() < 3 {
		t.Errorf("%d times to send and %d to take for a whole object", conn.read.pieces.Load(), conn.write.pieces.Load())
	}
}

// An origin that takes its time is waited for: the bound of a request is not that of its
// answer, with a body, without one, and without a signature.
func TestSlowOriginsAreWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.keepDeadlines(t)
	for _, bucket := range []string{"documents", "public"} {
		w.origins.of(bucket).answer = func(_ context.Context, q *s3api.Request) (*s3api.Response, error) {
			if q.Body != nil {
				_, _ = io.Copy(io.Discard, q.Body)
			}
			l.want(t, "while the origin works", noDeadline, noDeadline)
			return reply(200, "late"), nil
		}
	}
	c := w.session(t, "acme")
	w.do(t, c, http.MethodGet, "/documents/one.txt", nil).want(t, 200, "")
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", []byte("x")).want(t, 200, "")
	w.send(t, w.request(t, http.MethodGet, "/public/a", nil)).want(t, 200, "")
}

// A deadline in force.
const (
	noDeadline = iota // it may take for ever
	ofAPiece          // of the gateway, for the next bytes
	ofTheWhole        // of the server, for all of them
)

// deadline is one of a connection, and how often the gateway set it.
type deadline struct{ kind, pieces atomic.Int64 }

func (d *deadline) set(at time.Time) {
	switch {
	case at.IsZero():
		d.kind.Store(noDeadline)
	case time.Until(at) < time.Minute:
		d.pieces.Add(1)
		d.kind.Store(ofAPiece)
	default:
		d.kind.Store(ofTheWhole)
	}
}

// keeping is a connection that knows its deadlines and does not act on them: how busy the
// machine is makes no difference.
type keeping struct {
	net.Conn
	read, write deadline
}

// SetReadDeadline acts where the server wakes itself up, by one of long ago.
func (c *keeping) SetReadDeadline(at time.Time) error {
	if !at.IsZero() && time.Since(at) > time.Hour {
		return c.Conn.SetReadDeadline(at)
	}
	c.read.set(at)
	return c.Conn.SetReadDeadline(time.Time{})
}

func (c *keeping) SetWriteDeadline(at time.Time) error {
	c.write.set(at)
	return nil
}

// keeper makes every connection a keeping one.
type keeper struct {
	net.Listener
	last atomic.Pointer[keeping]
}

func (l *keeper) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	kept := &keeping{Conn: conn}
	l.last.Store(kept)
	return kept, nil
}

// want says which deadlines of the newest connection are in force.
func (l *keeper) want(t *testing.T, when string, read, write int64) {
	t.Helper()
	conn := l.last.Load()
	if r, w := conn.read.kind.Load(), conn.write.kind.Load(); r != read || w != write {
		t.Errorf("%s: deadlines %d of what is read and %d of what is written, want %d and %d", when, r, w, read, write)
	}
}

// keepDeadlines starts the server anew with bounds of a whole request and a whole answer.
func (w *world) keepDeadlines(t *testing.T) *keeper {
	t.Helper()
	w.server.Close()
	w.server = httptest.NewUnstartedServer(web.Wrap(web.Config{Now: w.Clock.Now}, w.gateway))
	w.server.Config.ReadTimeout, w.server.Config.WriteTimeout = time.Hour, time.Hour
	l := &keeper{Listener: w.server.Listener}
	w.server.Listener = l
	w.server.Start()
	t.Cleanup(w.server.Close)
	return l
}

// check is a reader of nothing that looks at something when it is its turn.
type check func()

func (c check) Read([]byte) (int, error) { c(); return 0, io.EOF }

// drip is a client that sends a piece after a pause, by a clock of its own.
type drip struct {
	now     time.Time
	pause   func() time.Duration
	piece   int
	pieces  int
	waiting time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if d.pieces--; d.pieces < 0 {
		return 0, io.EOF
	}
	pause := d.pause()
	d.now, d.waiting = d.now.Add(pause), d.waiting+pause
	return min(d.piece, len(p)), nil
}

func (*drip) Close() error { return nil }

// A client that sends just enough to never be idle does not hold its place for ever.
func TestClientsThatDripAreLetGo(t *testing.T) {
	t.Parallel()
	every := func(pause time.Duration) func() time.Duration { return func() time.Duration { return pause } }
	for name, test := range map[string]struct {
		drip *drip
		want string
		most time.Duration
	}{
		"a byte in 22 s":            {&drip{pause: every(22 * time.Second), piece: 1, pieces: 100}, s3api.RequestTimeout, 66 * time.Second},
		"a byte a second":           {&drip{pause: every(time.Second), piece: 1, pieces: 10_000}, s3api.RequestTimeout, 61 * time.Second},
		"half the rate":             {&drip{pause: every(time.Second), piece: 512, pieces: 10_000}, s3api.RequestTimeout, 125 * time.Second},
		"the rate":                  {&drip{pause: every(time.Second), piece: 1024, pieces: 10_000}, "", 10_000 * time.Second},
		"all in the first minute":   {&drip{pause: every(20 * time.Second), piece: 1, pieces: 3}, "", time.Minute},
		"a fast start pays for it":  {&drip{pause: func() time.Duration { return 0 }, piece: 512, pieces: 10_000}, "", 0},
		"pauses between the pieces": {&drip{pause: every(5 * time.Second), piece: 8 << 10, pieces: 100}, "", time.Hour},
	} {
		body := s3gw.TimedBody(test.drip, func() time.Time { return test.drip.now })
		_, err := io.Copy(io.Discard, body)
		if _, code := s3gw.WireErrorOf(err); err != nil && code != test.want || (err != nil) != (test.want != "") || test.drip.waiting > test.most {
			t.Errorf("%s: %v after %v", name, err, test.drip.waiting)
		}
	}
	// The origin's time is not the client's.
	d := &drip{pause: every(0), piece: 1, pieces: 1000}
	body := s3gw.TimedBody(d, func() time.Time { return d.now })
	for range 100 {
		if _, err := body.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(time.Minute)
	}
}

// HTTP/2 has deadlines of its own for each stream: they end one that only waits, too.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	const total = 3 * time.Second // also of the handshake
	w := newWorld(t)
	w.server.Close()
	w.server = httptest.NewUnstartedServer(web.Wrap(web.Config{Now: w.Clock.Now}, w.gateway))
	w.server.EnableHTTP2 = true
	w.server.Config.ReadTimeout, w.server.Config.WriteTimeout = total, total
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	w.origins.of("documents").answer = func(ctx context.Context, q *s3api.Request) (*s3api.Response, error) {
		if q.Body != nil {
			if text, err := io.ReadAll(q.Body); err != nil || !bytes.Equal(text, body) {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(total + total/5):
			return reply(200, string(body)), nil
		}
	}
	c := w.session(t, "acme")
	get, denied := w.request(t, http.MethodGet, "/documents/resumes/acme/a", nil), w.request(t, http.MethodGet, "/documents/other", nil)
	w.sign(t, get, c)
	w.sign(t, denied, c)
	for r, want := range map[*http.Request]int{w.signedPut(t, c, "/documents/resumes/acme/a", body): 200, get: 200, denied: 403} {
		response, err := w.server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.ProtoMajor != 2 || response.StatusCode != want || want == 200 && !bytes.Equal(text, body) {
			t.Errorf("%s: HTTP/%d %d, %d bytes, %v", r.Method, response.ProtoMajor, response.StatusCode, len(text), err)
		}
	}
}
