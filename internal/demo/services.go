package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/routepolicy"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
	"github.com/countersign/countersign/verify"
)

// service is what every service of the story has: its own identity for calling, a
// verifier for being called, and a recorder that reports what it decided.
type service struct {
	name     string
	url      string // its own base URL
	source   *tokensource.ClientCredentials
	reports  *tokensource.ClientCredentials
	verifier *verify.Verifier
	recorder *auditclient.Client
}

// newService gives a service its identity. issuers are those that it trusts: the
// Countersign server for services, the company's identity provider for users.
func newService(name, countersignURL string, secret countersign.Secret, scopes []string, issuers []verify.Issuer) (*service, error) {
	source := func(scopes []string) *tokensource.ClientCredentials {
		return &tokensource.ClientCredentials{
			TokenURL: countersignURL + "/oauth2/token", ClientID: name, ClientSecret: secret, Scopes: scopes,
		}
	}
	s := &service{name: name, source: source(scopes), reports: source([]string{"audit:write"})}
	var err error
	if s.verifier, err = verify.New(verify.Config{Audience: name, Issuers: issuers}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if s.recorder, err = auditclient.New(auditclient.Config{URL: countersignURL, Source: s.reports}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *service) authenticate() middleware.Middleware {
	return middleware.Authenticate(s.verifier, middleware.WithRecorder(s.recorder), middleware.WithExposeReasons())
}

// client calls other services: audiences lists the only hosts that get a token.
func (s *service) client(mode transport.Mode, audiences map[string]string) *http.Client {
	return &http.Client{Transport: &transport.Transport{Source: s.source, Mode: mode, Audiences: audiences}}
}

func (s *service) close(ctx context.Context) {
	_ = s.recorder.Close(ctx)
	_ = s.verifier.Close()
	_ = s.source.Close()
	_ = s.reports.Close()
}

// answer says who this service believes is calling.
func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	p := countersign.FromContext(r.Context())
	writeJSON(w, map[string]string{"at": s.name, "service": p.Service.Name, "user": p.User.Subject})
}

// routePolicies follows the policies that the server has for this service.
func (s *service) routePolicies(countersignURL string) (*routepolicy.Follower, error) {
	return routepolicy.Follow(routepolicy.FollowerConfig{
		URL: countersignURL, Service: s.name, Every: time.Second,
		Source: routepolicy.TokenFunc(func(ctx context.Context, audience string) (countersign.Secret, error) {
			token, err := s.source.Token(ctx, audience)
			return token.Value, err
		}),
	})
}

// parseService lets documents be parsed by the document-service and nobody else. Below
// /v1/parse/ and /v1/tenants/ a route policy decides.
func (s *service) parseService(policy middleware.RouteDecider) http.Handler {
	mux := http.NewServeMux()
	decided := middleware.Chain(http.HandlerFunc(s.answer), s.authenticate(), middleware.RoutePolicy(policy))
	mux.Handle("/v1/parse/", decided)
	mux.Handle("/v1/tenants/", decided)
	mux.Handle("POST /v1/parse", middleware.Chain(http.HandlerFunc(s.answer),
		s.authenticate(), middleware.AllowedServices("document-service")))
	mux.Handle("POST /v1/internal/reindex", middleware.Chain(http.HandlerFunc(s.answer),
		s.authenticate(), middleware.MachineOnly(), middleware.RequireScopes("s2s:internal")))
	return mux
}

// documentService serves a user's documents through the backend-actor, and the
// nightly clean-up, which has no user. To parse a document it calls on.
func (s *service) documentService(parse func(ctx context.Context) (int, error)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /v1/documents/{id}", middleware.Chain(http.HandlerFunc(s.answer),
		s.authenticate(), middleware.AllowedServices("backend-actor"), middleware.RequireUser()))
	mux.Handle("DELETE /v1/documents/old", middleware.Chain(http.HandlerFunc(s.answer),
		s.authenticate(), middleware.AllowedServices("nightly-cleanup")))
	mux.Handle("POST /v1/documents/{id}/parse", middleware.Chain(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			status, err := parse(r.Context())
			if err != nil {
				http.Error(w, "parse-service can't be reached", http.StatusBadGateway)
				return
			}
			w.WriteHeader(status)
		}), s.authenticate(), middleware.AllowedServices("backend-actor")))
	return mux
}

// backendActor is what the browser talks to: it accepts users and calls on with both
// identities, the user's and its own.
func (s *service) backendActor(client *http.Client, documents, parse, legacy string) http.Handler {
	mux := http.NewServeMux()
	forward := func(url string) http.Handler {
		return middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The request's context holds the verified user's token: the transport sends it on.
			forwardTo(w, r, client, url)
		}), s.authenticate(), middleware.RequireUser())
	}
	mux.Handle("GET /v1/my/documents/{id}", forward(documents+"/v1/documents/7"))
	mux.Handle("GET /v1/my/profile", forward(legacy+"/v1/profile"))
	for _, tenant := range []string{"acme", "globex"} {
		mux.Handle("GET /v1/my/tenants/"+tenant, forward(parse+"/v1/tenants/"+tenant+"/documents"))
	}
	return mux
}

func forwardTo(w http.ResponseWriter, r *http.Request, client *http.Client, url string) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		http.Error(w, "bad request", http.StatusInternalServerError)
		return
	}
	response, err := client.Do(request)
	if err != nil {
		http.Error(w, "the service behind can't be reached", http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(response.Body, 64<<10))
}

// legacyService has not been upgraded: it knows users by Authorization alone and has
// never heard of Service-Authorization.
func legacyService(users *verify.Verifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/profile", func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		if len(header) < len("Bearer ") {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		token, err := users.Verify(r.Context(), header[len("Bearer "):])
		if err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		writeJSON(w, map[string]string{"at": "actor-service", "user": token.Subject})
	})
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
