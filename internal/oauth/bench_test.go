package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkToken is the whole handler: plumbing, authentication, signature, and the
// durable event. RunParallel, because commits share a write to the disk.
func BenchmarkToken(b *testing.B) {
	f := newFixture(b)
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

// BenchmarkTokenRefused stops before the signature and the durable event: what is
// left is the handler's own work.
func BenchmarkTokenRefused(b *testing.B) {
	f := newFixture(b)
	secret := f.story(b)["document-service"]
	body := grant("audience", "iam-service", "scope", "s2s:internal").Encode()
	b.ReportAllocs()
	for b.Loop() {
		if got := serveToken(f.handler, body, secret); got != http.StatusBadRequest {
			b.Fatalf("status %d", got)
		}
	}
}

func serveToken(handler http.Handler, body, secret string) int {
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(body))
	r.Host = "127.0.0.1"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("document-service", url.QueryEscape(secret))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}
