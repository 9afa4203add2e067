package server

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/internal/web"
)

// openS3 makes the front door of object storage. Its sessions are those of the STS.
func (s *Server) openS3() error {
	proofs, err := authn.NewS3(authn.S3Config{Sealer: s.sealer, Registry: s.registry, Now: s.now})
	if err != nil {
		return err
	}
	s.addresses.S3URL = s.s3URL()
	s.origins, err = s3origin.NewPool(s3origin.Config{Paths: s.paths(), Broker: s.broker, URL: s.addresses.S3URL, Now: s.now})
	if err != nil {
		return err
	}
	s.s3, err = s3gw.New(s3gw.Config{
		AccountID: s.cfg.AccountID, Authn: proofs, Registry: s.registry, Origins: s.origins, Audit: s.audit,
		Domain: s.cfg.S3.Domain, Hosts: s.s3Hosts(), AllowUnsigned: s.private, IdentityRate: int(s.cfg.Limits.RequestsPerIdentity),
		ReadIdle: s.cfg.Limits.ReadTimeout, WriteIdle: s.cfg.Limits.WriteTimeout,
		ExposeReasons: s.cfg.ExposeReasons, Logger: s.logger, Now: s.now,
	})
	return err
}

// serveS3 answers on the s3 listener. A request there is as long as its object: its body has
// no bound here, and its times are those of the client's standing still.
func (s *Server) serveS3(ctx context.Context) error {
	handler := web.Wrap(web.Config{
		MaxConcurrent: int(s.cfg.Limits.Concurrency), AddressRate: int(s.cfg.Limits.RequestsPerAddress),
		Logger: s.logger, Now: s.now, TrustedProxies: s.cfg.TrustedProxies, Refuse: s.s3.Refuse, // it knows its hosts by itself
		Observe: s.metrics.ObserveHTTP("s3"),
	}, s.s3)
	cfg := s.serving(s.listeners.s3, handler)
	cfg.TLS, cfg.MaxConnections = s.tls, int(s.cfg.Limits.Connections)
	return web.Serve(ctx, cfg)
}

// s3URL is the gateway's base URL.
func (s *Server) s3URL() string {
	if s.cfg.S3.URL != "" {
		return s.cfg.S3.URL
	}
	local := url.URL{Scheme: "http", Host: s.addresses.S3}
	if s.tls != nil {
		local.Scheme = "https"
	}
	if address, err := netip.ParseAddrPort(local.Host); err == nil && address.Addr().IsUnspecified() {
		local.Host = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port()).String()
	}
	return local.String()
}

// s3Hosts are the Host values that the s3 listener serves beside loopback and its domain.
func (s *Server) s3Hosts() []string {
	hosts := []string{}
	if gateway, err := url.Parse(s.cfg.S3.URL); err == nil && gateway.Hostname() != "" {
		hosts = append(hosts, strings.ToLower(gateway.Hostname()))
	}
	return hosts
}

// private reports whether nobody on the way could change the body of a request: it came over
// TLS, to us or to a trusted proxy that says so, or from this machine (RULES F4). That it came in
// the clear is believed of everybody.
func (s *Server) private(r *http.Request) bool {
	said := r.Header["X-Forwarded-Proto"]
	if slices.ContainsFunc(said, func(proto string) bool { return proto != "https" }) {
		return false
	}
	if r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().WithZone("").Unmap()
	if len(said) > 0 && slices.ContainsFunc(s.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return true
	}
	return addr.IsLoopback()
}
