package server

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/web"
)

// routes lists every URL of the api listener and of the administrator's socket: both
// serve the same ones, and package authn tells their callers apart.
//
//	POST /oauth2/token                                  oauth  RFC 6749 §4.4
//	POST /oauth2/introspect                             oauth  RFC 7662
//	POST /oauth2/revoke                                 oauth  RFC 7009
//	GET  /.well-known/openid-configuration              oauth  OpenID Connect Discovery 1.0
//	GET  /.well-known/oauth-authorization-server        oauth  RFC 8414
//	GET  /.well-known/jwks.json                         oauth  RFC 7517
//	GET  /oauth2/revocations                            oauth  what was revoked: receivers follow it
//	GET  /oauth2/revocations/jwks.json                  oauth  RFC 7517: the keys of that
//	GET  /oauth2/policies/jwks.json                     oauth  RFC 7517: the keys of route policies
//	POST /, //, /sts, /sts/; GET /sts, /sts/            sts    AWS STS, Query API
//	     /api/iam/v1/admin/services[/NAME[/VERB]]       iam    services
//	POST /api/iam/v1/admin/resources                    iam    apply
//	     /api/iam/v1/admin/resources/KIND[/NAME]        iam    objects of every kind
//	     /api/iam/v1/admin/COLLECTION[/NAME]            iam    the same: issuers, roles, buckets, route-policies,
//	                                                           user-roles, access-keys
//	POST /api/iam/v1/admin/access-keys                  iam    a long-lived key for the S3 gateway
//	     /api/iam/v1/admin/keys[/{rotate,rewrap}]       iam    signing keys
//	POST /api/iam/v1/admin/revocations                  iam    revoke
//	GET  /api/iam/v1/admin/audit/events                 iam    audit query
//	POST /api/iam/v1/admin/audit/verify                 iam    audit verify
//	POST /api/iam/v1/login                              iam    a code becomes a login
//	     /api/iam/v1/admin/{login-codes,logins}…        iam    administrators elsewhere
//	GET  /api/iam/v1/admin/backup                       iam    backup
//	     /api/iam/v1/admin/user-roles…                  iam    user roles by collection
//	     /api/iam/v1/admin/users[/ID[/roles/ROLE]]      iam    users and their roles
//	     /api/iam/v1/tenants[/ID]                       iam    tenants
//	GET  /api/iam/v1/me[/tenants]                       iam    who calls
//	GET  /api/openapi.json                              iam    OpenAPI 3.1
//	POST /api/iam/v1/system/users/query                 iam    people of the directories
//	POST /api/iam/v1/system/enrich                      iam    what is true of a user's token
//	POST /api/iam/v1/system/audit/events                iam    receivers report
//	GET  /api/iam/v1/system/route-policies/SERVICE      iam    receivers fetch
func (s *Server) routes() (*http.ServeMux, error) {
	var err error
	s.oauth, err = oauth.New(oauth.Config{
		Issuer: s.issuer, Keys: s.keys, Registry: s.registry, Minter: s.minter, Audit: s.audit,
		Admin: s.admin, Authn: s.authn, SingleUse: s.store, WebIdentity: s.web, AWSIdentity: s.aws, IdentityRate: int(s.cfg.Limits.RequestsPerIdentity),
		Logger: s.logger, ExposeReasons: s.cfg.ExposeReasons, Now: s.now, Sleep: s.sleep,
	})
	if err != nil {
		return nil, err
	}
	s.iam, err = iam.New(iam.Config{
		Authn: s.authn, Admin: s.admin, Audit: s.audit, Keys: s.keys, Issuer: s.issuer, Backup: s.backup, Mode: iam.Mode(s.cfg.IAM.Mode), Directories: s.directories, ExposeReasons: s.cfg.ExposeReasons, Logger: s.logger, Now: s.now,
	})
	if err != nil {
		return nil, err
	}
	if s.sts, err = s.newSTS(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.oauth.Mount(mux)
	for _, route := range s.sts.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	for _, route := range s.iam.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	return mux, nil
}

// wrap puts a listener's checks around the routes.
func (s *Server) wrap(listener string, hosts []string, next http.Handler) http.Handler {
	return web.Wrap(web.Config{
		MaxConcurrent: int(s.cfg.Limits.Concurrency), AddressRate: int(s.cfg.Limits.RequestsPerAddress), MaxBodyBytes: s.cfg.Limits.BodyBytes,
		Logger: s.logger, Now: s.now, TrustedProxies: s.cfg.TrustedProxies, Hosts: hosts,
		Observe: s.metrics.ObserveHTTP(listener),
	}, next)
}

// hosts are the Host values that the api listener serves beside loopback (RULES G7).
func (s *Server) hosts() []string {
	hosts := []string{}
	if issuer, err := url.Parse(s.issuer); err == nil && issuer.Hostname() != "" {
		hosts = append(hosts, issuer.Hostname())
	}
	slices.Sort(hosts)
	return hosts
}
