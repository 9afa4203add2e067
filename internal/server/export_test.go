package server

import (
	"io/fs"
	"net/http"
	"net/netip"
	"time"

	"github.com/countersign/countersign/internal/config"
)

// Reads counts the SELECT statements that the server has sent.
func (s *Server) Reads() int64 { return s.store.Reads() }

// DrainTimeout is how long a stop waits for requests.
const DrainTimeout = drainTimeout

// CheckPrivate is the rule for the data folder on what os.Stat says of it.
func CheckPrivate(path string, info fs.FileInfo) error { return checkPrivate(path, info) }

// CertificateAge is how old a look at the certificate may be.
const CertificateAge = time.Second

// Private is the rule for bodies that nobody signed.
func Private(trusted []netip.Prefix, r *http.Request) bool {
	return (&Server{cfg: config.Config{TrustedProxies: trusted}}).private(r)
}
