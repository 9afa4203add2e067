package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/web"
)

// pairFiles are a certificate and its key on disk. Each write gets a newer mtime, as
// real ones do.
type pairFiles struct {
	cert, key string
	written   time.Time
}

func newPairFiles(t *testing.T) *pairFiles {
	t.Helper()
	dir := t.TempDir()
	return &pairFiles{cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), written: time.Now().Add(-time.Hour)}
}

func (p *pairFiles) put(t *testing.T, path string, content []byte) {
	t.Helper()
	p.written = p.written.Add(time.Second)
	if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chtimes(path, p.written, p.written)); err != nil {
		t.Fatal(err)
	}
}

func (p *pairFiles) write(t *testing.T, name string) {
	t.Helper()
	cert, key := newPair(t, name)
	p.put(t, p.cert, cert)
	p.put(t, p.key, key)
}

func newPair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func servedName(t *testing.T, c *web.Certificates) string {
	t.Helper()
	got, err := c.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || got == nil {
		t.Fatalf("no certificate: %v", err)
	}
	return got.Leaf.Subject.CommonName
}

func TestCertificatesFollowTheirFiles(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	c := newClock()
	files := newPairFiles(t)
	files.write(t, "first")
	certificates, err := web.NewCertificates(files.cert, files.key, log.Logger(slog.LevelInfo), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what, want string) {
		t.Helper()
		if got := servedName(t, certificates); got != want {
			t.Errorf("%s: %s is served, want %s", what, got, want)
		}
	}
	files.write(t, "second")
	expect("within a second", "first")
	c.advance(time.Second)
	expect("after a second", "second")

	// A renewal writes two files; between them the pair doesn't fit.
	cert, key := newPair(t, "third")
	files.put(t, files.cert, cert)
	c.advance(time.Second)
	expect("half written", "second")
	c.advance(time.Second)
	expect("still half written", "second")
	if n := strings.Count(log.String(), "can't be used"); n != 1 {
		t.Errorf("%d lines about one problem: %s", n, &log)
	}
	files.put(t, files.key, key)
	c.advance(time.Second)
	expect("whole", "third")

	for what, spoil := range map[string]func(){
		"garbage": func() { files.put(t, files.cert, []byte("garbage")) },
		"empty":   func() { files.put(t, files.key, nil) },
		"gone":    func() { _ = os.Remove(files.cert) },
	} {
		spoil()
		c.advance(time.Second)
		expect(what, "third")
	}
	files.write(t, "fourth")
	c.advance(-time.Hour) // a clock that was set back is no reason to stop looking
	expect("clock set back", "fourth")
	if strings.Contains(log.String(), "PRIVATE") || strings.Contains(log.String(), strings.Split(string(key), "\n")[1]) {
		t.Error("the log holds the key")
	}
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	files := newPairFiles(t)
	cert, _ := newPair(t, "a")
	_, key := newPair(t, "b")
	for name, content := range map[string][2][]byte{
		"don't fit": {cert, key}, "no certificate": {key, key}, "no key": {cert, cert}, "empty": {nil, nil},
	} {
		files.put(t, files.cert, content[0])
		files.put(t, files.key, content[1])
		if _, err := web.NewCertificates(files.cert, files.key, nil, nil); !errors.Is(err, countersign.Invalid) || !strings.Contains(err.Error(), files.cert) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := web.NewCertificates(files.cert+"x", files.key, nil, nil); !errors.Is(err, countersign.Invalid) {
		t.Errorf("missing: %v", err)
	}
}
