package transport_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/transport"
)

type nothing struct{ resp *http.Response }

func (n nothing) RoundTrip(*http.Request) (*http.Response, error) { return n.resp, nil }

// BenchmarkRoundTrip: what attaching two tokens costs beside the request itself.
func BenchmarkRoundTrip(b *testing.B) {
	tr := &transport.Transport{
		Source: &serviceTokens{}, Audiences: map[string]string{"a.internal": "a"}, Base: nothing{httptest.NewRecorder().Result()},
	}
	req := httptest.NewRequestWithContext(countersign.WithUserToken(b.Context(), "user"), http.MethodGet, "https://a.internal/", nil)
	req.Header.Set("Accept", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
