package authtest

import (
	"context"
	"path/filepath"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/verify"
)

// TB is what this package needs of a *testing.T or *testing.B.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Server is a running Countersign. Safe for concurrent use.
type Server struct {
	// URL is where it answers, and its issuer.
	URL string
	// Clock is the clock of every decision that it makes.
	Clock *Clock

	admin *iamclient.Client
}

// Service says what a service is granted.
type Service struct {
	Scopes, Audiences []string
	// TokenLifetime is 1 minute to 1 hour; 0 = 15 minutes.
	TokenLifetime time.Duration
}

// Identity is a registered service: what it proves itself with, and a token source
// that does so.
type Identity struct {
	Name   string
	Secret countersign.Secret
	// Source gets tokens with every scope that the service is granted.
	Source *tokensource.ClientCredentials
}

// Event is an audit event, with the fields that tests ask for.
type Event struct {
	Time                                            time.Time
	Action, Decision, Reason, Service, User, Target string
	Actor, TokenID, Method, Route, Rule, ReportedBy string
	Count                                           int64
}

// New starts a server that ends with the test. environ are further variables of its
// configuration, such as COUNTERSIGN_STS_SERVER_ID=test.
func New(tb TB, environ ...string) *Server {
	tb.Helper()
	ctx := context.Background()
	clock := new(Clock)
	cfg, err := config.Load("", append([]string{
		"COUNTERSIGN_DATA=" + filepath.Join(tb.TempDir(), "countersign-data"),
		"COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_EXPOSE_REASONS=true",
	}, environ...))
	if err != nil {
		tb.Fatalf("authtest: configure: %v", err)
	}
	running, err := server.New(ctx, server.Options{Config: cfg, Now: clock.Now, Sleep: clock.sleep, Version: "authtest"})
	if err != nil {
		tb.Fatalf("authtest: start: %v", err)
	}
	admin, err := iamclient.New(iamclient.Config{Socket: running.AdminSocket()})
	if err != nil {
		tb.Fatalf("authtest: %v", err)
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- running.Run(ctx) }()
	tb.Cleanup(func() {
		admin.Close()
		stop()
		if err := <-done; err != nil {
			tb.Fatalf("authtest: stop: %v", err)
		}
	})
	return &Server{URL: running.Issuer(), Clock: clock, admin: admin}
}

// CreateService registers a service.
func (s *Server) CreateService(tb TB, name string, grant Service) *Identity {
	tb.Helper()
	credentials, err := s.admin.CreateService(context.Background(), iamclient.CreateService{
		Name: name, Scopes: grant.Scopes, Audiences: grant.Audiences, TokenLifetime: iamclient.Duration(grant.TokenLifetime),
	})
	if err != nil {
		tb.Fatalf("authtest: create service %s: %v", name, err)
	}
	source := &tokensource.ClientCredentials{
		TokenURL: s.URL + "/oauth2/token", ClientID: name, ClientSecret: credentials.ClientSecret,
		Scopes: grant.Scopes, Now: s.Clock.Now,
	}
	tb.Cleanup(func() { _ = source.Close() })
	return &Identity{Name: name, Secret: credentials.ClientSecret, Source: source}
}

// Apply makes resource documents hold, as countersign apply does.
func (s *Server) Apply(tb TB, documents string) {
	tb.Helper()
	if _, err := s.admin.Apply(context.Background(), iamclient.Apply{Files: []iamclient.File{{Name: "test.yaml", Content: documents}}}); err != nil {
		tb.Fatalf("authtest: apply: %v", err)
	}
}

// DeleteObject removes an object of any kind: "Role", "Issuer" and so on.
func (s *Server) DeleteObject(tb TB, kind, name string) {
	tb.Helper()
	if err := s.admin.DeleteObject(context.Background(), kind, name, iamclient.AnyRevision); err != nil {
		tb.Fatalf("authtest: delete %s %s: %v", kind, name, err)
	}
}

// RotateSecret gives the service a new secret and ends the old one after grace.
func (s *Server) RotateSecret(tb TB, name string, grace time.Duration) countersign.Secret {
	tb.Helper()
	credentials, err := s.admin.RotateSecret(context.Background(), name, iamclient.AnyRevision, grace)
	if err != nil {
		tb.Fatalf("authtest: rotate the secret of %s: %v", name, err)
	}
	return credentials.ClientSecret
}

// DisableService locks the service out, as an operator does.
func (s *Server) DisableService(tb TB, name string) {
	tb.Helper()
	if _, err := s.admin.DisableService(context.Background(), name, iamclient.AnyRevision); err != nil {
		tb.Fatalf("authtest: disable service %s: %v", name, err)
	}
}

// EnableService lets it in again.
func (s *Server) EnableService(tb TB, name string) {
	tb.Helper()
	if _, err := s.admin.EnableService(context.Background(), name, iamclient.AnyRevision); err != nil {
		tb.Fatalf("authtest: enable service %s: %v", name, err)
	}
}

// DeleteService removes the service.
func (s *Server) DeleteService(tb TB, name string) {
	tb.Helper()
	if err := s.admin.DeleteService(context.Background(), name, iamclient.AnyRevision); err != nil {
		tb.Fatalf("authtest: delete service %s: %v", name, err)
	}
}

// RevokeToken ends one token of this server.
func (s *Server) RevokeToken(tb TB, token countersign.Secret) {
	tb.Helper()
	if _, err := s.admin.RevokeToken(context.Background(), token); err != nil {
		tb.Fatalf("authtest: revoke the token: %v", err)
	}
}

// Token gets a token for an audience with the service's own proof.
func (i *Identity) Token(tb TB, audience string) countersign.Secret {
	tb.Helper()
	token, err := i.Source.Token(context.Background(), audience)
	if err != nil {
		tb.Fatalf("authtest: token of %s for %s: %v", i.Name, audience, err)
	}
	return token.Value
}

// Trust returns the entry for a receiver's verifier.
func (s *Server) Trust() verify.Issuer { return verify.Issuer{URL: s.URL} }

// Verifier returns a verifier for a receiving service, which trusts this server and
// the given issuers, on this server's clock. It is closed with the test.
func (s *Server) Verifier(tb TB, audience string, more ...verify.Issuer) *verify.Verifier {
	tb.Helper()
	verifier, err := verify.New(verify.Config{
		Audience: audience, Issuers: append([]verify.Issuer{s.Trust()}, more...), Now: s.Clock.Now,
	})
	if err != nil {
		tb.Fatalf("authtest: verifier of %s: %v", audience, err)
	}
	tb.Cleanup(func() { _ = verifier.Close() })
	return verifier
}

// Events returns the newest audit events, at most 1000, oldest first.
func (s *Server) Events(tb TB) []Event {
	tb.Helper()
	page, err := s.admin.AuditEvents(context.Background(), iamclient.AuditQuery{Limit: 1000, Newest: true})
	if err != nil {
		tb.Fatalf("authtest: read the audit log: %v", err)
	}
	events := make([]Event, len(page.Events))
	for i, e := range page.Events {
		events[i] = Event{
			Time: e.Time, Action: e.Action, Decision: e.Decision, Reason: e.Reason, Service: e.Service,
			User: e.User, Target: e.Target, Actor: e.Actor, TokenID: e.TokenID, Method: e.Method,
			Route: e.Route, Rule: e.Rule, ReportedBy: e.ReportedBy, Count: e.Count,
		}
	}
	return events
}

// VerifyAudit fails the test unless the audit log is whole.
func (s *Server) VerifyAudit(tb TB) {
	tb.Helper()
	report, err := s.admin.VerifyAudit(context.Background())
	if err != nil {
		tb.Fatalf("authtest: verify the audit log: %v", err)
	}
	if !report.OK {
		tb.Fatalf("authtest: the audit log is not whole: %+v", report.Findings)
	}
}
