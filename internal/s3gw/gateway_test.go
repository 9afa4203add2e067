package s3gw_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/audit"
)

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
