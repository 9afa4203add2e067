package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign/middleware"
)

type nothing struct{}

func (nothing) ServeHTTP(http.ResponseWriter, *http.Request) {}

// BenchmarkSeenBefore: Authenticate and AllowedServices with tokens in the cache.
// DESIGN §11: ≤ 1.5 µs and ≤ 2 allocations.
func BenchmarkSeenBefore(b *testing.B) {
	service, user := mint(b, serviceClaims("document-service", "s2s:internal")), mint(b, userClaims())
	v := newVerifier(b, 0)
	for _, bench := range []struct {
		name          string
		authorization string
		service       string
		options       []middleware.Option
	}{
		{"service", service, "", nil},
		{"service, recorded", service, "", []middleware.Option{middleware.WithRecorder(discard{})}},
		{"user and service", user, service, nil},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h := middleware.Chain(nothing{}, middleware.Authenticate(v, bench.options...), middleware.AllowedServices("document-service"))
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+bench.authorization)
			if bench.service != "" {
				r.Header.Set("Service-Authorization", "Bearer "+bench.service)
			}
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		})
	}
}
