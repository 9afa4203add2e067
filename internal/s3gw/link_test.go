package s3gw_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/sigv4"
)

// Links as AWS's SDKs make them have headers of checksums in their query. That of no body is
// what the one for JavaScript signs into each upload; another one is meant.
func TestChecksumsOfLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("documents", "a", "hello")
	c := w.session(t, "all")
	send := func(method, query string, body []byte, header ...string) answer {
		r := w.request(t, method, "/documents/a?"+query, body, header...)
		signed, err := sigv4.Presign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: w.Clock.Now()}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = signed
		return w.send(t, r)
	}
	const javascript = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject"
	for name, test := range map[string]struct {
		method, query string
		header        []string
		status        int
		code          string
		passes        string // X-Amz-Checksum-Crc32, as it reaches the origin
	}{
		"read":                      {"GET", "x-amz-checksum-mode=ENABLED&x-id=GetObject", nil, 200, "", ""},
		"write":                     {"PUT", javascript, nil, 200, "", ""},
		"another spelling":          {"PUT", "X-Amz-Checksum-Crc32=AAAAAA%3D%3D", nil, 200, "", ""},
		"one that is meant":         {"PUT", "X-Amz-Checksum-Crc32=NhCmhg%3D%3D", nil, 200, "", "NhCmhg=="},
		"and a header":              {"PUT", javascript, []string{"x-amz-checksum-crc32", "NhCmhg=="}, 200, "", "NhCmhg=="},
		"two":                       {"PUT", "x-amz-checksum-crc32=NhCmhg%3D%3D", []string{"x-amz-checksum-crc32", "NhCmhg=="}, 400, "InvalidRequest", ""},
		"twice":                     {"PUT", "x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Checksum-Crc32=NhCmhg%3D%3D", nil, 403, "", ""},
		"of an operation without":   {"DELETE", "x-amz-checksum-crc32=AAAAAA%3D%3D", nil, 400, "InvalidArgument", ""},
		"another header":            {"PUT", "x-amz-acl=public-read", nil, 400, "InvalidArgument", ""},
		"metadata":                  {"PUT", "x-amz-meta-a=b", nil, 400, "InvalidArgument", ""},
		"one that there is not":     {"PUT", "x-amz-checksum-none=AAAAAA%3D%3D", nil, 400, "InvalidArgument", ""},
		"the read's, for an upload": {"PUT", "x-amz-checksum-mode=ENABLED", nil, 400, "InvalidArgument", ""},
	} {
		before := len(w.origins.calls())
		body := []byte("hello")
		if test.method != http.MethodPut {
			body = nil
		}
		a := send(test.method, test.query, body, test.header...)
		if test.code == "" && a.status != test.status {
			t.Errorf("%s: %d", name, a.status)
		} else if test.code != "" {
			a.want(t, test.status, test.code)
		}
		calls := w.origins.calls()[before:]
		if test.status != http.StatusOK {
			if len(calls) != 0 {
				t.Errorf("%s: the origin was asked", name)
			}
			continue
		}
		if got := calls[0].Header.Get("X-Amz-Checksum-Crc32"); got != test.passes || len(calls[0].Query) != 0 {
			t.Errorf("%s: passed on %q, %v", name, got, calls[0].Query)
		}
	}
	// In the query of what is no link they are parameters that nobody knows.
	w.do(t, c, http.MethodPut, "/documents/a?x-amz-checksum-crc32=AAAAAA%3D%3D", []byte("hello")).want(t, 400, "InvalidArgument")
}
