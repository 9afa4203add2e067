package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
)

// certificateCheckEvery is how often, at most, the files are looked at.
const certificateCheckEvery = time.Second

// Certificates is a certificate and its key that follow their files: a handshake looks
// at most once a second whether they have changed. A pair that can't be used is logged
// once, and the last good one stays. Safe for concurrent use.
type Certificates struct {
	certFile, keyFile string
	logger            *slog.Logger
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // Unix nanoseconds of the last look

	mu      sync.Mutex // held by the one handshake that looks
	loaded  fileStamps // of the pair in current
	problem string     // what was logged about the newest files; "" = all is well
}

// fileStamps tells versions of the two files apart.
type fileStamps struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// NewCertificates loads the pair. A nil logger discards; a nil now is time.Now.
//
// Errors: [countersign.Invalid] when the files can't be read or don't fit together.
func NewCertificates(certFile, keyFile string, logger *slog.Logger, now func() time.Time) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, logger: logger, now: now}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if err := c.load(); err != nil {
		return nil, countersign.WrapError(countersign.Invalid, "",
			fmt.Sprintf("tls: certificate %s with key %s can't be used", certFile, keyFile), err)
	}
	c.checked.Store(c.now().UnixNano())
	return c, nil
}

// TLSConfig returns a configuration that serves the pair with TLS 1.2 or newer.
func (c *Certificates) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate}
}

// GetCertificate is for tls.Config.GetCertificate. It never fails.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ctx := context.Background()
	if hello != nil && hello.Context() != nil {
		ctx = hello.Context()
	}
	c.refresh(ctx)
	return c.current.Load(), nil
}

func (c *Certificates) refresh(ctx context.Context) {
	now := c.now().UnixNano()
	if age := now - c.checked.Load(); age >= 0 && age < int64(certificateCheckEvery) {
		return
	}
	if !c.mu.TryLock() {
		return // another handshake is looking; this one takes what there is
	}
	defer c.mu.Unlock()
	c.checked.Store(now)
	stamps, err := c.stat()
	if err == nil && stamps == c.loaded && c.problem == "" {
		return
	}
	if err == nil {
		err = c.load()
	}
	if err != nil {
		if c.problem != err.Error() {
			c.problem = err.Error()
			c.logger.ErrorContext(ctx, "tls: the new certificate can't be used, the last good one stays",
				slog.String("cert_file", c.certFile), slog.String("key_file", c.keyFile), slog.String("error", c.problem))
		}
		return
	}
	c.problem = ""
	c.logger.InfoContext(ctx, "tls: certificate loaded", slog.String("cert_file", c.certFile),
		slog.Time("not_after", c.current.Load().Leaf.NotAfter))
}

// load reads the pair. The stamps are taken first: a file that changes meanwhile is
// loaded again at the next look.
func (c *Certificates) load() error {
	stamps, err := c.stat()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load key pair: %w", err)
	}
	c.current.Store(&pair)
	c.loaded = stamps
	return nil
}

func (c *Certificates) stat() (fileStamps, error) {
	cert, err := os.Stat(c.certFile)
	if err != nil {
		return fileStamps{}, fmt.Errorf("look at the certificate: %w", err)
	}
	key, err := os.Stat(c.keyFile)
	if err != nil {
		return fileStamps{}, fmt.Errorf("look at the key: %w", err)
	}
	return fileStamps{
		certTime: cert.ModTime(), certSize: cert.Size(),
		keyTime: key.ModTime(), keySize: key.Size(),
	}, nil
}
