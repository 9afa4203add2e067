package s3origin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// raw answers with bytes that no server of net/http would write, then closes.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, answer)
		_ = connection.Close()
	}
}

// What ends early is never an end.
func TestTruncatedObjectIsAnErrorOfRead(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"length":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345",
		"chunk":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n12345",
		"last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
		"bad chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n12345\r\n",
	} {
		r := newRig(t, raw(answer))
		resp, err := r.Do(t.Context(), request(s3api.GetObject, "a"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = io.ReadAll(resp.Body)
		if countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%s: the body ended with %v", name, err)
		}
		_ = resp.Body.Close()
	}
	for name, answer := range map[string]string{
		"to the end of the connection": "HTTP/1.1 200 OK\r\n\r\n12345",
		"HTTP/1.0":                     "HTTP/1.0 200 OK\r\n\r\n12345",
		"no header":                    "HTTP/1.1 200",
		"nothing":                      "",
		"no HTTP":                      "SSH-2.0-OpenSSH\r\n",
		"two lengths":                  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
		"negative length":              "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345",
		"large header":                 "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
		"another protocol":             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"many 1xx":                     strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		r := newRig(t, raw(answer))
		if err := r.fails(t, countersign.Upstream, request(s3api.GetObject, "a")); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	r := newRig(t, raw("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"))
	if _, body := r.do(t, request(s3api.GetObject, "a")); body != "12345" {
		t.Errorf("after a 103: %q", body)
	}
}

func TestUnreachableStore(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	r.store.Close()
	r.fails(t, countersign.Upstream, request(s3api.GetObject, "a"))
	r.fails(t, countersign.Upstream, put("a", []byte("x")))
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newStore(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/real-bucket/team/a")
			refuseWith(status, "TemporaryRedirect")(w, q)
		})
		for _, q := range []*s3api.Request{request(s3api.GetObject, "a"), request(s3api.HeadObject, "a"), put("a", large), request(s3api.DeleteObject, "a")} {
			err := r.fails(t, countersign.Upstream, q)
			if err != nil && strings.Contains(countersign.MessageOf(err), elsewhere.URL) {
				t.Errorf("the message names where: %v", err)
			}
		}
	}
	r := newRig(t, answerWith(304, ""))
	if resp, _ := r.do(t, request(s3api.GetObject, "a")); resp.Status != 304 || resp.ContentLength != 0 {
		t.Errorf("304: %+v", resp)
	}
	r.fails(t, countersign.Upstream, put("a", []byte("x")))
}

func TestRefusalsOfTheStore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		code   string
		want   any // a code of S3, or a class
	}{
		{404, "NoSuchKey", s3api.NoSuchKey}, {403, "AccessDenied", s3api.AccessDenied}, {412, "PreconditionFailed", s3api.PreconditionFailed},
		{404, "NoSuchUpload", s3api.NoSuchUpload}, {400, "InvalidPart", s3api.InvalidPart}, {400, "EntityTooSmall", s3api.EntityTooSmall},
		{416, "InvalidRange", s3api.InvalidRange}, {400, "BadDigest", s3api.BadDigest}, {405, "MethodNotAllowed", s3api.MethodNotAllowed},
		{501, "NotImplemented", s3api.NotImplemented}, {409, "OperationAborted", s3api.OperationAborted}, {400, "SomethingNew", "SomethingNew"},
		{503, "SlowDown", s3api.SlowDown}, {503, "", s3api.SlowDown}, {429, "", s3api.SlowDown}, {400, "SlowDown", s3api.SlowDown},
		// Our own credentials and configuration are nothing that the client could do about.
		{403, "SignatureDoesNotMatch", countersign.Upstream}, {403, "InvalidAccessKeyId", countersign.Upstream}, {400, "ExpiredToken", countersign.Upstream},
		{400, "InvalidToken", countersign.Upstream}, {403, "RequestTimeTooSkewed", countersign.Upstream}, {400, "AuthorizationHeaderMalformed", countersign.Upstream},
		{404, "NoSuchBucket", countersign.Upstream}, {301, "PermanentRedirect", countersign.Upstream}, {400, "IllegalLocationConstraintException", countersign.Upstream},
		{500, "InternalError", countersign.Upstream}, {502, "", countersign.Upstream}, {504, "GatewayTimeout", countersign.Upstream},
		{500, "NoSuchKey", countersign.Upstream}, {404, "", countersign.Upstream}, {403, "", countersign.Upstream}, {400, "a b", countersign.Upstream},
		{400, "<x/>", countersign.Upstream}, {400, strings.Repeat("A", 65), countersign.Upstream}, {418, "", countersign.Upstream},
	} {
		r := newRig(t, refuseWith(test.status, test.code))
		switch want := test.want.(type) {
		case string:
			r.refused(t, want, request(s3api.GetObject, "a"))
		case countersign.Code:
			r.fails(t, want, request(s3api.GetObject, "a"))
		}
	}
}

func TestRefusalsWithoutADocument(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		404: s3api.NoSuchKey, 403: s3api.AccessDenied, 412: s3api.PreconditionFailed, 416: s3api.InvalidRange, 405: s3api.MethodNotAllowed,
		400: s3api.InvalidRequest, 503: s3api.SlowDown,
	} {
		r := newRig(t, answerWith(status, ""))
		r.refused(t, want, request(s3api.HeadObject, "a"))
	}
	for _, status := range []int{301, 307, 401, 500, 502, 418} {
		newRig(t, answerWith(status, "")).fails(t, countersign.Upstream, request(s3api.HeadObject, "a"))
	}
	newRig(t, answerWith(404, "")).fails(t, countersign.Upstream, request(s3api.HeadBucket, ""))
}

func TestRefusalKeepsWhatBelongsToIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Amz-Delete-Marker", "true")
		w.Header().Set("X-Amz-Version-Id", "v1")
		w.Header().Set("Server", "real")
		refuseWith(405, s3api.MethodNotAllowed)(w, q)
	})
	e := r.refused(t, s3api.MethodNotAllowed, request(s3api.GetObject, "a", "versionId", "v1"))
	if e.Header.Get("X-Amz-Delete-Marker") != "true" || e.Header.Get("X-Amz-Version-Id") != "v1" || len(e.Header) != 2 {
		t.Errorf("%v", e.Header)
	}
}

func TestErrorDocumentsThatAreEvil(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"huge":     "<Error><Code>NoSuchKey</Code><Message>" + strings.Repeat("x", 1<<20) + "</Message></Error>",
		"deep":     strings.Repeat("<a>", 10_000),
		"entities": `<!DOCTYPE x [<!ENTITY a "NoSuchKey"><!ENTITY b "&a;&a;">]><Error><Code>&b;</Code></Error>`,
		"other":    "<html><Code>NoSuchKey</Code></html>",
		"cut":      "<Error><Code>NoSuchKey</Code>",
		"binary":   "\x00\x01\x02",
		"empty":    "",
	} {
		r := newRig(t, answerWith(404, document))
		if err := r.fails(t, countersign.Upstream, request(s3api.GetObject, "a")); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
}

// A request whose body was begun is never sent again, whatever happened to it.
func TestBodyIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, len(large)} {
		r := newRig(t, ok)
		asked := 0
		r.store.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			asked++
			_, _ = io.CopyN(io.Discard, q.Body, 1)
			raw("")(w, q) // drops the connection in the middle
		})
		r.fails(t, countersign.Upstream, put("a", large[:size]))
		if asked != 1 {
			t.Errorf("%d bytes: asked %d times", size, asked)
		}
	}
}

// A connection that was kept and turns out to be closed is no failure of what may be asked
// twice.
func TestClosedConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // one answer a connection, then it breaks when it is asked again
				defer connection.Close()
				reader := bufio.NewReader(connection)
				if _, err := http.ReadRequest(reader); err == nil {
					_, _ = fmt.Fprint(connection, "HTTP/1.1 204 No Content\r\n\r\n")
				}
				_, _ = http.ReadRequest(reader)
			}()
		}
	}()
	store := newStore(t, ok)
	store.Server.URL = "http://" + listener.Addr().String()
	r := newRigOf(t, store)
	for range 5 {
		for _, operation := range []s3api.Operation{s3api.GetObject, s3api.HeadObject, s3api.DeleteObject} {
			if _, err := r.Do(t.Context(), request(operation, "a")); err != nil {
				t.Errorf("%s: %v", operation, err)
			}
		}
	}
}

func TestAnswerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "12345")
		_ = http.NewResponseController(w).Flush()
		<-q.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := r.Do(ctx, request(s3api.GetObject, "a"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	_ = resp.Body.Close()
	<-gone
}

func TestAnswerThatIsClosedEndsTheStoresWork(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "12345")
		_ = http.NewResponseController(w).Flush()
		<-q.Context().Done()
		close(gone)
	})
	resp, err := r.Do(t.Context(), request(s3api.GetObject, "a"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-gone
}

func TestHeadersOfTheStoreAreHidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Server", "X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Bucket-Region", "Set-Cookie", "Location"} {
			w.Header().Set(name, "real-bucket")
		}
		w.Header().Set("Content-Encoding", "aws-chunked")
		w.Header().Set("X-Amz-Meta-A", "b")
		w.Header().Set("Etag", `"e"`)
		_, _ = io.WriteString(w, "12345")
	})
	resp, _ := r.do(t, request(s3api.GetObject, "a"))
	for name, values := range resp.Header {
		if strings.Contains(strings.Join(values, ""), "real-bucket") || name == "Date" || name == "Content-Encoding" {
			t.Errorf("%s: %q", name, values)
		}
	}
	if resp.Header.Get("X-Amz-Meta-A") != "b" || resp.Header.Get("Etag") != `"e"` || resp.ContentLength != 5 {
		t.Errorf("%v, %d", resp.Header, resp.ContentLength)
	}
}
