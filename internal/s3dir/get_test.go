package s3dir

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

func TestRangeReads(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "ten", "0123456789")
	put(t, d, "empty", "")
	tests := []struct{ key, header, body, contentRange, code string }{
		{"ten", "bytes=0-3", "0123", "bytes 0-3/10", ""},
		{"ten", "bytes=3-3", "3", "bytes 3-3/10", ""},
		{"ten", "bytes=7-", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=7-99999999999999999999", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=-3", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=-30", "0123456789", "bytes 0-9/10", ""},
		{"ten", "bytes=9-9", "9", "bytes 9-9/10", ""},
		{"ten", "bytes=10-", "", "", s3api.InvalidRange},
		{"ten", "bytes=99999999999999999999-", "", "", s3api.InvalidRange},
		{"ten", "bytes=-0", "", "", s3api.InvalidRange},
		{"empty", "bytes=0-0", "", "", s3api.InvalidRange},
		{"empty", "bytes=-1", "", "", s3api.InvalidRange},
		// What is no range of bytes, or several, is the whole.
		{"ten", "bytes=4-3", "0123456789", "", ""},
		{"ten", "bytes=a-b", "0123456789", "", ""},
		{"ten", "bytes=+1-2", "0123456789", "", ""},
		{"ten", "bytes=-", "0123456789", "", ""},
		{"ten", "bytes=--1", "0123456789", "", ""},
		{"ten", "bytes=0-1,3-4", "0123456789", "", ""},
		{"ten", "items=0-1", "0123456789", "", ""},
		{"ten", "0-1", "0123456789", "", ""},
	}
	for _, test := range tests {
		for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject} {
			r := request(op, test.key, nil, "Range", test.header)
			if test.code != "" {
				refused(t, d, r, test.code)
				continue
			}
			got := must(t, d, r)
			status := http.StatusOK
			if test.contentRange != "" {
				status = http.StatusPartialContent
			}
			if got.status != status || got.header.Get("Content-Range") != test.contentRange || got.length != int64(len(test.body)) ||
				op == s3api.GetObject && string(got.body) != test.body {
				t.Errorf("%s %s %s: %d %q %v", op, test.key, test.header, got.status, got.body, got.header)
			}
		}
	}
}

func TestConditionsOfReads(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	etag := put(t, d, "a", "x").header.Get("ETag")
	modified, err := http.ParseTime(get(t, d, "a").header.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	before, after := modified.Add(-time.Hour).Format(http.TimeFormat), modified.Format(http.TimeFormat)
	tests := []struct {
		headers []string
		status  int // 412 is a refusal
	}{
		{[]string{"If-Match", etag}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", `"other", ` + etag}, 200},
		{[]string{"If-Match", `"other"`}, 412},
		{[]string{"If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "W/" + etag}, 304},
		{[]string{"If-None-Match", "*"}, 304},
		{[]string{"If-None-Match", `"other"`}, 200},
		{[]string{"If-Modified-Since", before}, 200},
		{[]string{"If-Modified-Since", after}, 304},
		{[]string{"If-Modified-Since", "yesterday"}, 200},
		{[]string{"If-Modified-Since", modified.Add(24 * time.Hour).Format(http.TimeFormat)}, 200},
		{[]string{"If-Unmodified-Since", before}, 412},
		{[]string{"If-Unmodified-Since", after}, 200},
		// An ETag outweighs a time, and what leads to 412 what leads to 304.
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200},
		{[]string{"If-None-Match", `"other"`, "If-Modified-Since", after}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304},
		{[]string{"If-Match", `"other"`, "If-None-Match", etag}, 412},
		{[]string{"If-Match", etag, "If-None-Match", etag}, 304},
		{[]string{"If-None-Match", etag, "Range", "bytes=99-"}, 304},
	}
	for _, test := range tests {
		for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject} {
			r := request(op, "a", nil, test.headers...)
			if test.status == http.StatusPreconditionFailed {
				refused(t, d, r, s3api.PreconditionFailed)
				continue
			}
			got := must(t, d, r)
			if got.status != test.status || got.header.Get("ETag") != etag || test.status == 304 && (got.body != nil || got.length != 0) {
				t.Errorf("%s %q: %d %v", op, test.headers, got.status, got.header)
			}
		}
	}
}

func TestOverridesOfHeaders(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", "x", "Content-Type", "text/plain", "Content-Encoding", "aws-chunked, gzip", "Expires", "never")
	got := get(t, d, "a", "?response-content-type", "text/html", "?response-content-disposition", "attachment", "?versionId", "null")
	for name, want := range map[string]string{
		"Content-Type": "text/html", "Content-Disposition": "attachment", "Content-Encoding": "gzip", "Expires": "never",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s = %q", name, got.header.Get(name))
		}
	}
	refused(t, d, request(s3api.GetObject, "a", nil, "?versionId", "1"), s3api.NoSuchVersion)
	refused(t, d, request(s3api.GetObject, "a", nil, "?versionId", ""), s3api.InvalidArgument)
	refused(t, d, request(s3api.DeleteObject, "a", nil, "?versionId", "1"), s3api.NoSuchVersion)
}
