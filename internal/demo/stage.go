package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
	"github.com/countersign/countersign/routepolicy"
	"github.com/countersign/countersign/transport"
	"github.com/countersign/countersign/verify"
)

// stage is everything that runs while the story is played.
type stage struct {
	folder string
	server *server.Server
	done   chan error // the server's end
	stop   context.CancelFunc
	admin  *iamclient.Client
	users  *authtest.UserIssuer
	// amazon is a double of AWS's STS; lambda and intern are who is known there.
	amazon         *authtest.AWSSTS
	lambda, intern authtest.AWSIdentity
	session        aws.Credentials // of the role that was assumed last
	link           string          // a presigned one
	servers        []*http.Server
	closers        []func(context.Context)

	documents, parse, actor *service
	cleanup                 *service
	policies                *routepolicy.Follower
	legacyURL               string
	userVerifier            *verify.Verifier
}

// cast lists the services of the story and what each is granted.
var cast = []iamclient.CreateService{
	{Name: "backend-actor", Scopes: []string{"audit:write"}, Audiences: []string{"document-service", "parse-service", "actor-service", "iam-service"}},
	{Name: "document-service", Scopes: []string{"audit:write"}, Audiences: []string{"parse-service", "iam-service"}},
	{Name: "parse-service", Scopes: []string{"audit:write"}, Audiences: []string{"iam-service"}},
	{Name: "nightly-cleanup", Scopes: []string{"s2s:internal", "audit:write"}, Audiences: []string{"document-service", "parse-service", "iam-service"}},
}

// setUp starts everything. What it has started is taken down by close, also when it
// returns an error.
func (s *stage) setUp(ctx context.Context) error {
	s.amazon = authtest.NewAWSSTS(s, authtest.AWSSTSConfig{})
	if err := s.startCountersign(ctx); err != nil {
		return err
	}
	s.users = authtest.NewUserIssuer(s, "acme-web")
	services := make(map[string]*service)
	for _, part := range cast {
		credentials, err := s.admin.CreateService(ctx, part)
		if err != nil {
			return fmt.Errorf("register %s: %w", part.Name, err)
		}
		if err := s.keep(part.Name+".secret", credentials.ClientSecret.Reveal()); err != nil {
			return err
		}
		var scopes []string
		if part.Name == "nightly-cleanup" {
			scopes = []string{"s2s:internal"}
		}
		users := s.users.Trust()
		users.Tenants, users.Roles = []string{"acme"}, map[string]string{"administrators": "admin"}
		issuers := []verify.Issuer{{URL: s.server.Issuer()}, users}
		service, err := newService(part.Name, s.server.BaseURL(), credentials.ClientSecret, scopes, issuers)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, service.close)
		services[part.Name] = service
	}
	s.documents, s.parse = services["document-service"], services["parse-service"]
	s.actor, s.cleanup = services["backend-actor"], services["nightly-cleanup"]
	if err := s.applyPolicy(ctx); err != nil {
		return err
	}
	if err := s.applyRoles(ctx); err != nil {
		return err
	}
	if err := s.applyBucket(ctx); err != nil {
		return err
	}
	return s.startServices()
}

// policy is who may call parse-service below /v1/parse/ and /v1/tenants/.
const policy = `kind: RoutePolicy
name: parse-service-defaults
service: parse-service
rules:
  - name: documents-may-parse
    from: {services: [document-service]}
    to: {methods: [POST], paths: ["/v1/parse/**"]}
  - name: admins-read-their-tenant
    from: {services: [backend-actor], users: ["**"], user_roles: [admin]}
    to: {methods: [GET], paths: ["/v1/tenants/{tenant}/**"]}
    when: 'principal.tenant == request.path_params.tenant'
`

func (s *stage) applyPolicy(ctx context.Context) error {
	_, err := s.admin.Apply(ctx, iamclient.Apply{Files: []iamclient.File{{Name: "policy.yaml", Content: policy}}, Owner: "demo"})
	if err != nil {
		return fmt.Errorf("apply the route policy: %w", err)
	}
	s.policies, err = s.parse.routePolicies(s.server.BaseURL())
	if err != nil {
		return fmt.Errorf("follow the route policy: %w", err)
	}
	s.closers = append(s.closers, func(context.Context) { _ = s.policies.Close() })
	select {
	case <-s.policies.Ready():
		return nil
	case <-time.After(policyTimeout):
		return errors.New("parse-service got no route policy")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// policyTimeout is how long parse-service may take to get its policy.
const policyTimeout = 10 * time.Second

func (s *stage) startCountersign(ctx context.Context) error {
	cfg, err := config.Load("", []string{
		"COUNTERSIGN_DATA=" + filepath.Join(s.folder, "data"),
		"COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_EXPOSE_REASONS=true", "COUNTERSIGN_ALLOWED_PATHS=" + s.objects(),
		"COUNTERSIGN_STS_SERVER_ID=" + serverID, "COUNTERSIGN_STS_AWS_ENDPOINTS=" + s.amazon.URL,
	})
	if err != nil {
		return fmt.Errorf("configure countersign: %w", err)
	}
	if s.server, err = server.New(ctx, server.Options{Config: cfg, Version: "demo"}); err != nil {
		return fmt.Errorf("start countersign: %w", err)
	}
	// The server outlives ctx: when that ends, the story still has to be taken down in order.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = stop, make(chan error, 1)
	go func() { s.done <- s.server.Run(running) }()
	s.admin, err = iamclient.New(iamclient.Config{Socket: s.server.AdminSocket()})
	return err
}

func (s *stage) startServices() error {
	// Listeners come first: the services have to know each other's addresses.
	names := []string{"parse-service", "document-service", "backend-actor", "actor-service"}
	listeners, urls := make(map[string]net.Listener), make(map[string]string)
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen for %s: %w", name, err)
		}
		listeners[name], urls[name] = listener, "http://"+listener.Addr().String()
	}
	s.parse.url, s.documents.url, s.actor.url = urls["parse-service"], urls["document-service"], urls["backend-actor"]
	s.legacyURL = urls["actor-service"]
	var err error
	if s.userVerifier, err = verify.New(verify.Config{Issuers: []verify.Issuer{s.users.Trust()}}); err != nil {
		return err
	}
	s.closers = append(s.closers, func(context.Context) { _ = s.userVerifier.Close() })

	host := func(name string) string { return listeners[name].Addr().String() }
	outward := s.actor.client(transport.UserAndService, map[string]string{
		host("document-service"): "document-service", host("parse-service"): "parse-service", host("actor-service"): "actor-service"})
	parse := func(ctx context.Context) (int, error) { return s.callAs(ctx, s.documents, s.parse, "/v1/parse") }
	s.serve(listeners["parse-service"], s.parse.parseService(s.policies))
	s.serve(listeners["document-service"], s.documents.documentService(parse))
	s.serve(listeners["backend-actor"], s.actor.backendActor(outward, s.documents.url, s.parse.url, s.legacyURL))
	s.serve(listeners["actor-service"], legacyService(s.userVerifier))
	return nil
}

// callAs lets one service call another with its own identity.
func (s *stage) callAs(ctx context.Context, from, to *service, path string) (int, error) {
	reply, err := s.send(ctx, from.client(transport.ServiceOnly, map[string]string{to.host(): to.name}), http.MethodPost, to.url+path, "")
	return reply.status, err
}

func (s *stage) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }() // ends with server.Close in close
}

// keep puts a credential of the demo where only this user can read it, for the curl
// commands that are shown at the end.
func (s *stage) keep(name, value string) error {
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(value), 0o600); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// close takes everything down, last things first, and waits for it.
func (s *stage) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, server := range s.servers {
		_ = server.Close()
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i](ctx)
	}
	var err error
	if s.stop != nil {
		s.stop()
		err = <-s.done
	}
	if s.admin != nil {
		s.admin.Close()
	}
	return errors.Join(err, os.RemoveAll(s.folder))
}

// The stage is also the authtest.TB of the user issuer.

// Helper implements authtest.TB.
func (s *stage) Helper() {}

// Cleanup implements authtest.TB.
func (s *stage) Cleanup(f func()) {
	s.closers = append(s.closers, func(context.Context) { f() })
}

// TempDir implements authtest.TB.
func (s *stage) TempDir() string { return s.folder }

// Fatalf implements authtest.TB: it unwinds to Run.
func (s *stage) Fatalf(format string, args ...any) { panic(fatal{fmt.Errorf(format, args...)}) }

type fatal struct{ err error }

func newSecretFolder() (string, error) {
	folder, err := os.MkdirTemp("", "countersign-demo-")
	if err != nil {
		return "", countersign.WrapError(countersign.Unavailable, "", "no folder for the demo's data", err)
	}
	return folder, nil
}
