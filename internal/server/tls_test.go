package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/server"
)

// writeCertificate makes a self-signed certificate for 127.0.0.1 with a serial number.
func writeCertificate(t *testing.T, folder string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "countersign test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	write(t, filepath.Join(folder, "tls.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

func TestTLSListenerReloadsItsCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := writeCertificate(t, folder, 1)
	r := start(t, "COUNTERSIGN_TLS_CERT_FILE="+filepath.Join(folder, "tls.crt"), "COUNTERSIGN_TLS_KEY_FILE="+filepath.Join(folder, "tls.key"))
	if !strings.HasPrefix(r.Issuer(), "https://127.0.0.1:") || r.Issuer() != r.BaseURL() {
		t.Errorf("issuer %s, base URL %s", r.Issuer(), r.BaseURL())
	}
	serial := func(roots *x509.CertPool) int64 {
		t.Helper()
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", r.Addresses().API)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(roots); got != 1 {
		t.Errorf("serial %d, want 1", got)
	}
	r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	secret := r.create(t, "document-service", "parse-service")
	if a := r.token(t, "document-service", secret, "parse-service"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}

	renewed := writeCertificate(t, folder, 2)
	r.clock.advance(server.CertificateAge + time.Millisecond)
	if got := serial(renewed); got != 2 {
		t.Errorf("serial %d after the renewal, want 2", got)
	}
	// A pair that is no pair: the last good one stays.
	write(t, filepath.Join(folder, "tls.crt"), "broken")
	r.clock.advance(server.CertificateAge + time.Millisecond)
	if got := serial(renewed); got != 2 {
		t.Errorf("serial %d after the files broke, want 2", got)
	}
	if !strings.Contains(r.log.String(), "the last good one stays") {
		t.Error("the log says nothing of the broken certificate")
	}

	// TLS 1.1 and plain HTTP get nothing.
	old := &tls.Dialer{Config: &tls.Config{RootCAs: renewed, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} // what an old client offers
	if conn, err := old.DialContext(t.Context(), "tcp", r.Addresses().API); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.Addresses().API+"/.well-known/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.do(t, request); a.status != 400 || strings.Contains(a.text, "keys") {
		t.Errorf("plain HTTP: %d %s", a.status, a.text)
	}
}

func TestTLSFilesThatCanNotBeUsedAreRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeCertificate(t, folder, 1)
	write(t, filepath.Join(folder, "broken.crt"), "broken")
	for _, name := range []string{"missing.crt", "broken.crt", "tls.key"} {
		cfg := load(t, t.TempDir()+"/data", "COUNTERSIGN_TLS_CERT_FILE="+filepath.Join(folder, name), "COUNTERSIGN_TLS_KEY_FILE="+filepath.Join(folder, "tls.key"))
		if _, err := server.New(t.Context(), server.Options{Config: cfg}); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}
