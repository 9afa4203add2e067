package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

func TestRuleG8PlainHTTPAndIssuer(t *testing.T) {
	t.Parallel()
	const tls = "tls: {cert_file: a, key_file: b}\n"
	const issuer = "issuer: https://auth.example.com\n"
	const gateway = "s3: {url: 'https://s3.example.com'}\nlisten: {s3: ':8441'}\n"
	const anywhere = "listen: {api: '0.0.0.0:8440'}\n"
	tests := []struct {
		name, content string
		ok            bool
	}{
		{"all on loopback", "", true},
		{"other loopback address", "listen: {api: '127.9.9.9:1'}", true},
		{"ops off loopback", "listen: {ops: '0.0.0.0:1'}", true},
		{"tls and issuer", issuer + anywhere + tls, true},
		{"named plain listener and issuer", issuer + anywhere + "insecure_http: [api]", true},
		{"pprof on loopback", "ops: {pprof: true}", true},

		{"plain off loopback", issuer + anywhere, false},
		{"plain on every address", issuer + "listen: {api: ':8440'}", false},
		{"plain on a private address", issuer + "listen: {api: '10.1.2.3:8440'}", false},
		{"plain on IPv6", issuer + "listen: {api: '[::]:8440'}", false},
		{"default issuer off loopback, plain", anywhere + "insecure_http: [api]", false},
		{"default issuer off loopback, tls", anywhere + tls, false},
		{"http issuer off loopback", "issuer: http://auth.example.com", false},
		{"http issuer off loopback, plain listener", "issuer: http://auth.example.com\ninsecure_http: [api]\n" + anywhere, false},
		{"http issuer that begins like loopback", "issuer: http://localhost.example.com", false},
		{"http issuer with loopback as user", "issuer: http://localhost@example.com", false},
		{"unknown listener", "insecure_http: [apis]", false},
		{"s3 is named", "insecure_http: [api, s3]", true},
		{"s3 with tls", issuer + gateway + tls, true},
		{"s3 plain and named", issuer + gateway + "insecure_http: [s3]", true},
		{"s3 plain off loopback", issuer + gateway, false},
		{"s3 plain, another is named", issuer + gateway + "insecure_http: [api]", false},
		{"s3 off loopback without a URL", issuer + "listen: {s3: ':8441'}\ninsecure_http: [s3]", false},
		{"s3 off loopback, default issuer", gateway + "insecure_http: [s3]", false},
		{"listener of a later version", "insecure_http: [api, ext_authz]", false},
		{"listener that is always plain", "insecure_http: [ops]", false},
		{"pprof off loopback", "ops: {pprof: true}\nlisten: {ops: '0.0.0.0:8449'}", false},
		{"pprof on every address", "ops: {pprof: true}\nlisten: {ops: ':8449'}", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, test.content), nil)
			if test.ok && err != nil || !test.ok && !errors.Is(err, countersign.Invalid) {
				t.Errorf("got %v, want ok %v", err, test.ok)
			}
		})
	}
}

// TestRuleG10GatewayHasAHostOfItsOwn: what a bucket's owner serves is never at the
// console's host, whatever the port.
func TestRuleG10GatewayHasAHostOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		ok      bool
	}{
		"own host":               {"s3: {url: 'https://s3.example.com'}", true},
		"below the issuer":       {"s3: {url: 'https://s3.auth.example.com', domain: s3.auth.example.com}", true},
		"ends alike":             {"s3: {domain: h.example.com}", true},
		"domain only":            {"s3: {domain: s3.example.com}", true},
		"issuer's host":          {"s3: {url: 'https://auth.example.com'}", false},
		"issuer's host and port": {"s3: {url: 'https://auth.example.com:8441'}", false},
		"issuer's domain":        {"s3: {domain: auth.example.com}", false},
		"issuer as a bucket":     {"s3: {domain: example.com}", false},
		"issuer, two below":      {"s3: {domain: com.example}\nissuer: https://a.b.com.example", false},
	} {
		content := test.content
		if !strings.Contains(content, "issuer:") {
			content += "\nissuer: https://auth.example.com"
		}
		if _, err := Load(write(t, content), nil); test.ok && err != nil || !test.ok && !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: got %v, want ok %v", name, err, test.ok)
		}
	}
	if _, err := Load(write(t, "issuer: http://localhost:8440\ns3: {url: 'http://localhost:8441', domain: localhost}"), nil); err != nil {
		t.Errorf("on loopback: %v", err)
	}
}

func TestIssuerHasOneSpelling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"https://a.example": true, "https://a.example:8443": true, "https://a.example/x/y": true, "https://192.0.2.1": true,
		"https://[2001:db8::1]:1": true, "http://localhost:8440": true, "http://127.0.0.1": true,

		"": false, "a.example": false, "https://": false, "https:///x": false, "https:a.example": false, "//a.example": false,
		"https://a.example/": false, "https://a.example/x/": false, "https://a.example//x": false, "https://a.example/../x": false,
		"https://a.example/%61": false, "https://a.example/a b": false, "https://a.example?": false, "https://a.example?x=1": false,
		"https://a.example#": false, "https://a.example#x": false, "https://u@a.example": false, "https://u:p@a.example": false,
		"https://A.example": false, "HTTPS://a.example": false, "https://a.example.": false, "https://a..example": false,
		"https://a.example:": false, "https://a.example:0": false, "https://a.example:99999": false, "https://ä.example": false,
		"https://a_b.example": false, "https://[fe80::1%25eth0]": false, "ftp://a.example": false, "http://10.0.0.1": false,
		"https://a.example\\x": false, " https://a.example": false, "https://a.example\n": false,
	} {
		if got := isIssuer(text); got != want {
			t.Errorf("isIssuer(%q) = %v", text, got)
		}
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "issuer: https://file.example\ndata: from-file\ninsecure_http: [api]\nkeys: {master: {file: m}}\ntokens: {lifetime: 5m}\n")
	got, err := Load(path, []string{
		"COUNTERSIGN_ISSUER=https://first.example", "COUNTERSIGN_ISSUER=https://env.example", "COUNTERSIGN_DATA=from-env",
		"COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_INSECURE_HTTP=", "COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1",
		"COUNTERSIGN_KEYS_MASTER_FILE=", "COUNTERSIGN_TOKENS_LIFETIME=10m", "COUNTERSIGN_EXPOSE_REASONS=true", "COUNTERSIGN_OPS_PPROF=true",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != "https://env.example" || got.Data != filepath.Join(here, "from-env") || got.Listen.API != "127.0.0.1:0" ||
		len(got.InsecureHTTP) != 0 || fmt.Sprint(got.TrustedProxies) != "[10.0.0.0/8 192.0.2.1/32]" || got.Tokens.Lifetime != 10*time.Minute ||
		got.Keys.MasterFileConfigured || got.Keys.MasterFile != filepath.Join(here, "from-env", "master.key") || !got.ExposeReasons || !got.Ops.Pprof {
		t.Errorf("got %+v", got)
	}
}

func TestEnvironmentIsAsStrictAsTheFile(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{
		"COUNTERSIGN_ISSUER=http://auth.example.com", "COUNTERSIGN_TOKENS_LIFETIME=900", "COUNTERSIGN_LISTEN_API=8440",
		"COUNTERSIGN_EXPOSE_REASONS=1", "COUNTERSIGN_EXPOSE_REASONS=True", "COUNTERSIGN_INSECURE_HTTP=all",
		"COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8,,", "COUNTERSIGN_TLS_CERT_FILE=a", "COUNTERSIGN_LISTEN_API=0.0.0.0:8440",
		"COUNTERSIGN_KEYS_MASTER_ENV=NOT_THERE",
	} {
		_, err := Load("", []string{pair})
		name, text, _ := strings.Cut(pair, "=")
		if !errors.Is(err, countersign.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", pair, err)
			continue
		}
		if len(text) > 4 && name != "COUNTERSIGN_KEYS_MASTER_ENV" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes the value: %v", pair, err)
		}
	}
	// A bad value of the file is an error even where the environment has the last word.
	if _, err := Load(write(t, "tokens: {lifetime: 900}"), []string{"COUNTERSIGN_TOKENS_LIFETIME=5m"}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	t.Parallel()
	cfg, err := Load(write(t, "keys: {master: {env: COUNTERSIGN_MASTER}}\ndata: ${env:COUNTERSIGN_FOLDER}"), []string{
		"COUNTERSIGN_LISTEN_APi=x", "COUNTERSIGN_ZZZZZZZZ=x", "COUNTERSIGN_MASTER=abc", "COUNTERSIGN_FOLDER=d", "COUNTERSIGN_SERVER=x",
		"COUNTERSIGN_CLIENT_ID=x", "COUNTERSIGN_CLIENT_SECRET=csk_x", "COUNTERSIGN_CLIENT_SECRET_FILE=x", "COUNTERSIGN_CONFIG=x",
		"OTHER=x", "COUNTERSIGN=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 2 || !strings.Contains(cfg.Warnings[0], "COUNTERSIGN_LISTEN_API?") || strings.Contains(cfg.Warnings[1], "mean") {
		t.Errorf("got %q", cfg.Warnings)
	}
}

func TestSubstitution(t *testing.T) {
	t.Parallel()
	path := write(t, "issuer: https://${env:HOST}:${env:PORT}\ndata: /x/${env:NESTED}\ntrusted_proxies: [\"${env:NET}\"]\nops: {pprof: \"${env:YES}\"}\n")
	cfg, err := Load(path, []string{"HOST=a.example", "PORT=1", "NESTED=${env:HOST}", "NET=10.0.0.0/8", "YES=true"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Issuer != "https://a.example:1" || cfg.Data != "/x/${env:HOST}" || len(cfg.TrustedProxies) != 1 || !cfg.Ops.Pprof {
		t.Errorf("got %+v", cfg)
	}
}

func TestMasterKeyNeverPrints(t *testing.T) {
	t.Parallel()
	cfg, err := Load(write(t, "keys: {master: {env: MK}}"), []string{"MK=very-secret"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Keys.MasterText.Reveal() != "very-secret" || cfg.Keys.MasterFile != "" || cfg.Keys.MasterFileConfigured {
		t.Errorf("got %+v", cfg.Keys)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if strings.Contains(fmt.Sprintf(verb, cfg), "very-secret") {
			t.Errorf("%s prints the master key", verb)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	good := map[string]time.Duration{
		"15m": 15 * time.Minute, "90d": 90 * day, "1d12h": 36 * time.Hour, "0s": 0, "1.5h": 90 * time.Minute, "1h30m": 90 * time.Minute, "106751d": 106751 * day,
	}
	for text, want := range good {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "0", "900", "1.5", "d", "-1h", "+1h", "-1d", "1d-1h", "1.5d", "12h1d", "1d2d", "1 d", "1D", "1w", "106752d", "106751d24h", "99999999999999999999d", "1dd", "d1h",
	} {
		if got, err := ParseDuration(text); !errors.Is(err, countersign.Invalid) {
			t.Errorf("ParseDuration(%q) = %s, %v", text, got, err)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"15m", "90d", "1d12h", "-1h", "d", "106752d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %s", text, d)
		}
	})
}

// TestRuleB8: replicas that share a database need one master key, so none is made.
func TestRuleB8PostgreSQLNeedsAMasterKey(t *testing.T) {
	t.Parallel()
	const store = "store: postgres://countersign:sEcReT@db/countersign\n"
	for name, tt := range map[string]struct {
		content string
		environ []string
		good    bool
	}{
		"none":          {store, nil, false},
		"file":          {store + "keys: {master: {file: m.key}}", nil, true},
		"environment":   {store + "keys: {master: {env: MASTER}}", []string{"MASTER=x"}, true},
		"previous only": {store + "keys: {master: {previous_file: m.key}}", nil, false},
		"by variable":   {"", []string{"COUNTERSIGN_STORE=postgres://db/c"}, false},
		"not a URL":     {"store: db.sqlite\nkeys: {master: {file: m.key}}", nil, false},
		"no database":   {"store: postgres://db\nkeys: {master: {file: m.key}}", nil, false},
		"mysql":         {"store: mysql://db/c\nkeys: {master: {file: m.key}}", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, tt.content), tt.environ)
			if (err == nil) != tt.good {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "sEcReT") {
				t.Error("the error quotes the password")
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"15", "1000001", "-1", "1.5", "1e3", "0x10", "true", "'100 '", "[100]", "{}", "+100"} {
		if _, err := Load(write(t, "limits: {connections: "+bad+"}"), nil); err == nil {
			t.Errorf("connections: %s was taken", bad)
		}
	}
	for _, good := range []string{"16", "'100'"} {
		if _, err := Load(write(t, "limits: {connections: "+good+"}"), nil); err != nil {
			t.Errorf("connections: %s: %v", good, err)
		}
	}
}
