package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign"
)

// Defaults of [StreamConfig].
const (
	DefaultDialTimeout   = 5 * time.Second
	DefaultHeaderTimeout = 60 * time.Second
	maxIdleConns         = 1024
	// streamBufferBytes is what a connection reads at a time at least. Bodies that are read
	// into a larger buffer go past it.
	streamBufferBytes = 16 << 10
	// streamWriteBytes is what a connection writes at a time.
	streamWriteBytes = 64 << 10
)

// StreamConfig of a [Stream]. The zero value is the strict one.
type StreamConfig struct {
	// AllowPrivateAddresses is that of [Config]. It also allows plain http, to private and
	// loopback addresses alone: it never crosses the Internet.
	AllowPrivateAddresses bool
	// DialTimeout bounds the dialling and the handshake of TLS; 0 = 5 seconds.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for the header of the answer, from the last byte of the
	// request on; 0 = 60 seconds.
	HeaderTimeout time.Duration
	// ContinueTimeout is how long a request with Expect: 100-continue waits before it sends
	// its body unasked; 0 = 1 second.
	ContinueTimeout time.Duration
	// MaxIdlePerHost bounds the connections that are kept; 0 = 64.
	MaxIdlePerHost int
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Resolver for DNS; nil = the system's.
	Resolver *net.Resolver
}

// Stream sends requests and receives answers whose bodies are of any length and take any
// time; the context of the request is what ends them. It is guarded as a client of [New]
// is, by the address at the moment of dialling; it speaks HTTP/1.1, uses no proxy of the
// environment, never decompresses, and bounds the header of an answer to 64 KiB. A
// redirect is an answer like others: it follows none. Safe for concurrent use.
type Stream struct {
	// plain is for http, secure for https: they differ in which addresses they may dial.
	plain, secure streamPath
	private       bool
}

// streamPath sends requests of a scheme.
type streamPath struct {
	// transport is for those with a body, direct for the others.
	transport *http.Transport
	direct    *direct
}

// NewStream returns a Stream, to be kept and shared: it pools connections.
func NewStream(cfg StreamConfig) *Stream {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	if cfg.HeaderTimeout <= 0 {
		cfg.HeaderTimeout = DefaultHeaderTimeout
	}
	if cfg.ContinueTimeout <= 0 {
		cfg.ContinueTimeout = time.Second
	}
	if cfg.MaxIdlePerHost <= 0 {
		cfg.MaxIdlePerHost = 64
	}
	return &Stream{
		secure: newStreamPath(cfg, dialRule{allowPrivate: cfg.AllowPrivateAddresses}, &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs, NextProtos: []string{"http/1.1"},
		}),
		plain:   newStreamPath(cfg, dialRule{allowPrivate: cfg.AllowPrivateAddresses, refusePublic: true}, nil),
		private: cfg.AllowPrivateAddresses,
	}
}

// newStreamPath: secure is nil for plain http.
func newStreamPath(cfg StreamConfig, rule dialRule, secure *tls.Config) streamPath {
	dial := dialBy(rule, cfg.DialTimeout, cfg.Resolver)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{
		Proxy:                  nil, // never from the environment
		DialContext:            dial,
		TLSClientConfig:        secure.Clone(),
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		TLSHandshakeTimeout:    cfg.DialTimeout,
		ResponseHeaderTimeout:  cfg.HeaderTimeout,
		ExpectContinueTimeout:  cfg.ContinueTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    cfg.MaxIdlePerHost,
		ReadBufferSize:         streamBufferBytes,
		WriteBufferSize:        streamWriteBytes,
	}
	return streamPath{transport, &direct{
		dial: dial, tls: secure, dialTimeout: cfg.DialTimeout, headerTimeout: cfg.HeaderTimeout,
		idle: idleConns{perAddress: cfg.MaxIdlePerHost},
	}}
}

// RoundTrip implements http.RoundTripper.
//
// Errors: [countersign.Invalid] for a URL that may not be asked; else those of net/http,
// with [ErrAddress] in the chain when an address was refused.
func (s *Stream) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.CheckURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper always closes it
		}
		return nil, err
	}
	path := s.secure
	if r.URL.Scheme == "http" {
		path = s.plain
	}
	var sender http.RoundTripper = path.transport
	if path.direct.takes(r) {
		sender = path.direct
	}
	resp, err := sender.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		return nil, upstream("the server changed the protocol", nil)
	}
	return resp, nil
}

// CheckURL reports whether the text of u may be asked: as the function [CheckURL], and
// plain http also where private addresses are allowed.
//
// Errors: [countersign.Invalid].
func (s *Stream) CheckURL(u *url.URL) error {
	if s.private && u.Scheme == "http" && u.Hostname() != "" {
		secure := *u
		secure.Scheme = "https"
		return checkURL(&secure)
	}
	return checkURL(u)
}

// CloseIdleConnections closes the connections that no request uses.
func (s *Stream) CloseIdleConnections() {
	for _, path := range []streamPath{s.plain, s.secure} {
		path.transport.CloseIdleConnections()
		path.direct.idle.close()
	}
}

var _ http.RoundTripper = (*Stream)(nil)

// IsPlain reports whether a request to u crosses a network without TLS: it is no https and
// its host is not written as a loopback.
//
// Errors: [countersign.Invalid] for what is neither http nor https.
func IsPlain(u *url.URL) (bool, error) {
	switch u.Scheme {
	case "https":
		return false, nil
	case "http":
		return !IsLoopbackHost(u.Hostname()), nil
	}
	return false, countersign.WrapError(countersign.Invalid, "", "the url is not https", ErrURL)
}
