package s3gw_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// quiet takes an answer and keeps none of it.
type quiet struct{ header http.Header }

func (q *quiet) Header() http.Header       { return q.header }
func (*quiet) Write(p []byte) (int, error) { return len(p), nil }
func (*quiet) WriteHeader(int)             {}

// BenchmarkGetObject is what the gateway itself does for a small object: all but the
// connections and the origin.
func BenchmarkGetObject(b *testing.B) {
	w := newWorld(b)
	kilobyte := make([]byte, 1024)
	w.origins.of("documents").answer = func(context.Context, *s3api.Request) (*s3api.Response, error) {
		return reply(200, string(kilobyte)), nil
	}
	signed := w.request(b, http.MethodGet, "/documents/resumes/acme/2026/a.pdf", nil)
	w.sign(b, signed, w.session(b, "acme"))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/documents/resumes/acme/2026/a.pdf", nil)
		r.Host, r.Header, r.Body = signed.Host, signed.Header, http.NoBody
		if r.Host == "" {
			r.Host = signed.URL.Host
		}
		w.gateway.ServeHTTP(&quiet{http.Header{}}, r)
	}
	if calls := w.origins.calls(); len(calls) != 0 {
		b.Fatal(io.EOF)
	}
}
