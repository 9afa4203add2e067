package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"
)

// Defaults of [Config].
const (
	DefaultTimeout      = 5 * time.Second
	DefaultMaxBodyBytes = 256 << 10
	maxHeaderBytes      = 64 << 10
)

// Config of a client. The zero value is the strict client.
type Config struct {
	// AllowPrivateAddresses also lets it dial RFC 1918, CGNAT, ULA and loopback
	// addresses. Link-local, metadata and the like stay forbidden.
	AllowPrivateAddresses bool
	// Timeout bounds one exchange from dialling to the last byte of the body;
	// 0 = 5 seconds. There is no unbounded form.
	Timeout time.Duration
	// MaxBodyBytes bounds the body of an answer; 0 = 256 KiB. There is no unbounded
	// form.
	MaxBodyBytes int64
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Resolver for DNS; nil = the system's. Its answers are not trusted: addresses
	// are judged when they are dialled.
	Resolver *net.Resolver
}

// New returns a guarded client, to be kept and shared: it pools connections. It is
// safe for concurrent use. Call CloseIdleConnections when it is no longer needed.
func New(cfg Config) *http.Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxBodyBytes <= 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	base := &http.Transport{
		Proxy:       nil, // never from the environment
		DialContext: dialBy(dialRule{allowPrivate: cfg.AllowPrivateAddresses}, cfg.Timeout, cfg.Resolver),
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    cfg.RootCAs,
		},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is bounded is what is read
		MaxResponseHeaderBytes: maxHeaderBytes,
		TLSHandshakeTimeout:    cfg.Timeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
	}
	return &http.Client{
		Transport: &guard{base: base, maxBody: cfg.MaxBodyBytes},
		Timeout:   cfg.Timeout,
		// The guard has refused redirects already; this is for a 3xx it can't see.
		CheckRedirect: func(*http.Request, []*http.Request) error { return ErrRedirect },
	}
}

func dialBy(rule dialRule, timeout time.Duration, resolver *net.Resolver) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		// One dialler a call: the verdict depends on the host as it was written.
		dialer := net.Dialer{
			Timeout:   timeout,
			KeepAlive: 30 * time.Second,
			Resolver:  resolver,
			Control:   control(host, rule),
		}
		return dialer.DialContext(ctx, network, address)
	}
}
