package s3gw_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
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

// slowly sends the first bytes of a document, and the rest once it was done.
func (w *world) slowly(t *testing.T, c sigv4.Credentials, method, path, document string, done func()) answer {
	t.Helper()
	r := w.request(t, method, path, []byte(document))
	w.sign(t, r, c)
	conn := w.dial(t)
	conn.head(t, r, "Expect: 100-continue")
	for _, want := range []string{"HTTP/1.1 100 ", "\r\n"} { // it was decided about by then
		if line, err := conn.reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if _, err := conn.Write([]byte(document[:len(document)/2])); err != nil {
		t.Fatal(err)
	}
	done()
	if _, err := conn.Write([]byte(document[len(document)/2:])); err != nil {
		t.Fatal(err)
	}
	return conn.answer(t)
}

// What a document asks for is decided by what is true once it is there, and not by what was
// when it began to come.
func TestRuleA5DocumentsAreDecidedAboutWhenTheyAreThere(t *testing.T) {
	t.Parallel()
	const key = "/documents/resumes/acme/a"
	for operation, r := range map[string]struct{ method, path, document string }{
		"DeleteObjects":           {http.MethodPost, "/documents?delete", `<Delete><Object><Key>resumes/acme/a</Key></Object></Delete>`},
		"CompleteMultipartUpload": {http.MethodPost, key + "?uploadId=u", `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>`},
		"PutObjectTagging":        {http.MethodPut, key + "?tagging", `<Tagging><TagSet/></Tagging>`},
		"PutObjectAcl":            {http.MethodPut, key + "?acl", `<AccessControlPolicy/>`},
		"PutObjectRetention":      {http.MethodPut, key + "?retention", `<Retention/>`},
		"PutObjectLegalHold":      {http.MethodPut, key + "?legal-hold", `<LegalHold/>`},
	} {
		for name, end := range ends {
			t.Run(operation+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.apply(t, strings.Replace(documents, "actions: [get_object, put_object, delete_object, list_bucket, get_object_tagging]", "actions: ["+everything+"]", 1))
				c := w.session(t, "acme")
				w.put("documents", "resumes/acme/a", "x")
				got := w.slowly(t, c, r.method, r.path, r.document, func() { end(t, w, c) })
				if !strings.Contains(got.body, "AccessDenied") && got.status != 403 {
					t.Errorf("%d %s", got.status, got.body)
				}
				if calls := w.origins.calls(); len(calls) != 0 {
					t.Errorf("the origin has %s %s", calls[0].Operation, calls[0].body)
				}
				if e := w.event(t, "s3:"+operation); e.Decision != "denied" {
					t.Errorf("%+v", e)
				}
			})
		}
		t.Run(operation+" goes on", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.slowly(t, w.session(t, "all"), r.method, r.path, r.document, func() {}).want(t, 200, "")
		})
	}
}

// sourceEnds end a copy from another bucket as well.
var sourceEnds = map[string]func(t *testing.T, w *world, c sigv4.Credentials){
	"the role may not read the source any more": func(t *testing.T, w *world, _ sigv4.Credentials) {
		w.apply(t, strings.Replace(documents, `{bucket: archive, prefixes: ["acme/"], actions: [get_object]}`, `{bucket: archive, prefixes: ["acme/"], actions: [head_object]}`, 1))
	},
	"the bucket of the source is closed": func(t *testing.T, w *world, _ sigv4.Credentials) {
		w.apply(t, strings.Replace(documents, "name: archive\norigin", "name: archive\nallowed_roles: [nothing]\norigin", 1))
	},
}

// A copy has no body that would be watched, and may stream for minutes within its origin. What
// ends the right to it ends what the origin does.
func TestRuleA5CopiesEndWithTheirSession(t *testing.T) {
	t.Parallel()
	all := map[string]func(t *testing.T, w *world, c sigv4.Credentials){}
	maps.Copy(all, ends)
	maps.Copy(all, sourceEnds)
	for name, end := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.gateway.WatchEvery(time.Millisecond)
			c := w.session(t, "acme")
			w.origins.of("documents").answer = func(ctx context.Context, _ *s3api.Request) (*s3api.Response, error) {
				end(t, w, c)
				<-ctx.Done()
				return nil, countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "", ctx.Err())
			}
			got := w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", nil, "X-Amz-Copy-Source", "archive/acme/a")
			if got.status != 403 {
				t.Errorf("%d %s", got.status, got.body)
			}
			if e := w.event(t, "s3:CopyObject"); e.Decision != "denied" || e.Reason == "upstream_unavailable" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// So does what an origin is at work on when the document that asks for it has come.
func TestRuleA5CompletionsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.gateway.WatchEvery(time.Millisecond)
			w.apply(t, strings.Replace(documents, "list_bucket, get_object_tagging]", "list_bucket, complete_multipart_upload]", 1))
			c := w.session(t, "acme")
			w.origins.of("documents").answer = func(ctx context.Context, _ *s3api.Request) (*s3api.Response, error) {
				end(t, w, c)
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			document := `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>`
			if got := w.do(t, c, http.MethodPost, "/documents/resumes/acme/a?uploadId=u", []byte(document)); got.status != 403 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// A copy that is allowed all along is not disturbed.
func TestLongCopiesGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway.WatchEvery(time.Microsecond)
	c := w.session(t, "acme")
	w.origins.of("documents").answer = func(ctx context.Context, _ *s3api.Request) (*s3api.Response, error) {
		for range 100 {
			w.Clock.Advance(time.Minute) // also past the end of the session
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
		return reply(200, "<CopyObjectResult/>"), nil
	}
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a", nil, "X-Amz-Copy-Source", "archive/acme/a").want(t, 200, "")
}
