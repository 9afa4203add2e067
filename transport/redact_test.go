package transport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/transport"
)

func TestRuleC5DumpsAreRedacted(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer canary"}, "Service-Authorization": {"Bearer canary", "canary"}, "authorization": {"canary"},
		"Service_Authorization": {"canary"}, "Cookie": {"canary"}, "Set-Cookie": {"canary"}, "Proxy-Authorization": {"canary"}, "Accept": {"*/*"},
	}
	clean := transport.Redact(h)
	if text := fmt.Sprint(clean); strings.Contains(text, "canary") || !strings.Contains(text, "*/*") {
		t.Errorf("redacted: %s", text)
	}
	if h.Get("Authorization") != "Bearer canary" || transport.Redact(nil) != nil {
		t.Error("Redact changed its argument")
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.internal/path", strings.NewReader("content"))
	req.Header = h
	text, err := transport.DumpRequest(req)
	if err != nil || strings.Contains(string(text), "canary") || !strings.Contains(string(text), "/path") {
		t.Errorf("dump %q, %v", text, err)
	}
	if rest, err := io.ReadAll(req.Body); err != nil || string(rest) != "content" {
		t.Errorf("the dump read the body: %q, %v", rest, err)
	}
}
