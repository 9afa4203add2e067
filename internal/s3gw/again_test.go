package s3gw_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// ends are what ends a transfer in its middle.
var ends = map[string]func(t *testing.T, w *world, c sigv4.Credentials){
	"the session is revoked": func(_ *testing.T, w *world, c sigv4.Credentials) {
		w.Registry.Revoke(store.Revocation{Session: c.AccessKeyID, CreatedAt: w.Clock.Now(), ExpiresAt: w.Clock.Now().Add(time.Hour)})
	},
	"the role may no more": func(t *testing.T, w *world, _ sigv4.Credentials) {
		w.apply(t, strings.Replace(documents, `actions: [get_object, put_object, delete_object, list_bucket, get_object_tagging]`, "actions: [list_bucket]", 1))
	},
	"the bucket is closed": func(t *testing.T, w *world, _ sigv4.Credentials) {
		w.apply(t, strings.Replace(documents, "name: documents\norigin", "name: documents\nallowed_roles: [nothing]\norigin", 1))
	},
}

// What is revoked in the middle of an upload makes no object, however slowly it comes.
func TestRuleA5UploadsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 100_000)
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.session(t, "acme")
			r := w.signedPut(t, c, "/documents/resumes/acme/a", body)
			r.ContentLength = int64(len(body))
			conn := w.dial(t)
			conn.head(t, r, "Expect: 100-continue")
			if line, err := conn.reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Fatalf("%q, %v", line, err)
			}
			if _, err := conn.reader.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(body[:50_000]); err != nil {
				t.Fatal(err)
			}
			end(t, w, c)
			w.Clock.Advance(time.Minute)
			if _, err := conn.Write(body[50_000:]); err != nil {
				t.Fatal(err)
			}
			if got := conn.answer(t); got.status != 403 {
				t.Errorf("%d %s", got.status, got.body)
			}
			if calls := w.origins.calls(); len(calls) != 0 {
				t.Errorf("the origin has %s", calls[0].Key)
			}
			if e := w.event(t, "s3:PutObject"); e.Decision != "denied" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// piece is more than a server keeps until there is more to send.
const piece = 64 << 10

// A download ends too: the connection breaks, as when the origin does.
func TestRuleA5DownloadsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.session(t, "acme")
			source, sink := io.Pipe()
			w.origins.of("documents").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
				return &s3api.Response{Status: 200, Header: http.Header{}, Body: source, ContentLength: 2 * piece}, nil
			}
			go func() {
				_, _ = sink.Write(make([]byte, piece))
			}()
			r := w.request(t, http.MethodGet, "/documents/one.txt", nil)
			w.sign(t, r, c)
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if _, err := io.ReadFull(response.Body, make([]byte, piece)); err != nil {
				t.Fatal(err)
			}
			end(t, w, c)
			w.Clock.Advance(time.Minute)
			_, _ = sink.Write(make([]byte, piece))
			if n, err := io.Copy(io.Discard, response.Body); err == nil || n != 0 {
				t.Errorf("%d more bytes, %v", n, err)
			}
		})
	}
}

// What goes on as it was decided does so.
func TestLongTransfersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	source, sink := io.Pipe()
	w.origins.of("documents").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
		return &s3api.Response{Status: 200, Header: http.Header{}, Body: source, ContentLength: 4000}, nil
	}
	go func() {
		for range 4 {
			_, _ = fmt.Fprintf(sink, "%1000d", 1)
			w.Clock.Advance(time.Hour) // also past the end of the session
		}
		_ = sink.Close()
	}()
	w.do(t, c, http.MethodGet, "/documents/one.txt", nil).want(t, 200, "")
}
