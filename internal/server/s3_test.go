package server_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/server"
)

// The s3 listener answers in S3's words, and its folder is served to whoever the bucket is
// open to.
func TestS3Listener(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	folder := t.TempDir()
	documents := filepath.Join(folder, "public")
	if err := os.Mkdir(documents, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "buckets.yaml")
	if err := os.WriteFile(file, []byte("kind: Bucket\nname: public\nanonymous: true\norigin: {dir: "+documents+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startIn(t, data, "COUNTERSIGN_RESOURCES="+file, "COUNTERSIGN_ALLOWED_PATHS="+folder)
	if err := os.WriteFile(filepath.Join(documents, "a.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://" + r.Addresses().S3
	if a := r.get(t, url+"/public/a.txt"); a.status != 200 || a.text != "hello" {
		t.Errorf("%d %s", a.status, a.text)
	}
	for _, path := range []string{"/", "/public", "/public/no.txt", "/other/a.txt", "/oauth2/token", "/.well-known/jwks.json"} {
		if a := r.get(t, url+path); a.status != 403 && a.status != 400 || !strings.Contains(a.text, "<Error><Code>") {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	if a := r.get(t, "http://"+r.Addresses().Ops+"/metrics"); !strings.Contains(a.text, `listener="s3",route="GetObject"`) {
		t.Error("no metrics by operation")
	}
	if a := r.get(t, r.BaseURL()+"/public/a.txt"); a.status != 404 {
		t.Errorf("the api listener serves objects: %d", a.status)
	}
}

// Who may send a body that the signature says nothing of: over TLS or from this machine.
func TestRuleF4WhereBodiesNeedNoSignature(t *testing.T) {
	t.Parallel()
	proxy := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.1/32")}
	for _, tt := range []struct {
		name, peer string
		tls        bool
		proto      []string
		want       bool
	}{
		{"TLS", "198.51.100.1:1", true, nil, true},
		{"plain", "198.51.100.1:1", false, nil, false},
		{"plain, and it says otherwise", "198.51.100.1:1", false, []string{"https"}, false},
		{"loopback", "127.0.0.9:1", false, nil, true},
		{"loopback in IPv6", "[::1]:1", false, nil, true},
		{"loopback of IPv4 in IPv6", "[::ffff:127.0.0.1]:1", false, nil, true},
		{"a proxy with TLS", "192.0.2.7:1", false, []string{"https"}, true},
		{"a proxy without", "192.0.2.7:1", false, []string{"http"}, false},
		{"a proxy that says nothing", "192.0.2.7:1", false, nil, false},
		{"a proxy that says both", "192.0.2.7:1", false, []string{"https", "http"}, false},
		{"a proxy on this machine without TLS", "127.0.0.1:1", false, []string{"http"}, false},
		{"a proxy on this machine with TLS", "127.0.0.1:1", false, []string{"https"}, true},
		{"a proxy on this machine that nobody trusts, without TLS", "127.0.0.2:1", false, []string{"http"}, false},
		{"a proxy that comes over TLS, and its client did not", "192.0.2.7:1", true, []string{"http"}, false},
		{"nobody", "", false, nil, false},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if tt.proto != nil {
			r.Header["X-Forwarded-Proto"] = tt.proto
		}
		if got := server.Private(proxy, r); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
