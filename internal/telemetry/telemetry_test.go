package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/telemetry"
)

const (
	canary    = "canary-5f3a"
	jwtCanary = "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.c2lnbmF0dXJl"
	keyCanary = "csk_canary_5f3a"
)

// CVE-2025-62513, CVE-2024-8365 and others of vulnerabilities.md 30: no secret in a log.
func TestLoggerTakesSecretsOut(t *testing.T) {
	t.Parallel()
	header := http.Header{"Authorization": {"Bearer " + canary}}
	request := httptest.NewRequest(http.MethodPost, "/x?secret="+canary, nil)
	request.Header = header
	attrs := []any{
		slog.String("token", canary), slog.String("access_token", canary), slog.String("accessToken", canary),
		slog.String("client_secret", canary), slog.String("Client-Secret", canary), slog.String("password", canary),
		slog.String("Authorization", canary), slog.String("service-authorization", canary), slog.String("set_cookie", canary),
		slog.String("client_assertion", canary), slog.String("aws_credentials", canary), slog.Any("private_key", []byte(canary)),
		slog.Any("secret_map", map[string]string{"a": canary}), slog.Group("secret", slog.String("a", canary)),
		slog.Group("request", slog.String("token", canary)), slog.Any("anything", countersign.NewSecret(canary)),
		slog.Any("holder", struct{ S countersign.Secret }{countersign.NewSecret(canary)}),
		slog.Any("header", header), slog.Any("form", url.Values{"client_secret": {canary}}), slog.Any("request_object", request),
		slog.String("detail", "got "+jwtCanary), slog.String("text", "x "+keyCanary+" y"),
		slog.Any("error", fmt.Errorf("parse %s: %w", keyCanary, errors.New(jwtCanary))),
	}
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, slog.LevelInfo)
	logger.InfoContext(t.Context(), "with "+jwtCanary, attrs...)
	logger.With(slog.String("token", canary)).WithGroup("g").InfoContext(t.Context(), "m", slog.String("token", canary))
	for _, secret := range []string{canary, jwtCanary, keyCanary, "canary_5f3a", "eyJjYW5hcnkiOjF9", "c2lnbmF0dXJl"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, out.String())
		}
	}
	for line := range bytes.Lines(out.Bytes()) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestLoggerKeepsTheRest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, slog.LevelInfo)
	logger.DebugContext(t.Context(), "below the level")
	logger.InfoContext(t.Context(), "hello", slog.String("token_id", "j1"), slog.String("reason", "token_expired"), slog.Int("status", 200),
		slog.Duration("duration", time.Second), slog.Any("error", errors.New("disk full")))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "INFO", "msg": "hello", "token_id": "j1", "reason": "token_expired", "status": 200.0, "duration": 1e9, "error": "disk full",
	} {
		if line[name] != want {
			t.Errorf("%s = %v, want %v", name, line[name], want)
		}
	}
}

func TestMetricsShowWhatHappened(t *testing.T) {
	t.Parallel()
	m := telemetry.New("v1.2.3")
	observe := m.ObserveHTTP("api")
	observe("POST /oauth2/token", 200, 3*time.Millisecond)
	observe("POST /oauth2/token", 401, time.Millisecond)
	observe("", 404, time.Millisecond)
	observe("GET /x", 0, time.Millisecond)
	observe("GET /x", 99999, time.Millisecond)
	m.Decided("token", "issued", "ok")
	m.Decided("token", "refused", string(countersign.ReasonSecretWrong))
	m.AuditCommitted(7)
	m.AuditDropped(2)
	m.AuditDropped(-1) // a counter never falls
	m.CachedServices(func() int { return 41 })

	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`countersign_build_info{version="v1.2.3"} 1`,
		`countersign_http_requests_total{class="2xx",listener="api",route="POST /oauth2/token"} 1`,
		`countersign_http_requests_total{class="4xx",listener="api",route="POST /oauth2/token"} 1`,
		`countersign_http_requests_total{class="4xx",listener="api",route="other"} 1`,
		`countersign_http_requests_total{class="none",listener="api",route="GET /x"} 2`,
		`countersign_http_request_duration_seconds_count{listener="api",route="POST /oauth2/token"} 2`,
		`countersign_decisions_total{action="token",decision="issued",reason="ok"} 1`,
		`countersign_decisions_total{action="token",decision="refused",reason="secret_wrong"} 1`,
		`countersign_audit_commits_total 1`, `countersign_audit_events_total 7`, `countersign_audit_dropped_total 2`,
		`countersign_registry_services 41`, `go_goroutines`, `process_open_fds`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s", want)
		}
	}
}

// Two servers in one process (authtest) don't share a registry.
func TestMetricsAreIndependent(t *testing.T) {
	t.Parallel()
	for range 2 {
		telemetry.New("a").CachedServices(func() int { return 0 })
	}
}

func BenchmarkObserveHTTP(b *testing.B) {
	observe := telemetry.New("v").ObserveHTTP("api")
	b.ReportAllocs()
	for b.Loop() {
		observe("POST /oauth2/token", 200, time.Millisecond)
	}
}
