package s3gw_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3gw"
)

// One form of a key: authorised and forwarded alike, or refused. The paths are as they are
// sent.
func TestVulnerability41KeysHaveOneForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all, acme := w.session(t, "all"), w.session(t, "acme")
	for path, key := range map[string]string{ // "" = refused
		"/documents/resumes/acme/a":                               "resumes/acme/a",
		"/documents/resumes/acme/":                                "resumes/acme/",
		"/documents/resumes/acme/a%20b":                           "resumes/acme/a b",
		"/documents/resumes/acme/a+b":                             "resumes/acme/a+b",
		"/documents/resumes/acme/a%2Bb":                           "resumes/acme/a+b",
		"/documents/resumes/acme/a=b&c;d":                         "resumes/acme/a=b&c;d",
		"/documents/resumes/acme/a%3Fb%23c":                       "resumes/acme/a?b#c",
		"/documents/resumes%2Facme%2Fa":                           "resumes/acme/a",
		"/documents/resumes/acme/%252e%252e/x":                    "resumes/acme/%2e%2e/x",
		"/documents/resumes/acme/..a":                             "resumes/acme/..a",
		"/documents/resumes/acme/...":                             "resumes/acme/...",
		"/documents/resumes/acme/%C3%A9":                          "resumes/acme/é",
		"/documents/resumes/acme/..":                              "",
		"/documents/resumes/acme/../other/a":                      "",
		"/documents/resumes/acme/%2e%2e/other/a":                  "",
		"/documents/resumes/acme/%2E%2E%2Fother/a":                "",
		"/documents/resumes/acme/./a":                             "",
		"/documents/resumes/acme//a":                              "",
		"/documents/resumes/acme/%2Fa":                            "",
		"/documents//resumes/acme/a":                              "",
		"/documents/resumes/acme/a%00":                            "",
		"/documents/resumes/acme/a%0A":                            "",
		"/documents/resumes/acme/a%7F":                            "",
		"/documents/resumes/acme/a%C2%85":                         "",
		"/documents/resumes/acme/a%5C..%5Cb":                      "",
		"/documents/resumes/acme/%FF":                             "",
		"/documents/resumes/acme/%C0%AE%C0%AE/x":                  "",
		"/documents/resumes/acme/" + strings.Repeat("a", 1024-13): "resumes/acme/" + strings.Repeat("a", 1024-13),
		"/documents/resumes/acme/" + strings.Repeat("a", 1025-13): "",
		"/documents%2Fresumes/acme/a":                             "",
		"//documents/resumes/acme/a":                              "",
		"/../documents/resumes/acme/a":                            "",
		"/./documents/resumes/acme/a":                             "",
	} {
		w.origins.forget()
		got := w.do(t, acme, http.MethodPut, path, []byte("x"))
		calls := w.origins.calls()
		switch {
		case key == "" && (got.status/100 != 4 || len(calls) != 0):
			t.Errorf("%s: %d, and the origin did %v", path, got.status, calls)
		case key != "" && (got.status != 200 || len(calls) != 1 || calls[0].Key != key || calls[0].bucket != "documents"):
			t.Errorf("%s: %d %s, %+v", path, got.status, got.body, calls)
		}
		if key == "" {
			continue
		}
		// Another role sees the same: what acme may not is refused by the same bytes.
		w.do(t, all, http.MethodHead, path, nil).want(t, 200, "")
	}
}

// The first bytes of another prefix are not enough.
func TestRuleD2PrefixesOfKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	for path, status := range map[string]int{
		"/documents/resumes/acme": 403, "/documents/resumes/acme-other/a": 403, "/documents/resumes/acm": 403, "/documents/Resumes/acme/a": 403,
		"/documents/one.txt": 200, "/documents/one.txt2": 403, "/documents/one.txt/a": 403, "/documents/resumes/acme/a": 200,
	} {
		w.do(t, c, http.MethodPut, path, []byte("x")).want(t, status, map[int]string{403: "AccessDenied"}[status])
	}
}

// The authorised key is the forwarded key, whatever the path: what resolve returns is what
// decides, and encoding it again gives a path that means the same.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"/documents/a", "/documents/a%2Fb?versionId=1", "/documents/..", "/documents/%2e%2e/a", "//", "/documents//a", "/documents?list-type=2&prefix=a%2Fb",
		"/documents/a?acl&tagging", "/documents/a%00", "/documents/%zz", "/documents/a?x-id=GetObject&X-Amz-Signature=0", "/a/b?prefix=x&prefix=y", "/documents/a;b?c;d",
	} {
		f.Add(seed, "127.0.0.1", "")
		f.Add(seed, "documents.s3.example.com", "archive/a%20b?versionId=1")
	}
	f.Fuzz(func(t *testing.T, target, host, source string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: http.MethodGet, URL: u, Host: host, Header: http.Header{}}
		if source != "" {
			r.Method = http.MethodPut
			r.Header.Set("X-Amz-Copy-Source", source)
		}
		got, err := s3gw.Resolve(r, domain)
		if err != nil {
			return
		}
		for _, key := range []string{got.Key, got.SourceKey} {
			for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
				if key != "" && (segment == "" || segment == "." || segment == "..") {
					t.Fatalf("the key %q", key)
				}
			}
			if !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\\\r\n") || len(key) > 1024 {
				t.Fatalf("the key %q", key)
			}
		}
		if strings.Contains(got.Bucket, "/") || got.Operation == "" {
			t.Fatalf("%+v", got)
		}
		if got.Key == "" {
			return
		}
		again := httptest.NewRequest(http.MethodGet, "/"+got.Bucket+"/"+(&url.URL{Path: got.Key}).EscapedPath(), nil)
		other, err := s3gw.Resolve(again, "")
		if err != nil || other.Key != got.Key || other.Bucket != got.Bucket || other.Operation != s3api.GetObject {
			t.Fatalf("%+v, then %+v, %v", got, other, err)
		}
	})
}

// Sources of copies are read in one way.
func TestCopySources(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][3]string{ // "" = refused
		"archive/a":                             {"archive", "a", ""},
		"/archive/a":                            {"archive", "a", ""},
		"archive/a%20b/c%2Bd":                   {"archive", "a b/c+d", ""},
		"archive/a+b":                           {"archive", "a b", ""}, // S3 reads it so
		"archive%2Fa":                           {"archive", "a", ""},
		"/archive/a?versionId=v1":               {"archive", "a", "v1"},
		"archive/a%3FversionId%3Dv1":            {"archive", "a?versionId=v1", ""},
		"archive/a?versionId=":                  {},
		"archive/a?versionId=1&versionId=2":     {},
		"archive/a?x=1":                         {},
		"archive/a?versionid=1":                 {},
		"//archive/a":                           {},
		"archive":                               {},
		"archive/":                              {},
		"":                                      {},
		"archive/../documents/a":                {},
		"archive/%2e%2e/documents/a":            {},
		"archive//a":                            {},
		"arn:aws:s3:us-east-1:0:accesspoint/x/": {},
		"archive/a%zz":                          {},
		"archive/a%00":                          {},
	} {
		r := httptest.NewRequest(http.MethodPut, "/documents/copy", nil)
		r.Header["X-Amz-Copy-Source"] = []string{header}
		got, err := s3gw.Resolve(r, "")
		if (err != nil) != (want[0] == "") || err == nil && [3]string{got.SourceBucket, got.SourceKey, got.SourceVersion} != want {
			t.Errorf("%q: %+v, %v", header, got, err)
		}
	}
	r := httptest.NewRequest(http.MethodPut, "/documents/copy", nil)
	r.Header["X-Amz-Copy-Source"] = []string{"archive/a", "documents/b"}
	if _, err := s3gw.Resolve(r, ""); err == nil {
		t.Error("two sources")
	}
}

// What a copy reads is authorised too, with its version; so is what it writes.
func TestVulnerability44CopiesAreAuthorisedAtBothEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("archive", "acme/a", "x")
	w.put("archive", "other/a", "x")
	w.put("documents", "resumes/acme/a", "x")
	c := w.session(t, "acme")
	copyTo := func(path, from string) answer {
		return w.do(t, c, http.MethodPut, path, nil, "x-amz-copy-source", from)
	}
	copyTo("/documents/resumes/acme/b", "archive/acme/a").want(t, 200, "")
	copyTo("/documents/resumes/acme/b", "archive/acme/no").want(t, 404, "NoSuchKey")
	copyTo("/documents/resumes/acme/b", "documents/resumes/acme/a").want(t, 200, "")
	copyTo("/documents/resumes/acme/b", "archive/other/a").want(t, 403, "AccessDenied")
	copyTo("/documents/resumes/acme/b", "archive/acme/a?versionId=1").want(t, 403, "AccessDenied") // it may not read versions
	copyTo("/documents/resumes/acme/b", "closed/acme/a").want(t, 403, "AccessDenied")
	copyTo("/documents/resumes/acme/b", "nowhere/acme/a").want(t, 403, "AccessDenied")
	copyTo("/documents/other/b", "archive/acme/a").want(t, 403, "AccessDenied")
	copyTo("/archive/acme/b", "archive/acme/a").want(t, 403, "AccessDenied")
	copyTo("/documents/resumes/acme/b?partNumber=1&uploadId=u", "archive/other/a").want(t, 403, "AccessDenied")

	all := w.session(t, "all")
	w.do(t, all, http.MethodPut, "/documents/b", nil, "x-amz-copy-source", "closed/a").want(t, 403, "AccessDenied") // closed to the role
	w.origins.forget()
	w.do(t, all, http.MethodPut, "/documents/b", nil, "x-amz-copy-source", "/archive/acme/a?versionId=7", "x-amz-metadata-directive", "REPLACE").want(t, 200, "")
	got := w.origins.calls()[0]
	if s := got.Source; s == nil || s.Bucket != "archive" || s.Key != "acme/a" || s.VersionID != "7" || s.Origin != w.origins.of("archive") {
		t.Errorf("%+v", got.Source)
	}
	if _, passed := got.Header["X-Amz-Copy-Source"]; passed || got.Header.Get("X-Amz-Metadata-Directive") != "REPLACE" {
		t.Errorf("%v", got.Header)
	}
	w.do(t, c, http.MethodPut, "/documents/resumes/acme/b", nil, "x-amz-copy-source", "archive/acme/a",
		"x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256").want(t, 403, "AccessDenied")
}
