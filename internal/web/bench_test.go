package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/telemetry"
	"github.com/countersign/countersign/internal/web"
)

// discardWriter is an http.ResponseWriter that costs nothing.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}

// BenchmarkWrap is what every request pays for this package, metrics included. bare is
// the mux alone.
func BenchmarkWrap(b *testing.B) {
	mux := http.NewServeMux()
	mux.Handle("POST /oauth2/token", web.Handle(nil, writeError, func(http.ResponseWriter, *http.Request) error { return nil }))
	wrapped := web.Wrap(web.Config{
		Logger:  telemetry.NewLogger(b.Output(), slog.LevelInfo),
		Hosts:   []string{"auth.example.com"},
		Observe: telemetry.New("bench").ObserveHTTP("api"),
		Now:     time.Now,
	}, mux)
	for name, h := range map[string]http.Handler{"bare": mux, "wrapped": wrapped} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodPost, "http://auth.example.com/oauth2/token", nil)
			w := &discardWriter{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
