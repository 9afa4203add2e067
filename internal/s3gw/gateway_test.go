package s3gw_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/s3api"
)

// What an origin says of conditions and ranges passes as it is.
func TestStatusesPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	for status, header := range map[int]string{200: "Etag", 206: "Content-Range", 304: "Etag"} {
		w.origins.of("documents").answer = func(_ context.Context, q *s3api.Request) (*s3api.Response, error) {
			if q.Header.Get("Range") != "bytes=0-4" || q.Header.Get("If-None-Match") != `"x"` {
				t.Errorf("%v", q.Header)
			}
			if status == http.StatusNotModified {
				return &s3api.Response{Status: status, Header: http.Header{header: {"y"}}}, nil
			}
			return reply(status, "hello", header, "y"), nil
		}
		got := w.do(t, c, http.MethodGet, "/documents/one.txt", nil, "Range", "bytes=0-4", "If-None-Match", `"x"`)
		if got.status != status || got.header.Get(header) != "y" || (got.body == "") != (status == http.StatusNotModified) {
			t.Errorf("%d: %+v", status, got)
		}
	}
	for code, status := range map[string]int{
		s3api.PreconditionFailed: 412, s3api.InvalidRange: 416, s3api.InvalidPart: 400, s3api.NoSuchUpload: 404, s3api.ConditionalConflict: 409,
		s3api.SlowDown: 503, s3api.InternalError: 500, s3api.MethodNotAllowed: 405, "SomethingNew": 400,
	} {
		w.origins.of("documents").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
			return nil, &s3api.Error{Code: code, Message: "<&>", Header: http.Header{"X-Amz-Delete-Marker": {"true"}, "X-Origin": {"x"}}}
		}
		got := w.do(t, c, http.MethodGet, "/documents/one.txt", nil)
		got.want(t, status, code)
		if got.header.Get("X-Amz-Delete-Marker") != "true" || got.header.Get("X-Origin") != "" || got.header.Get("Content-Type") != "application/xml" {
			t.Errorf("%s: %v", code, got.header)
		}
	}
}

// An object from its writing to its end.
func TestObjectRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/a%20b.txt", []byte("hello"), "Content-Type", "text/plain", "x-amz-meta-owner", "me").want(t, 200, "")
	got := w.do(t, c, http.MethodGet, "/documents/resumes/acme/a%20b.txt", nil)
	got.want(t, 200, "")
	if got.body != "hello" || got.header.Get("X-Secret-Of-Origin") != "" || got.header.Get("X-Amz-Request-Id") == "" || got.header.Get("Etag") != `"etag"` {
		t.Errorf("%q, %v", got.body, got.header)
	}
	head := w.do(t, c, http.MethodHead, "/documents/resumes/acme/a%20b.txt", nil)
	head.want(t, 200, "")
	if head.header.Get("Content-Length") != "5" || head.header.Get("X-Amz-Meta-Owner") != "me" || head.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%v", head.header)
	}
	list := w.do(t, c, http.MethodGet, "/documents?list-type=2&prefix=resumes%2Facme%2F", nil)
	list.want(t, 200, "")
	if !strings.Contains(list.body, "resumes/acme/a b.txt") {
		t.Error(list.body)
	}
	w.do(t, c, http.MethodDelete, "/documents/resumes/acme/a%20b.txt", nil).want(t, 204, "")
	w.do(t, c, http.MethodGet, "/documents/resumes/acme/a%20b.txt", nil).want(t, 404, "NoSuchKey")

	e := w.event(t, "s3:PutObject")
	if e.Decision != audit.Allowed || e.Target != "documents/resumes/acme/a b.txt" || e.Role != "acme" || e.Session != c.AccessKeyID || e.Rule != "put_object" || e.Detail != "status=200" {
		t.Errorf("%+v", e)
	}
}
