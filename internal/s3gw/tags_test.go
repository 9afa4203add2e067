package s3gw_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

const (
	countHeader     = "X-Amz-Tagging-Count"
	directiveHeader = "X-Amz-Tagging-Directive"
)

func (w *world) putTagged(bucket, key, count string) {
	m := w.origins.of(bucket)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = stored{[]byte("content"), http.Header{countHeader: {count}}}
}

// RULES F1: tags need rights of their own, also those that a copy takes along without a word.
func TestRuleF1CopiesTakeNoTagsWithoutTheRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, strings.Replace(documents, "actions: [get_object]}", "actions: [get_object, get_object_version, get_object_tagging]}", 1))
	w.putTagged("documents", "resumes/acme/tagged", "2")
	w.putTagged("documents", "resumes/acme/plain", "0")
	w.putTagged("archive", "acme/tagged", "1")
	w.put("documents", "resumes/acme/without", "x")
	all, acme := w.session(t, "all"), w.session(t, "acme") // acme may read tags, and put none
	reader := w.session(t, "all", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:PutObjectTagging"],"Resource":"*"}]}`)
	for name, test := range map[string]struct {
		by     func() answer
		from   string
		header []string
		status int
		code   string
		asked  bool
		sent   string // the directive that the store gets
	}{
		"tagged":                     {from: "documents/resumes/acme/tagged", status: 403, code: "AccessDenied", asked: true},
		"tagged, of another bucket":  {from: "archive/acme/tagged", status: 403, code: "AccessDenied", asked: true},
		"tagged, a version":          {from: "archive/acme/tagged?versionId=v1", status: 403, code: "AccessDenied", asked: true},
		"tagged, in so many words":   {from: "documents/resumes/acme/tagged", header: []string{directiveHeader, "COPY"}, status: 403, code: "AccessDenied", asked: true},
		"tagged, which are replaced": {from: "documents/resumes/acme/tagged", header: []string{directiveHeader, "REPLACE"}, status: 200, sent: "REPLACE"},
		"a directive of nobody":      {from: "documents/resumes/acme/plain", header: []string{directiveHeader, "copy"}, status: 400, code: "InvalidArgument"},
		"of no tags":                 {from: "documents/resumes/acme/plain", status: 200, asked: true, sent: "REPLACE"},
		"no word of tags":            {from: "documents/resumes/acme/without", status: 200, asked: true, sent: "REPLACE"},
		"missing":                    {from: "documents/resumes/acme/missing", status: 404, code: "NoSuchKey", asked: true, sent: "REPLACE"},
		"who may not read tags": {
			by: func() answer {
				return w.do(t, reader, http.MethodPut, "/documents/x", nil, "x-amz-copy-source", "documents/resumes/acme/tagged")
			}, status: 403, code: "AccessDenied", asked: true,
		},
		"who may": {
			by: func() answer {
				return w.do(t, all, http.MethodPut, "/documents/y", nil, "x-amz-copy-source", "documents/resumes/acme/tagged")
			}, status: 200,
		},
	} {
		w.origins.forget()
		if test.by == nil {
			test.by = func() answer {
				return w.do(t, acme, http.MethodPut, "/documents/resumes/acme/copy", nil, append([]string{"x-amz-copy-source", test.from}, test.header...)...)
			}
		}
		t.Run(name, func(t *testing.T) {
			test.by().want(t, test.status, test.code)
			calls := w.origins.calls()
			heads := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.Operation != s3api.HeadObject })
			copies := slices.DeleteFunc(calls, func(c call) bool { return c.Operation != s3api.CopyObject })
			if (len(heads) == 1) != test.asked {
				t.Errorf("the source's store was asked %d times", len(heads))
			}
			if reached := test.status == 200 || test.status == 404; len(copies) == 1 != reached || reached && copies[0].Header.Get(directiveHeader) != test.sent {
				t.Errorf("copied %+v", copies)
			}
			if e := w.event(t, "s3:CopyObject"); (e.Decision == "allowed") != (test.status == 200 || test.status == 404) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// What the source is encrypted with, and who pays, is said to the store that is asked for the
// number of its tags; nothing else is.
func TestTagsOfAnEncryptedSourceAreAskedForWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putTagged("documents", "one.txt", "0")
	c := w.session(t, "all", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:UseCustomerKey"],"Resource":"*"}]}`)
	w.do(t, c, http.MethodPut, "/documents/x", nil, "x-amz-copy-source", "documents/one.txt", "x-amz-request-payer", "requester",
		"x-amz-copy-source-if-match", `"a"`, "x-amz-meta-a", "b",
		"x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256", "x-amz-copy-source-server-side-encryption-customer-key", "a2V5",
		"x-amz-copy-source-server-side-encryption-customer-key-md5", "bWQ1").want(t, 200, "")
	calls := w.origins.calls()
	if len(calls) != 2 || calls[0].Operation != s3api.HeadObject || len(calls[0].Header) != 4 {
		t.Fatalf("%+v", calls)
	}
	for name, want := range map[string]string{
		"X-Amz-Request-Payer": "requester", "X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256",
		"X-Amz-Server-Side-Encryption-Customer-Key": "a2V5", "X-Amz-Server-Side-Encryption-Customer-Key-Md5": "bWQ1",
	} {
		if got := calls[0].Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A store that can't say how many tags there are is no leave to copy.
func TestCopyOfASourceThatCantBeAskedIsNotMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.origins.of("documents").answer = func(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
		if r.Operation != s3api.HeadObject {
			t.Errorf("asked for %s", r.Operation)
		}
		return nil, countersign.NewError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "")
	}
	w.do(t, w.session(t, "acme"), http.MethodPut, "/documents/resumes/acme/copy", nil, "x-amz-copy-source", "documents/resumes/acme/tagged").want(t, 503, "ServiceUnavailable")
}

// How many tags an object has is told to who may read them.
func TestRuleF5TagsAreNotCountedForWhoMayNotReadThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, each := range [][2]string{{"documents", "one.txt"}, {"archive", "acme/x"}, {"public", "a"}} {
		w.putTagged(each[0], each[1], "2")
	}
	acme := w.session(t, "acme")
	for path, want := range map[string]string{"/documents/one.txt": "2", "/archive/acme/x": ""} {
		got := w.do(t, acme, http.MethodHead, path, nil)
		if got.status != 200 || got.header.Get(countHeader) != want {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	if got := w.send(t, w.request(t, http.MethodHead, "/public/a", nil)); got.status != 200 || got.header.Get(countHeader) != "" {
		t.Errorf("nobody: %d %v", got.status, got.header)
	}
}
