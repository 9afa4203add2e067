package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
)

// kind is what may stand in a header.
type kind struct {
	name   string
	token  string
	user   bool
	who    string // of a service: its name
	scoped bool   // a service with s2s:internal
	reason countersign.Reason
}

func kinds(t *testing.T) []kind {
	t.Helper()
	valid := mint(t, serviceClaims("document-service", "s2s:internal"))
	head, rest, _ := strings.Cut(valid, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	return []kind{
		{name: "none"},
		{name: "user", token: mint(t, userClaims()), user: true},
		{name: "user by exchange", token: mint(t, exchangedClaims()), user: true},
		{name: "service", token: valid, who: "document-service", scoped: true},
		{name: "other service", token: mint(t, serviceClaims("backend-actor", "")), who: "backend-actor"},
		{name: "user called like a service", token: mint(t, userClaims().with("sub", "document-service").with("service_id", "document-service")), user: true},
		{name: "expired", token: mint(t, serviceClaims("document-service", "").with("exp", now.Unix()-61)), reason: countersign.ReasonTokenExpired},
		{name: "other audience", token: mint(t, serviceClaims("document-service", "").with("aud", "other")), reason: countersign.ReasonAudMismatch},
		{name: "user for another audience", token: mint(t, userClaims().with("aud", "other")), reason: countersign.ReasonAudMismatch},
		{name: "unknown issuer", token: mint(t, serviceClaims("document-service", "").with("iss", issuerURL+"/")), reason: countersign.ReasonIssuerUnknown},
		{name: "future", token: mint(t, userClaims().with("iat", now.Unix()+100)), reason: countersign.ReasonTokenNotYetValid},
		{name: "forged", token: head + "." + payload + "." + strings.Repeat("A", len(signature)), reason: countersign.ReasonSignatureInvalid},
		{name: "garbage", token: "garbage", reason: countersign.ReasonTokenMalformed},
	}
}

// door is a handler with its middlewares and who may come in.
type door struct {
	name        string
	middlewares []middleware.Middleware
	opens       func(user bool, service kind) bool
}

func doors() []door {
	return []door{
		{"authenticate", nil, func(bool, kind) bool { return true }},
		{"allowed services", []middleware.Middleware{middleware.AllowedServices("document-service", "nightly")},
			func(_ bool, s kind) bool { return s.who == "document-service" }},
		{"allowed services, empty", []middleware.Middleware{middleware.AllowedServices()},
			func(bool, kind) bool { return false }},
		{"allowed services, no name", []middleware.Middleware{middleware.AllowedServices("")},
			func(bool, kind) bool { return false }},
		{"scopes", []middleware.Middleware{middleware.RequireScopes("s2s:internal")},
			func(_ bool, s kind) bool { return s.scoped }},
		{"scopes, one missing", []middleware.Middleware{middleware.RequireScopes("s2s:internal", "other")},
			func(bool, kind) bool { return false }},
		{"scopes, part of a word", []middleware.Middleware{middleware.RequireScopes("s2s")},
			func(bool, kind) bool { return false }},
		{"scopes, empty", []middleware.Middleware{middleware.RequireScopes()},
			func(bool, kind) bool { return false }},
		{"machine only", []middleware.Middleware{middleware.MachineOnly()},
			func(user bool, s kind) bool { return !user && s.who != "" }},
		{"user", []middleware.Middleware{middleware.RequireUser()},
			func(user bool, _ kind) bool { return user }},
		{"user with role", []middleware.Middleware{middleware.RequireUser("other", "admin")},
			func(user bool, _ kind) bool { return user }},
		{"user with another role", []middleware.Middleware{middleware.RequireUser("admins", "")},
			func(bool, kind) bool { return false }},
		{"service for a user", []middleware.Middleware{middleware.AllowedServices("document-service"), middleware.RequireUser("admin")},
			func(user bool, s kind) bool { return user && s.who == "document-service" }},
		{"contradiction", []middleware.Middleware{middleware.MachineOnly(), middleware.RequireUser()},
			func(bool, kind) bool { return false }},
	}
}

// authenticated is RULES C4 in words: who two headers prove, or why nobody.
func authenticated(first, second kind) (user bool, service kind, refused countersign.Reason) {
	switch {
	case first.token == "":
		return false, kind{}, countersign.ReasonTokenMissing
	case first.reason != "":
		return false, kind{}, first.reason
	case second.token == "" && first.user:
		return true, kind{}, ""
	case second.token == "":
		return false, first, ""
	case second.reason != "":
		return false, kind{}, second.reason
	case first.user && !second.user:
		return true, second, ""
	default:
		return false, kind{}, countersign.ReasonSecondTokenMismatch
	}
}

// TestRuleC4TwoTokens holds every pair of headers against every door: a default-deny
// table (vulnerability 36), with a verifier that caches, twice, and one that doesn't, so
// that a cached verdict is the fresh one (vulnerability 34).
func TestRuleC4TwoTokens(t *testing.T) {
	t.Parallel()
	all := kinds(t)
	verifiers := []struct {
		name   string
		rounds int
		middleware.TokenVerifier
	}{{"cached", 2, newVerifier(t, 0)}, {"fresh", 1, newVerifier(t, -1)}}
	for _, d := range doors() {
		for _, v := range verifiers {
			t.Run(d.name+", "+v.name, func(t *testing.T) {
				t.Parallel()
				handler := &seen{}
				log := &recorder{}
				h := middleware.Chain(handler, append([]middleware.Middleware{
					middleware.Authenticate(v, middleware.WithExposeReasons(), middleware.WithRecorder(log), middleware.WithClock(clock)),
				}, d.middlewares...)...)
				for range v.rounds {
					for _, first := range all {
						for _, second := range all {
							handler.calls, log.decisions = 0, nil
							got := serve(t, h, first.token, second.token)
							check(t, d, first, second, got, handler, log)
						}
					}
				}
			})
		}
	}
}

func check(t *testing.T, d door, first, second kind, got answer, handler *seen, log *recorder) {
	t.Helper()
	at := fmt.Sprintf("%s + %s", first.name, second.name)
	user, service, refused := authenticated(first, second)
	decision := log.only(t)
	switch {
	case refused != "":
		if got.status != http.StatusUnauthorized || got.Reason != string(refused) || handler.calls != 0 {
			t.Errorf("%s: %+v, want 401 %s", at, got, refused)
		}
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", at)
		}
	case !d.opens(user, service):
		if got.status != http.StatusForbidden || handler.calls != 0 {
			t.Errorf("%s: %+v, want 403", at, got)
		}
	default:
		if got.status != http.StatusOK || handler.calls != 1 {
			t.Fatalf("%s: %+v, want 200", at, got)
		}
		p := handler.principal
		if p.User.IsZero() == user || p.Service.Name != service.who || p.User.IsZero() != (handler.userToken == "") || user && handler.userToken != first.token {
			t.Errorf("%s: caller %+v", at, p)
		}
		if !decision.Allowed || decision.Reason != countersign.ReasonOK || decision.ID != "" {
			t.Errorf("%s: decision %+v", at, decision)
		}
		return
	}
	if decision.Allowed || decision.ID != got.RequestID || decision.ID == "" || string(decision.Reason) != got.Reason {
		t.Errorf("%s: decision %+v, answer %+v", at, decision, got)
	}
}

// TestRuleC4BadSecondTokenIsNotIgnored: the door would open for the first token alone.
func TestRuleC4BadSecondTokenIsNotIgnored(t *testing.T) {
	t.Parallel()
	log := &recorder{}
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0), middleware.WithRecorder(log)))
	for _, second := range kinds(t) {
		if second.reason == "" {
			continue
		}
		if got := serve(t, h, mint(t, userClaims()), second.token); got.status != http.StatusUnauthorized || got.Error != "invalid_token" {
			t.Errorf("%s: %+v", second.name, got)
		}
	}
	for _, d := range log.all() { // as far as it was verified
		if d.Caller == nil || d.Caller.User.Subject != "alice" || !d.Caller.Service.IsZero() {
			t.Errorf("caller %+v", d.Caller)
		}
	}
}

// A stolen user token opens no door that asks for services, whatever it claims.
func TestVulnerability36StolenUserToken(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, 0)
	for name, token := range map[string]string{
		"with a service's claims": mint(t, userClaims().with("service_id", "document-service").with("client_id", "document-service").with("sub", "document-service")),
		"by exchange":             mint(t, exchangedClaims()),
	} {
		for _, m := range []middleware.Middleware{
			middleware.AllowedServices("document-service"), middleware.RequireScopes("s2s:internal"), middleware.MachineOnly(),
		} {
			h := middleware.Chain(&seen{}, middleware.Authenticate(v), m)
			if got := serve(t, h, token, ""); got.status != http.StatusForbidden {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// TestVulnerability37AudiencesAreDistinct: a service's token for one internal API is
// of no use at another.
func TestVulnerability37AudiencesAreDistinct(t *testing.T) {
	t.Parallel()
	h := middleware.Chain(&seen{}, middleware.Authenticate(newVerifier(t, 0)))
	for _, aud := range []any{"iam-service", "Parse-Service", "parse-service ", []string{}, []string{"a", "b"}, nil, 7} {
		if got := serve(t, h, mint(t, serviceClaims("document-service", "").with("aud", aud)), ""); got.status != http.StatusUnauthorized {
			t.Errorf("aud %v: %+v", aud, got)
		}
	}
}

// TestRuleA2ForeignServiceHasNoBareName: AllowedServices compares whole names.
func TestRuleA2ForeignServiceHasNoBareName(t *testing.T) {
	t.Parallel()
	v := knowing{countersign.Principal{Service: countersign.Service{Name: "https://idp.example.com/document-service"}}}
	for name, want := range map[string]int{
		"document-service": 403, "https://idp.example.com/": 403, "*": 403, "https://idp.example.com/document-service": 200,
	} {
		h := middleware.Chain(&seen{}, middleware.Authenticate(v), middleware.AllowedServices(name))
		if got := serve(t, h, "token", ""); got.status != want {
			t.Errorf("%s: %+v, want %d", name, got, want)
		}
	}
}

// What a verifier should never say is refused all the same.
func TestUnsupportedPrincipals(t *testing.T) {
	t.Parallel()
	user, service := countersign.User{Issuer: "i", Subject: "s"}, countersign.Service{Name: "n"}
	for name, p := range map[string]countersign.Principal{
		"nobody":               {},
		"both":                 {User: user, Service: service},
		"session":              {Session: countersign.Session{AccessKeyID: "ASIA"}},
		"service with session": {Service: service, Session: countersign.Session{AccessKeyID: "ASIA"}},
		"user without subject": {User: countersign.User{Issuer: "i"}},
	} {
		h := middleware.Chain(&seen{}, middleware.Authenticate(knowing{p}, middleware.WithExposeReasons()))
		if got := serve(t, h, "token", ""); got.status != http.StatusUnauthorized || got.Reason != string(countersign.ReasonPrincipalUnsupported) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPrincipalOfBoth(t *testing.T) {
	t.Parallel()
	handler := &seen{}
	h := middleware.Chain(handler, middleware.Authenticate(newVerifier(t, 0)))
	serve(t, h, mint(t, userClaims()), mint(t, serviceClaims("backend-actor", "a b")))
	p := handler.principal
	if p.User.Issuer != usersURL || p.User.Subject != "alice" || p.Service.Name != "backend-actor" || p.Service.UID != "uid-backend-actor" {
		t.Errorf("caller %+v", p)
	}
	if fmt.Sprint(p.Scopes) != "[a b]" || p.Tenant != "" {
		t.Errorf("scopes %v are not the service's, or tenant %q is not the user's", p.Scopes, p.Tenant)
	}
}
