package oauth_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkToken is the whole handler: plumbing, authentication, signature, and the
// durable event. RunParallel, because commits share a write to the disk.
func BenchmarkToken(b *testing.B) {
	f := newRig(b)
	secret := f.story(b)["document-service"]
	body := grant("audience", "parse-service", "scope", "s2s:internal").Encode()
	f.token(b, "document-service", secret, "parse-service")
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := serveToken(f.handler, body, secret); got != http.StatusOK {
				b.Errorf("status %d", got)
				return
			}
		}
	})
}

func serveToken(handler http.Handler, body, secret string) int {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/oauth2/token"}, Host: "127.0.0.1", RemoteAddr: "127.0.0.1:4711",
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{
			"Content-Type":  {"application/x-www-form-urlencoded"},
			"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("document-service:"+secret))},
		},
	}
	w := &discard{header: make(http.Header, 8)}
	handler.ServeHTTP(w, r)
	return w.status
}

// discard costs as little as a ResponseWriter can, so that the numbers are ours.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
