package sigv4

import (
	"net/url"
	"strings"
	"testing"
)

func TestPathForms(t *testing.T) {
	t.Parallel()
	tests := []struct{ service, path, want, other string }{
		{"sts", "/", "/", "/"},
		{"sts", "//", "/", "//"},
		{"sts", "/sts/", "/sts/", "/sts/"},
		{"sts", "/a/..", "/", "/a/.."},
		{"sts", "/..", "/", "/.."},
		{"sts", "/../../a/", "/a/", "/../../a/"},
		{"sts", "/a/b/..", "/a", "/a/b/.."},
		{"sts", "/a/.", "/a", "/a/."},
		{"sts", "/.hidden/...", "/.hidden/...", "/.hidden/..."},
		{"sts", "/a%20b", "/a%2520b", "/a%2520b"},
		{"sts", "/%2e%2e/a", "/%252e%252e/a", "/%252e%252e/a"},
		{"sts", "/a:b@c", "/a%3Ab%40c", "/a%3Ab%40c"},
		{"s3", "/", "/", "/"},
		{"s3", "//a/../b/./", "//a/../b/./", "//a/../b/./"},
		{"s3", "/a%20b", "/a%20b", "/a%20b"},
		{"s3", "/a=b+c", "/a%3Db%2Bc", "/a=b+c"},
		{"s3", "/%41%2f%2F%e2", "/A%2F%2F%E2", "/%41%2f%2F%e2"},
		{"s3express", "/a//b", "/a//b", "/a//b"},
	}
	for _, test := range tests {
		form := PathAuto.resolve(test.service)
		if got := form.canonical(test.path); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.service, test.path, got, test.want)
		}
		if got := form.asSent(test.path); got != test.other {
			t.Errorf("%s %s as sent: %s, want %s", test.service, test.path, got, test.other)
		}
	}
}

// FuzzPath: a canonical path of S3 means the same path, and is canonical; no other form
// has a segment that climbs.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "//", "/a/../b", "/%2e%2e/%2F", "/a b", "/\u20ac", "/%", "/%4"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		encoded := (&url.URL{Path: path}).EscapedPath()
		object := PathObject.canonical(encoded)
		if decoded, err := url.PathUnescape(object); err != nil || decoded != path {
			t.Errorf("%q became %q", path, object)
		}
		if again := PathObject.canonical(object); again != object {
			t.Errorf("%q and then %q", object, again)
		}
		if !strings.HasPrefix(encoded, "/") {
			return
		}
		service := PathService.canonical(encoded)
		if again := normalizePath(service); again != service || service[0] != '/' {
			t.Errorf("%q and then %q", service, again)
		}
	})
}

// FuzzQuery holds the parser against net/url: what it takes, it reads in the same way.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "a=b&c", "a=%2B+%20", "&&", "=", "a;b", "%", "a=b=c&A=%zz", "\u20ac=%E2"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		list, err := parseQuery(raw)
		standard, standardErr := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if standardErr != nil {
			t.Fatalf("%q: taken, and not by net/url: %v", raw, standardErr)
		}
		got := make(url.Values)
		for _, p := range list {
			got.Add(p.key, p.value)
		}
		canonical := string(appendQuery(nil, list))
		again, err := url.ParseQuery(canonical)
		if err != nil {
			t.Fatal(err)
		}
		again["X-Amz-Signature"] = standard["X-Amz-Signature"]
		for key, values := range standard {
			if len(got[key]) != len(values) || len(again[key]) != len(values) {
				t.Errorf("%q: key %q is %q here, %q in net/url, %q when canonical", raw, key, got[key], values, again[key])
			}
		}
		if len(got) != len(standard) {
			t.Errorf("%q: %q here, %q in net/url", raw, got, standard)
		}
	})
}
