//go:build clients

package s3clients

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/foreign"
)

// domain is below which each bucket is a host.
const domain = "s3.example.test"

// nginxConfig holds the part of it that docs/s3.md shows.
const nginxConfig = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events {}
http {
  log_format forms '$request_method $http_x_amz_content_sha256 $http_x_amz_trailer';
  access_log %[1]s/access.log forms;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
%[2]s
}
`

// TestClientsBehindNginxWithVirtualHosts: TLS ends at nginx, each bucket is a host. Over TLS
// the SDKs send what they do not send over HTTP: checksums in trailers, unsigned bodies.
func TestClientsBehindNginxWithVirtualHosts(t *testing.T) {
	t.Parallel()
	port := foreign.FreePort(t)
	w := overVersityGW(t, fmt.Sprintf("s3: {url: 'https://%[1]s:%[2]s', domain: %[1]s}\ntrusted_proxies: [127.0.0.1/32]\n", domain, port))
	folder := t.TempDir()
	ca := certificate(t, folder)
	shown := strings.NewReplacer("127.0.0.1:8441", strings.TrimPrefix(w.S3, "http://"), "listen 443", "listen 127.0.0.1:"+port, "/etc/nginx/", folder+"/").
		Replace(snippets(t, "nginx")[0].text)
	config := write(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(nginxConfig, folder, shown))
	startNginx(t, folder, config)
	foreign.Reachable(t, "127.0.0.1:"+port)
	proxy := loopbackProxy(t)
	t.Run("clients", func(t *testing.T) { behindNginx(t, w, port, ca, proxy) })
	const want = "PUT STREAMING-UNSIGNED-PAYLOAD-TRAILER x-amz-checksum-"
	if !strings.Contains(string(read(t, filepath.Join(folder, "access.log"))), want) {
		t.Error("no client sent a checksum in a trailer: this test is not about what it says")
	}
}

func behindNginx(t *testing.T, w *world, port, ca, proxy string) {
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := target{url: "https://" + domain + ":" + port, bucket: "documents", as: w.assume(t, "document-writer"), ca: ca, virtual: true, proxy: proxy}
			suite{client: open, prefix: folderOf(name), target: at}.run(t)
			refused(t, open(t, target{url: at.url, bucket: "another", as: at.as, ca: ca, virtual: true, proxy: proxy}), step{Op: "list"}, "AccessDenied")
		})
	}
	t.Run("curl", func(t *testing.T) {
		t.Parallel()
		curl(t, w, port, ca)
	})
}

// curl signs by itself, and is told by --resolve where the host is.
func curl(t *testing.T, w *world, port, ca string) {
	as := w.assume(t, "document-writer")
	file := put(t, filepath.Join(t.TempDir(), "sent"), random(8, 300_000))
	run := func(args ...string) string {
		t.Helper()
		return foreign.Output(t, foreign.Command(t, foreign.Environ(), "curl", append([]string{"-sS", "--fail-with-body", "--cacert", ca, "--aws-sigv4", "aws:amz:us-east-1:s3",
			"-u", as.id + ":" + as.secret, "-H", "X-Amz-Security-Token: " + as.token, "--resolve", "documents." + domain + ":" + port + ":127.0.0.1"}, args...)...))
	}
	at := "https://documents." + domain + ":" + port + "/curl/a.bin"
	run("-H", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "-T", file, at)
	back := filepath.Join(t.TempDir(), "got")
	run("-H", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "-o", back, at)
	sameFile(t, back, file)
}

// startNginx runs nginx until the test ends. It says nothing when it is up.
func startNginx(t *testing.T, folder, config string) {
	t.Helper()
	program := "nginx"
	if _, err := os.Stat("/usr/sbin/nginx"); err == nil {
		program = "/usr/sbin/nginx" // only root has that in its PATH
	}
	foreign.StartQuiet(t, foreign.Command(t, foreign.Environ(), program, "-p", folder, "-e", "stderr", "-c", config))
}

// certificate makes an authority and a certificate of it for the domain; it returns the
// authority's file.
func certificate(t *testing.T, folder string) string {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	save := func(name, kind string, der []byte) string {
		return write(t, filepath.Join(folder, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	authority, server := key(), key()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: domain}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: []string{domain, "*." + domain}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, server.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(server)
	if err != nil {
		t.Fatal(err)
	}
	save("tls.crt", "CERTIFICATE", leafDER)
	save("tls.key", "PRIVATE KEY", keyDER)
	return save("ca.crt", "CERTIFICATE", rootDER)
}

// loopbackProxy takes CONNECT for any host and connects to the same port of loopback: no
// name server knows the test's domain, and who is not root can't change that.
func loopbackProxy(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, port, err := net.SplitHostPort(r.Host)
		if r.Method != http.MethodConnect || err != nil {
			http.Error(w, "CONNECT alone", http.StatusMethodNotAllowed)
			return
		}
		upstream, err := new(net.Dialer).DialContext(r.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = upstream.Close()
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		ctx, cancel := context.WithCancel(context.Background())
		go func() { defer cancel(); _, _ = io.Copy(upstream, buffered) }()
		go func() { defer cancel(); _, _ = io.Copy(client, upstream) }()
		<-ctx.Done()
		_, _ = client.Close(), upstream.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL
}
