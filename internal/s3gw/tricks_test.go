package s3gw_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/sigv4"
)

// Who has no right in a bucket is not told whether it is there: not by an answer for each key
// either, nor by what is wrong with the document.
func TestRuleF5DeleteObjectsTellsOfNoBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "nothing")
	for _, bucket := range []string{"documents", "closed", "nobody-has-it"} {
		for _, text := range []string{`<Delete><Object><Key>a</Key></Object></Delete>`, `<x/>`} {
			w.do(t, c, http.MethodPost, "/"+bucket+"?delete", []byte(text)).want(t, 403, "AccessDenied")
		}
	}
}

// A bucket that a session policy denies, or leaves no right in, is not there.
func TestRuleD7BucketsThatThePolicyDenies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for role, statements := range map[string]string{
		"all": `{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::documents","arn:aws:s3:::documents/*"]}`,
		"writer": `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`,
	} {
		c := w.session(t, role, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
		if got := w.do(t, c, http.MethodHead, "/documents", nil); got.status != 403 {
			t.Errorf("%s: %d", role, got.status)
		}
		if got := w.do(t, c, http.MethodGet, "/", nil); strings.Contains(got.body, "<Name>documents</Name>") {
			t.Errorf("%s: %s", role, got.body)
		}
	}
}

// If-Match of a write tells whether the content is what the caller guesses: that is for those
// who may read it.
func TestRuleF5ConditionsTellNothingOfContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	writer, acme := w.session(t, "writer"), w.session(t, "acme")
	for method, status := range map[string]int{http.MethodPut: 200, http.MethodDelete: 204} {
		w.do(t, writer, method, "/documents/one.txt", nil, "If-Match", `"x"`).want(t, 403, "AccessDenied")
		w.do(t, writer, method, "/documents/one.txt", nil).want(t, status, "")
		w.do(t, acme, method, "/documents/one.txt", nil, "If-Match", `"x"`).want(t, status, "")
	}
	w.do(t, writer, http.MethodPut, "/documents/one.txt", nil, "If-None-Match", "*").want(t, 200, "")
	// Some stores compare an entity tag here too, and write nothing when it is the one.
	w.origins.forget()
	for _, tag := range []string{`"5d41402abc4b2a76b9719d911017c592"`, `*, "5d41402abc4b2a76b9719d911017c592"`, ""} {
		for _, path := range []string{"/documents/one.txt", "/documents/one.txt?uploadId=u"} {
			method := http.MethodPut
			var body []byte
			if strings.Contains(path, "?") {
				method, body = http.MethodPost, []byte("<CompleteMultipartUpload/>")
			}
			w.do(t, writer, method, path, body, "If-None-Match", tag).want(t, 501, "NotImplemented")
		}
	}
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("the origin did %s", calls[0].Operation)
	}
}

// A write that is refused says nothing of what is there, whatever the store says beside it: MinIO
// answers a condition that fails with the entity tag and the time of the object.
func TestRuleF5RefusedWritesTellNothingOfContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.origins.of("documents").answer = func(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
		said := http.Header{"Etag": {`"5d41402abc4b2a76b9719d911017c592"`}, "Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "X-Amz-Version-Id": {"v1"}}
		return nil, &s3api.Error{Code: s3api.PreconditionFailed, Message: "a condition does not hold", Header: said}
	}
	told := []string{"Etag", "Last-Modified", "X-Amz-Version-Id"}
	writer, acme := w.session(t, "writer"), w.session(t, "acme")
	put := w.do(t, writer, http.MethodPut, "/documents/one.txt", []byte("x"), "If-None-Match", "*")
	put.want(t, 412, "PreconditionFailed")
	get := w.do(t, acme, http.MethodGet, "/documents/one.txt", nil, "If-Match", `"x"`)
	get.want(t, 412, "PreconditionFailed")
	tags := w.do(t, writer, http.MethodGet, "/documents/one.txt?tagging", nil)
	tags.want(t, 412, "PreconditionFailed")
	for _, name := range told {
		if put.header.Get(name) != "" || tags.header.Get(name) != "" {
			t.Errorf("%s is told to who may not read", name)
		}
		if get.header.Get(name) == "" {
			t.Errorf("%s is not told to who reads", name)
		}
	}
}

// The type of an object is the origin's word. One that has none is no page.
func TestNoTypeIsMadeUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.origins.of("public").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
		text := "<html><script>alert(1)</script>"
		return &s3api.Response{Status: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
	}
	got := w.send(t, w.request(t, http.MethodGet, "/public/a", nil))
	if got.status != 200 || got.header.Get("Content-Type") != "binary/octet-stream" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// What a copy reads, and which version is read, is in the log.
func TestReadsAreInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("archive", "salaries 2026.csv", "x")
	c := w.session(t, "all")
	w.do(t, c, http.MethodPut, "/documents/x", nil, "x-amz-copy-source", "archive/salaries%202026.csv?versionId=v1").want(t, 200, "")
	if e := w.event(t, "s3:CopyObject"); e.Target != "documents/x" || e.Detail != "status=200 source=archive/salaries 2026.csv?versionId=v1" {
		t.Errorf("%+v", e)
	}
	w.do(t, c, http.MethodGet, "/archive/salaries%202026.csv?versionId=v2", nil).want(t, 200, "")
	if e := w.event(t, "s3:GetObject"); e.Target != "archive/salaries 2026.csv" || e.Detail != "status=200 version=v2" {
		t.Errorf("%+v", e)
	}
}

// Keys that are longer than a field of an event, and begin alike, are told apart.
func TestLongKeysAreToldApartInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "all")
	seen := make(map[string]bool)
	for _, end := range []string{"1", "2", "3"} {
		w.do(t, c, http.MethodPut, "/documents/"+strings.Repeat("a", 1000)+end, []byte("x")).want(t, 200, "")
		e := w.event(t, "s3:PutObject")
		seen[e.Target+e.Detail] = true
	}
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
}

// A document that is announced and does not come takes no room.
func TestVulnerability43AnnouncedDocumentsTakeNoMemory(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	w := newWorld(t)
	c := w.session(t, "all")
	const streams = 40
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range streams {
		r := w.request(t, http.MethodPost, "/documents/a?uploadId=u", nil)
		r.ContentLength = 4_000_000
		w.signAs(t, r, c, sigv4.UnsignedPayload)
		conn := w.dial(t)
		conn.head(t, r, "Expect: 100-continue")
		if line, err := conn.reader.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // it is being read
			t.Fatalf("%q, %v", line, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / streams; each > 256<<10 {
		t.Errorf("%d KiB each", each>>10)
	}
}

// A link may say in its query how the body comes: its length is that of what is in it.
func TestPresignedBodyInChunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request(t, http.MethodPut, "/documents/a", []byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"),
		"x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc32")
	signed, err := sigv4.Presign(r, w.session(t, "all"), sigv4.SignOptions{
		Region: "us-east-1", Service: "s3", Time: w.Clock.Now(), PayloadHash: sigv4.StreamingUnsignedTrailer,
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = signed
	w.send(t, r).want(t, 200, "")
	if calls := w.origins.calls(); len(calls) != 1 || string(calls[0].body) != "hello" || calls[0].ContentLength != 5 || calls[0].trailer != "NhCmhg==" {
		t.Errorf("%+v", calls)
	}
}
