package s3gw_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/sigv4"
)

// Headers and parameters are an allow-list for each operation; any other of S3's kind, and a
// second sub-resource, is refused.
func TestRuleF1HeadersAndParametersAreAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "all")
	for name, tt := range map[string]struct {
		method, path string
		header       []string
		status       int
		code         string
	}{
		"a header of a newer S3":           {"PUT", "/documents/a", []string{"x-amz-write-offset-bytes", "1"}, 501, "NotImplemented"},
		"a header of another operation":    {"GET", "/documents/a", []string{"x-amz-acl", "private"}, 501, "NotImplemented"},
		"an internal header":               {"PUT", "/documents/a", []string{"X-Minio-Source-Mtime", "1"}, 501, "NotImplemented"},
		"an internal header of encryption": {"PUT", "/documents/a", []string{"X-Minio-Internal-Server-Side-Encryption-Iv", "1"}, 501, "NotImplemented"},
		"a header of another store":        {"PUT", "/documents/a", []string{"X-Rgw-Something", "1"}, 501, "NotImplemented"},
		"a copy source of a read":          {"GET", "/documents/a", []string{"x-amz-copy-source", "archive/a"}, 501, "NotImplemented"},
		"a second factor":                  {"DELETE", "/documents/a", []string{"x-amz-mfa", "1"}, 501, "NotImplemented"},
		"a rename":                         {"PUT", "/documents/a?renameObject", []string{"x-amz-rename-source", "/b"}, 501, "NotImplemented"},
		"two values":                       {"GET", "/documents/a", []string{"Range", "bytes=0-1", "Range", "bytes=2-3"}, 400, "InvalidRequest"},
		"two sub-resources":                {"GET", "/documents/a?acl&tagging", nil, 400, "InvalidArgument"},
		"a sub-resource and an upload":     {"PUT", "/documents/a?uploadId=u&partNumber=1&tagging", nil, 400, "InvalidArgument"},
		"one of a bucket on an object":     {"GET", "/documents/a?versions", nil, 501, "NotImplemented"},
		"one that is not served":           {"GET", "/documents?policy", nil, 501, "NotImplemented"},
		"an upload without its part":       {"PUT", "/documents/a?uploadId=u", nil, 400, "InvalidArgument"},
		"a part without its upload":        {"PUT", "/documents/a?partNumber=1", nil, 400, "InvalidArgument"},
		"a parameter of nobody":            {"GET", "/documents/a?foo=bar", nil, 400, "InvalidArgument"},
		"a parameter in capitals":          {"GET", "/documents/a?VersionId=x", nil, 400, "InvalidArgument"},
		"an override of a write":           {"PUT", "/documents/a?response-content-type=x", nil, 400, "InvalidArgument"},
		"an empty version":                 {"GET", "/documents/a?versionId=", nil, 400, "InvalidArgument"},
		"the first list as the second":     {"GET", "/documents?list-type=1", nil, 400, "InvalidArgument"},
		"a wrong name of the operation":    {"GET", "/documents/a?x-id=PutObject", nil, 400, "InvalidArgument"},
		"a new bucket":                     {"PUT", "/documents", nil, 501, "NotImplemented"},
		"no bucket any more":               {"DELETE", "/documents", nil, 501, "NotImplemented"},
		"a form of a browser":              {"POST", "/documents", nil, 501, "NotImplemented"},
		"another method":                   {"PATCH", "/documents/a", nil, 501, "NotImplemented"},
		"a foreign owner":                  {"GET", "/documents/a", []string{"x-amz-expected-bucket-owner", "111111111111"}, 403, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			w.do(t, c, tt.method, tt.path, nil, tt.header...).want(t, tt.status, tt.code)
		})
	}
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("the origin did %s", calls[0].Operation)
	}
}

// What passes does so as it came, and nothing else does.
func TestRuleF1WhatIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "all")
	w.do(t, c, http.MethodPut, "/documents/a?x-id=PutObject", []byte("body"),
		"Content-Type", "text/plain", "Content-Encoding", "gzip,aws-chunked", "Cache-Control", "no-cache", "x-amz-meta-a", "1", "x-amz-meta-a", "2",
		"x-amz-server-side-encryption", "AES256", "x-amz-storage-class", "STANDARD", "If-None-Match", "*", "x-amz-expected-bucket-owner", account,
		"X-Forwarded-For", "192.0.2.1", "Cookie", "a=b", "amz-sdk-request", "attempt=1", "User-Agent", "x").want(t, 200, "")
	calls := w.origins.calls()
	if len(calls) != 1 {
		t.Fatalf("%d requests at the origin", len(calls))
	}
	want := http.Header{
		"Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}, "Cache-Control": {"no-cache"}, "X-Amz-Meta-A": {"1,2"},
		"X-Amz-Server-Side-Encryption": {"AES256"}, "X-Amz-Storage-Class": {"STANDARD"}, "If-None-Match": {"*"},
	}
	got := calls[0]
	if len(got.Header) != len(want) || len(got.Query) != 0 {
		t.Errorf("%v, %v", got.Header, got.Query)
	}
	for name := range want {
		if got.Header.Get(name) != want.Get(name) {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want.Get(name))
		}
	}
	if got.PayloadHash != sigv4.HashPayload([]byte("body")) || got.ContentLength != 4 {
		t.Errorf("%q, %d", got.PayloadHash, got.ContentLength)
	}
}

// Some headers need a right of their own.
func TestRuleF1HeadersThatNeedARight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all, acme := w.session(t, "all"), w.session(t, "acme")
	for header, action := range map[string]string{
		"x-amz-acl: public-read": "put_object_acl", "x-amz-grant-read: id=x": "put_object_acl", "x-amz-tagging: a=b": "put_object_tagging",
		"x-amz-object-lock-mode: GOVERNANCE": "put_object_retention", "x-amz-object-lock-legal-hold: ON": "put_object_legal_hold",
		"x-amz-server-side-encryption-customer-algorithm: AES256": "use_customer_key", "x-amz-website-redirect-location: /x": "put_object_website_redirect",
	} {
		name, value, _ := strings.Cut(header, ": ")
		w.do(t, acme, http.MethodPut, "/documents/resumes/acme/a", []byte("x"), name, value).want(t, 403, "AccessDenied")
		if e := w.event(t, "s3:PutObject"); e.Rule != action || e.Reason != string(countersign.ReasonActionNotAllowed) || e.Decision != audit.Denied {
			t.Errorf("%s: %+v", name, e)
		}
		w.do(t, all, http.MethodPut, "/documents/resumes/acme/a", []byte("x"), name, value).want(t, 200, "")
	}
	// What is so anyway needs none, and is not passed on.
	for _, source := range []string{"", "/documents/resumes/acme/a"} {
		header := []string{"x-amz-acl", "private"}
		if source != "" {
			header = append(header, "x-amz-copy-source", source)
		}
		w.do(t, acme, http.MethodPut, "/documents/resumes/acme/b", nil, header...).want(t, 200, "")
		if calls := w.origins.calls(); calls[len(calls)-1].Header.Get("X-Amz-Acl") != "" {
			t.Errorf("%q: it was passed on", source)
		}
	}
	w.do(t, acme, http.MethodPut, "/documents/resumes/acme/a?acl", nil, "x-amz-acl", "private").want(t, 403, "AccessDenied")
	w.do(t, acme, http.MethodDelete, "/documents/resumes/acme/a", nil, "x-amz-bypass-governance-retention", "true").want(t, 403, "AccessDenied")
	w.do(t, all, http.MethodDelete, "/documents/resumes/acme/a", nil, "x-amz-bypass-governance-retention", "true").want(t, 204, "")
}
