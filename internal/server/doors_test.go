package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
)

// RULES G7: a page of another site whose name was rebound to our address gets nothing.
func TestRuleG7HostIsChecked(t *testing.T) {
	t.Parallel()
	r := start(t, "COUNTERSIGN_ISSUER=https://auth.example.com")
	tests := []struct {
		host   string
		status int
	}{
		{"127.0.0.1", 200}, {"127.0.0.1:8440", 200}, {"localhost", 200}, {"LOCALHOST:1", 200}, {"[::1]:8440", 200},
		{"auth.example.com", 200}, {"auth.example.com:443", 200}, {"AUTH.example.COM", 200},
		{"evil.example.com", 421}, {"auth.example.com.evil.com", 421}, {"evil.com:8440", 421}, {"169.254.169.254", 421},
		{"auth.example.com.", 421}, {"127.0.0.1.nip.io", 421}, {"localhost.evil.com", 421}, {"0.0.0.0", 421},
		{"[::ffff:127.0.0.1]", 421}, {"xauth.example.com", 421}, {"example.com", 421},
	}
	for _, test := range tests {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.BaseURL()+"/.well-known/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		a := r.do(t, request)
		if a.status != test.status {
			t.Errorf("Host %s: %d, want %d", test.host, a.status, test.status)
		}
		if test.status == 421 && (a.field(t, "error") != string(countersign.ReasonHostNotServed) || a.field(t, "request_id") == "") {
			t.Errorf("Host %s: %s", test.host, a.text)
		}
	}
}

// The API that the socket's peer may administer is closed to everybody who comes over
// TCP without a token.
func TestRuleG1NobodyAdministersOverTCP(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, path := range []string{"/admin/services", "/admin/audit/events"} {
		if a := r.get(t, r.BaseURL()+"/api/iam/v1"+path); a.status != 401 {
			t.Errorf("GET %s: %d %s", path, a.status, a.text)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.BaseURL()+"/api/iam/v1/admin/services",
		strings.NewReader(`{"name":"mine"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if a := r.do(t, request); a.status != 401 {
		t.Errorf("create: %d %s", a.status, a.text)
	}
	if a := r.post(t, "/oauth2/introspect", "", "", map[string][]string{"token": {"x"}}); a.status == 200 {
		t.Errorf("introspect: %d %s", a.status, a.text)
	}
}

func TestOpsEndpoints(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "parse-service")
	r.token(t, "document-service", secret, "parse-service")
	tests := []struct {
		path   string
		status int
		holds  []string
	}{
		{"/livez", 200, []string{`"status":"ok"`}},
		{"/readyz", 200, []string{`"status":"ok"`, `"store":"ok"`}},
		{"/metrics", 200, []string{"countersign_build_info", `countersign_http_requests_total{class="2xx",listener="api",route="POST /oauth2/token"} 1`}},
		{"/", 404, nil},
		{"/debug/pprof/", 404, nil}, {"/debug/pprof/heap", 404, nil}, {"/debug/pprof/cmdline", 404, nil}, {"/debug/vars", 404, nil},
		{"/oauth2/token", 404, nil}, {"/api/iam/v1/admin/services", 404, nil},
	}
	for _, test := range tests {
		a := r.get(t, r.ops+test.path)
		if a.status != test.status {
			t.Errorf("%s: %d, want %d", test.path, a.status, test.status)
		}
		for _, text := range test.holds {
			if !strings.Contains(a.text, text) {
				t.Errorf("%s does not hold %s:\n%s", test.path, text, a.text)
			}
		}
		// Whoever may look at it learns no names (RULES G8).
		for _, secret := range []string{"document-service", "parse-service"} {
			if strings.Contains(a.text, secret) {
				t.Errorf("%s names %s", test.path, secret)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/"} {
		if a := r.get(t, r.BaseURL()+path); a.status != 404 {
			t.Errorf("api listener: %s: %d", path, a.status)
		}
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.ops+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.do(t, request); a.status != 405 {
		t.Errorf("POST /livez: %d", a.status)
	}
}

func TestRuleG8PprofOnRequest(t *testing.T) {
	t.Parallel()
	r := start(t, "COUNTERSIGN_OPS_PPROF=true")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/symbol"} {
		if a := r.get(t, r.ops+path); a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
		if a := r.get(t, r.BaseURL()+path); a.status != 404 {
			t.Errorf("api listener: %s: %d", path, a.status)
		}
	}
	// A page in a browser, which got here by a name of its own, reads nothing.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.ops+"/debug/pprof/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "rebound.example.com"
	if a := r.do(t, request); a.status != 421 {
		t.Errorf("another Host: %d", a.status)
	}
	// The command line may hold what is nobody's business.
	if a := r.get(t, r.ops+"/debug/pprof/cmdline"); a.status != 404 {
		t.Errorf("cmdline: %d", a.status)
	}
}

func TestRuleG8InsecureSettingsAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		environ []string
		refused bool
	}{
		{"plain HTTP off loopback", []string{"COUNTERSIGN_LISTEN_API=0.0.0.0:0", "COUNTERSIGN_ISSUER=https://auth.example.com"}, true},
		{"plain HTTP on every IPv6 address", []string{"COUNTERSIGN_LISTEN_API=[::]:0", "COUNTERSIGN_ISSUER=https://auth.example.com"}, true},
		{"plain HTTP without a host", []string{"COUNTERSIGN_LISTEN_API=:0", "COUNTERSIGN_ISSUER=https://auth.example.com"}, true},
		{"a default issuer off loopback", []string{"COUNTERSIGN_LISTEN_API=0.0.0.0:0", "COUNTERSIGN_INSECURE_HTTP=api"}, true},
		{"an http issuer off loopback", []string{"COUNTERSIGN_ISSUER=http://auth.example.com"}, true},
		{"an http issuer that looks like loopback", []string{"COUNTERSIGN_ISSUER=http://127.0.0.1.example.com"}, true},
		{"pprof off loopback", []string{"COUNTERSIGN_OPS_PPROF=true", "COUNTERSIGN_LISTEN_OPS=0.0.0.0:0"}, true},
		{"another listener's permission", []string{"COUNTERSIGN_LISTEN_API=0.0.0.0:0", "COUNTERSIGN_ISSUER=https://auth.example.com", "COUNTERSIGN_INSECURE_HTTP=s3"}, true},
		{"half of TLS", []string{"COUNTERSIGN_TLS_CERT_FILE=/nowhere/tls.crt"}, true},
		{"plain HTTP by name", []string{"COUNTERSIGN_LISTEN_API=0.0.0.0:0", "COUNTERSIGN_INSECURE_HTTP=api", "COUNTERSIGN_ISSUER=https://auth.example.com"}, false},
		{"plain ops anywhere", []string{"COUNTERSIGN_LISTEN_OPS=0.0.0.0:0"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			environ := append([]string{"COUNTERSIGN_DATA=" + t.TempDir() + "/data", "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0"}, test.environ...)
			_, err := config.Load("", environ)
			if refused := err != nil; refused != test.refused {
				t.Errorf("refused = %t (%v), want %t", refused, err, test.refused)
			}
			if err != nil && countersign.CodeOf(err) != countersign.Invalid && countersign.CodeOf(err) != countersign.Unsupported {
				t.Errorf("error %v (%s)", err, countersign.CodeOf(err))
			}
			if !test.refused {
				r := start(t, test.environ...)
				if a := r.get(t, r.BaseURL()+"/.well-known/jwks.json"); a.status != 200 {
					t.Errorf("%d %s", a.status, a.text)
				}
			}
		})
	}
}
