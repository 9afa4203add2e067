package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
)

// write puts content into a config file in a folder of its own.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "countersign.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadWithoutAnything(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Data:   filepath.Join(here, "countersign-data"),
		Folder: here,
		Listen: Listen{API: "127.0.0.1:8440", S3: "127.0.0.1:8441", Ops: "127.0.0.1:8449"},
		Keys:   Keys{MasterFile: filepath.Join(here, "countersign-data", "master.key"), RotationPeriod: 30 * day},
		Tokens: Tokens{Lifetime: 15 * time.Minute, SigningAlgorithm: "ES256"},

		AccountID:  "000000000000",
		STS:        STS{MaxSessionDuration: 12 * time.Hour},
		Revocation: Revocation{MaxStaleness: 10 * time.Minute},
		Audit:      Audit{SpoolBytes: 256 << 20},
		IAM:        IAM{Mode: "forward"},
		Limits: Limits{
			Connections: 16384, Concurrency: 4096, RequestsPerAddress: 2000, RequestsPerIdentity: 2000,
			HeaderBytes: 32 << 10, BodyBytes: 16 << 20,
			HeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(countersign.Secret{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

func TestLoadEveryKey(t *testing.T) {
	t.Parallel()
	path := write(t, `
# everything that there is
issuer: https://auth.example.com/c
data: ./state
listen: {api: 0.0.0.0:8440, s3: ":8441", ops: "[::1]:9"}
insecure_http: [api, s3]
trusted_proxies:
  - 10.0.0.0/8
  - 192.0.2.7
  - 2001:db8::/32
tls:
  cert_file: tls.crt
  key_file: /etc/tls.key
store: postgres://countersign@db/countersign
keys: {master: {file: 'my master.key', previous_file: old.key}, rotation_period: 7d}
tokens: {lifetime: 5m, signing_algorithm: EdDSA}
account_id: "123456789012"
sts: {server_id: sts, max_session_duration: 1h, aws_endpoints: ["https://vpce.example.com", "http://127.0.0.1:5000"]}
revocation: {max_staleness: 1m, when_stale: serve}
audit: {on_store_outage: refuse, spool_bytes: 1048576}
limits:
  {connections: 100, concurrency: 200, requests_per_address: 0, requests_per_identity: 7, header_bytes: 4096, body_bytes: 65536,
   header_timeout: 1s, read_timeout: 2s, write_timeout: 40s, idle_timeout: 3s}
s3: {url: "https://s3.example.com:9000", domain: s3.example.com}
resources: [./resources, /etc/countersign/more.yaml]
allowed_paths: [./data, /srv/objects/]
iam: {mode: s2s}
directories: {local: true, cognito: [us-east-1_AbCdEf, us-gov-west-1_x1], cognito_endpoint: "http://127.0.0.1:5000"}
expose_reasons: true
ops: {pprof: true}
`)
	dir := filepath.Dir(path)
	got, err := Load(path, []string{"HOME=/", "PATH"})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Issuer: "https://auth.example.com/c", Data: filepath.Join(dir, "state"),
		Folder: dir,
		Listen: Listen{API: "0.0.0.0:8440", S3: ":8441", Ops: "[::1]:9"}, InsecureHTTP: []string{"api", "s3"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		TLS:            TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: "/etc/tls.key"},
		Keys: Keys{MasterFile: filepath.Join(dir, "my master.key"), MasterFileConfigured: true,
			PreviousMasterFile: filepath.Join(dir, "old.key"), RotationPeriod: 7 * day},
		Tokens:     Tokens{Lifetime: 5 * time.Minute, SigningAlgorithm: "EdDSA"},
		AccountID:  "123456789012",
		STS:        STS{ServerID: "sts", MaxSessionDuration: time.Hour, AWSEndpoints: []string{"https://vpce.example.com", "http://127.0.0.1:5000"}},
		Store:      countersign.NewSecret("postgres://countersign@db/countersign"),
		Revocation: Revocation{MaxStaleness: time.Minute, ServeStale: true},
		Audit:      Audit{RefuseInOutage: true, SpoolBytes: 1 << 20},
		Limits: Limits{
			Connections: 100, Concurrency: 200, RequestsPerIdentity: 7, HeaderBytes: 4096, BodyBytes: 65536,
			HeaderTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 40 * time.Second, IdleTimeout: 3 * time.Second,
		},
		S3:           S3{URL: "https://s3.example.com:9000", Domain: "s3.example.com"},
		Resources:    []string{filepath.Join(dir, "resources"), "/etc/countersign/more.yaml"},
		AllowedPaths: []string{filepath.Join(dir, "data"), "/srv/objects"},

		IAM:         IAM{Mode: "s2s"},
		Directories: Directories{Local: true, Cognito: []string{"us-east-1_AbCdEf", "us-gov-west-1_x1"}, CognitoEndpoint: "http://127.0.0.1:5000"},

		ExposeReasons: true, Ops: Ops{Pprof: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(countersign.Secret{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

func TestLoadGoodFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty":             "",
		"only comments":     "# a\n  # b\n",
		"document mark":     "---\ntokens: {lifetime: 5m}\n",
		"empty section":     "tls:\nkeys: {master: }\n",
		"nothing for a key": "issuer:\ninsecure_http:\n",
		"windows lines":     "tokens:\r\n  lifetime: 5m\r\n",
		"quoted key":        "\"issuer\": 'https://a.example'\n",
		"localhost":         "listen: {api: 'localhost:0', ops: 'localhost:0'}",
		"ops anywhere":      "listen: {ops: ':8449'}", // RULES G8: plain on any address
		"http on loopback":  "issuer: http://127.0.0.1:8440",
		"http on ::1":       "issuer: http://[::1]:8440",
		"days":              "tokens: {lifetime: 0d5m}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Load(write(t, content), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

type badFile struct {
	name, content string
	reason        countersign.Reason
	says          string // place and key, which the user needs
}

// badFiles are refused, with the reason and the place.
func badFiles() []badFile {
	const field, value, missing, doubled = countersign.ReasonFieldUnknown, countersign.ReasonParameterInvalid,
		countersign.ReasonParameterMissing, countersign.ReasonParameterDuplicated
	return []badFile{
		{"unknown key", "a: 1\n", field, `:1:1: unknown key "a"`},
		{"misspelt key", "\ntokns: {}\n", field, `:2:1: unknown key "tokns"; did you mean "tokens"?`},
		{"misspelt below", "tokens:\n  lifetme: 5m\n", field, `:2:3: unknown key "tokens.lifetme"; did you mean "tokens.lifetime"?`},
		{"wrong section", "lifetime: 5m\n", field, `did you mean "tokens.lifetime"?`},
		{"capitals", "Issuer: https://a.example", field, `did you mean "issuer"?`},
		{"dotted key", "tokens.lifetime: 5m", field, `unknown key "tokens.lifetime"`},
		{"number as key", "1: 2", field, ":1:1:"},
		{"complex key", "? [a]\n: b", "", ""},
		{"merge", "<<: {issuer: https://a.example}", field, ":1:1:"},
		{"doubled", "issuer: https://a.example\nissuer: https://a.example\n", doubled, ":2:1:"},
		{"doubled section", "tls: {}\ntls: {}\n", doubled, ":2:1:"},
		{"doubled below", "ops: {pprof: true, pprof: false}\n", doubled, ":1:20:"},
		{"anchor", "issuer: &a https://a.example", value, ":1:9: issuer"},
		{"alias", "data: x\nissuer: *a", value, ":2:9: issuer"},
		{"tag", "data: !!str x", value, ":1:7: data"},
		{"anchored section", "tls: &a {}", value, "tls must be keys"},
		{"two documents", "data: a\n---\ndata: b\n", "", "one YAML document"},
		{"directive", "%YAML 1.2\n---\ndata: a\n", "", "one YAML document"},
		{"list at the top", "- a", value, ":1:1: the file must be keys"},
		{"text at the top", "hello", value, ":1:1: the file must be keys"},
		{"not YAML", "tls: {", "", ":1:"},
		{"not closed", "data: 'x", "", ":1:7:"},
		{"tabs", "tls:\n\tcert_file: x", "", ":2:"},
		{"text for a section", "tls: x", value, ":1:6: tls must be keys"},
		{"number for text", "data: 5", value, ":1:7: data must be the path of a folder; this is a number"},
		{"boolean for text", "issuer: true", value, "this is true or false"},
		{"list for text", "data: [a]", value, "this is a list"},
		{"keys for text", "data: {a: b}", value, "this is keys with values"},
		{"block for text", "data: |\n  a\n", value, "this is a block of text"},
		{"text for boolean", "expose_reasons: yes", value, "true or false"},
		{"number for boolean", "expose_reasons: 1", value, "true or false"},
		{"text for list", "insecure_http: api", value, "this is text"},
		{"number in list", "insecure_http: [1]", value, "insecure_http"},
		{"nothing in list", "insecure_http: [~]", value, "insecure_http"},
		{"bare number", "tokens: {lifetime: 900}", value, ":1:20: tokens.lifetime must be a duration"},
		{"bare number in quotes", "tokens: {lifetime: '900'}", value, "tokens.lifetime"},
		{"short lifetime", "tokens: {lifetime: 59s}", value, "tokens.lifetime"},
		{"long lifetime", "tokens: {lifetime: 61m}", value, "tokens.lifetime"},
		{"uneven lifetime", "tokens: {lifetime: 90.5s}", value, "tokens.lifetime"},
		{"algorithm", "tokens: {signing_algorithm: HS256}", value, "ES256, RS256 or EdDSA"},
		{"algorithm none", "tokens: {signing_algorithm: none}", value, "signing_algorithm"},
		{"algorithm lower case", "tokens: {signing_algorithm: es256}", value, "signing_algorithm"},
		{"port only", "listen: {api: 8440}", value, "listen.api"},
		{"no port", "listen: {api: 127.0.0.1}", value, "listen.api"},
		{"high port", "listen: {api: '127.0.0.1:65536'}", value, "listen.api"},
		{"named port", "listen: {api: '127.0.0.1:http'}", value, "listen.api"},
		{"host name", "listen: {api: 'example.com:80'}", value, "listen.api"},
		{"same address", "listen: {api: '127.0.0.1:8449'}", value, "same address"},
		{"s3 and api", "listen: {s3: '127.0.0.1:8440'}", value, "same address"},
		{"s3 and ops", "listen: {s3: '127.0.0.1:8449'}", value, "same address"},
		{"gateway over http", "s3: {url: 'http://s3.example.com'}", value, "s3.url"},
		{"gateway with a path", "s3: {url: 'https://s3.example.com/x'}", value, "s3.url"},
		{"gateway with a slash", "s3: {url: 'https://s3.example.com/'}", value, "s3.url"},
		{"domain is an address", "s3: {domain: 127.0.0.1}", value, "s3.domain"},
		{"domain is a URL", "s3: {domain: 'https://s3.example.com'}", value, "s3.domain"},
		{"domain with a port", "s3: {domain: 's3.example.com:80'}", value, "s3.domain"},
		{"domain with a wildcard", "s3: {domain: '*.s3.example.com'}", value, "s3.domain"},
		{"domain is one word", "s3: {domain: com}", value, "s3.domain"},
		{"domain in capitals", "s3: {domain: S3.example.com}", value, "s3.domain"},
		{"tls with http gateway", "s3: {url: 'http://127.0.0.1:1'}\ntls: {cert_file: a, key_file: b}", value, "s3.url is http"},
		{"everything allowed", "allowed_paths: [/]", value, "allowed_paths"},
		{"everything allowed, in dots", "allowed_paths: [/srv/..]", value, "allowed_paths"},
		{"empty allowed path", "allowed_paths: ['']", value, "allowed_paths"},
		{"proxies: name", "trusted_proxies: [proxy]", value, "trusted_proxies"},
		{"proxies: everybody", "trusted_proxies: [0.0.0.0/0]", value, "trusted_proxies"},
		{"proxies: host bits", "trusted_proxies: [10.0.0.1/8]", value, "trusted_proxies"},
		{"proxies: zone", "trusted_proxies: ['fe80::1%eth0']", value, "trusted_proxies"},
		{"certificate alone", "tls: {cert_file: a}", missing, "tls.cert_file needs tls.key_file"},
		{"key alone", "tls: {key_file: a}", missing, "tls.key_file needs tls.cert_file"},
		{"tls with http issuer", "issuer: http://127.0.0.1:1\ntls: {cert_file: a, key_file: b}", value, "issuer is http"},
		{"two master keys", "keys: {master: {file: a, env: B}}", value, "exclude each other"},
		{"master variable missing", "keys: {master: {env: NOT_THERE}}", missing, "NOT_THERE"},
		{"master variable empty", "keys: {master: {env: EMPTY}}", missing, "EMPTY"},
		{"master variable's name", "keys: {master: {env: 'A=B'}}", value, "keys.master.env"},
		{"env not set", "data: ${env:NOT_THERE}", missing, "NOT_THERE"},
		{"env not closed", "data: ${env:NOT_THERE", value, "write ${env:NAME}"},
		{"env without name", "data: ${env:}", value, "write ${env:NAME}"},
		{"empty path", "data: ''", value, "data must be"},
		{"account as a number", "account_id: 123456789012", value, "in quotes"},
		{"short account", "account_id: '12345678901'", value, "account_id"},
		{"account with letters", "account_id: '12345678901a'", value, "account_id"},
		{"server id with a blank", "sts: {server_id: 'a b'}", value, "sts.server_id"},
		{"server id with a comma", "sts: {server_id: 'a,b'}", value, "sts.server_id"},
		{"short sessions", "sts: {max_session_duration: 14m}", value, "sts.max_session_duration"},
		{"long sessions", "sts: {max_session_duration: 13h}", value, "sts.max_session_duration"},
		{"endpoint over http", "sts: {aws_endpoints: ['http://sts.example.com']}", value, "sts.aws_endpoints"},
		{"endpoint with a path", "sts: {aws_endpoints: ['https://sts.example.com/x']}", value, "sts.aws_endpoints"},
		{"endpoint with a user", "sts: {aws_endpoints: ['https://u@sts.example.com']}", value, "sts.aws_endpoints"},
		{"endpoint with a query", "sts: {aws_endpoints: ['https://sts.example.com?x']}", value, "sts.aws_endpoints"},
		{"byte order mark", "\xef\xbb\xbfdata: a", "", "byte order mark"},
		{"UTF-16", "\xff\xfed\x00a\x00", "", "UTF-8"},
		{"latin-1", "data: caf\xe9", "", "UTF-8"},
		{"NUL", "data: a\x00b", "", ":1:8: a control character"},
		{"too large", strings.Repeat("# comment\n", 7000), "", "larger than"},
		{"long line", "# " + strings.Repeat("x", maxLineBytes), "", ":1: a line"},
		{"deep", strings.Repeat("[\n", 5000), "", ""},
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range badFiles() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, test.content)
			_, err := Load(path, []string{"EMPTY="})
			if !errors.Is(err, countersign.Invalid) {
				t.Fatalf("got %v, want an Invalid error", err)
			}
			var e *countersign.Error
			if errors.As(err, &e) && e.Reason != test.reason {
				t.Errorf("reason %q, want %q", e.Reason, test.reason)
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
}

func TestLoadUnreadableFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, path := range map[string]string{
		"missing": filepath.Join(folder, "no.yaml"), "folder": folder, "below a file": filepath.Join(write(t, ""), "x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Load(path, nil); !errors.Is(err, countersign.Invalid) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A key of a later version is refused and not ignored: whoever writes it relies on it.
func TestLaterKeysAreRefused(t *testing.T) {
	t.Parallel()
	for _, later := range laterKeys {
		var content, closing string
		for _, part := range strings.Split(later, ".") {
			content += "{" + part + ": "
			closing += "}"
		}
		off, content := content+`""`+closing, content+"x"+closing
		t.Run(later, func(t *testing.T) {
			t.Parallel()
			if _, err := Load(write(t, off), nil); err != nil {
				t.Errorf("switched off: got %v", err)
			}
			if _, err := Load("", []string{variable(later) + "="}); err != nil {
				t.Errorf("switched off by the environment: got %v", err)
			}
			if _, err := Load(write(t, content), nil); !errors.Is(err, countersign.Unsupported) {
				t.Errorf("file: got %v", err)
			}
			if _, err := Load("", []string{variable(later) + "=x"}); !errors.Is(err, countersign.Unsupported) {
				t.Errorf("environment: got %v", err)
			}
		})
	}
	if _, err := Load("", []string{"COUNTERSIGN_KEYS_MASTER_AWS_KMS_REGION=x"}); !errors.Is(err, countersign.Unsupported) {
		t.Errorf("below a later section: got %v", err)
	}
}

// docs/config.md names every key, and only keys that there are.
func TestDocumentationNamesEveryKey(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented[name] = true
		}
	}
	for _, k := range keyTable {
		if !documented[k.path] {
			t.Errorf("docs/config.md lacks %s", k.path)
		}
		delete(documented, k.path)
	}
	for name := range documented {
		t.Errorf("docs/config.md has %s, which is no key", name)
	}
	_, example, _ := strings.Cut(string(content), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := Load(write(t, example), nil); err != nil {
		t.Errorf("the example of docs/config.md: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "issuer: https://a.example\n", "listen: {api: 127.0.0.1:0}\ntokens:\n  lifetime: 15m\n", "a: &a [*a]", "<<: {}",
		"data: ${env:A}${env:B", "? a\n: b", "- - -", "tls: {cert_file: !!str a}", "data: |\n  x\n", "\"a\\u0000\": 1", "%YAML 1.1\n---\n...",
	} {
		f.Add([]byte(seed), "15m")
	}
	f.Fuzz(func(t *testing.T, content []byte, text string) {
		if len(content) > 2048 {
			return // the parser is slow on deep nesting; readFile bounds it
		}
		l := newLoader("fuzz.yaml", []string{"A=b", "COUNTERSIGN_TOKENS_LIFETIME=" + text, "COUNTERSIGN_ISSUER=" + text, "COUNTERSIGN_TRUSTED_PROXIES=" + text})
		err := l.parseFile(content)
		if err == nil {
			err = l.applyEnvironment()
		}
		if err == nil {
			err = l.finish()
		}
		if err != nil && !errors.Is(err, countersign.Invalid) && !errors.Is(err, countersign.Unsupported) {
			t.Errorf("error without a code: %v", err)
		}
		if err == nil && (l.cfg.Tokens.Lifetime < time.Minute || l.cfg.Tokens.Lifetime > time.Hour) {
			t.Errorf("lifetime %s", l.cfg.Tokens.Lifetime)
		}
	})
}
