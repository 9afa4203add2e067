package auditclient_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/countersign/countersign/auditclient"
)

// BenchmarkRecordAllowed: what a receiver pays for each call that it lets in.
func BenchmarkRecordAllowed(b *testing.B) {
	c, err := auditclient.New(auditclient.Config{
		URL: "https://auth.example.com", Source: &tokens{}, HTTPClient: &http.Client{Transport: &server{}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(b.Context())
	d := allowed("POST")
	c.Record(b.Context(), d)
	b.ReportAllocs()
	for b.Loop() {
		c.Record(b.Context(), d)
	}
}
