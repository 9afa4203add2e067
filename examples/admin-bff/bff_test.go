package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/verify"
)

// world is Countersign, an identity provider, and the program.
type world struct {
	srv    *authtest.Server
	people *authtest.UserIssuer
	bff    *authtest.Identity
	url    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{srv: authtest.New(t, "COUNTERSIGN_DIRECTORIES_LOCAL=true"), people: authtest.NewUserIssuer(t, "admin-console")}
	w.srv.Apply(t, `
kind: Tenant
name: acme
---
kind: Tenant
name: beta
---
kind: Issuer
name: people
url: `+w.people.URL+`
subject: user
profile: oidc
audiences: [admin-console]
may_assert: {tenants: [acme, beta], roles: {admins: tenant-admin}}
`)
	w.bff = w.srv.CreateService(t, "admin-bff", authtest.Service{Scopes: []string{"s2s:internal"}, Audiences: []string{"iam-service"}})
	verifier, err := verify.New(verify.Config{Issuers: []verify.Issuer{w.people.Trust()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	handler, err := newBFF(w.srv.URL, w.bff.Source, verifier)
	if err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(handler)
	t.Cleanup(page.Close)
	w.url = page.URL
	return w
}

func (w *world) ask(t *testing.T, method, target, token, body string, headers ...string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

func want(t *testing.T, what string, status int, text string, wanted int, part string) {
	t.Helper()
	if status != wanted || !strings.Contains(text, part) {
		t.Errorf("%s: %d %s, want %d with %q", what, status, text, wanted, part)
	}
}

// The story: the administrator's token for tenants, the program's own for the directory, and
// neither in the place of the other.
func TestStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anna := w.people.Token(t, "anna", map[string]any{"tenant": "acme", "roles": []string{"admins"}})
	mia := w.people.Token(t, "mia", map[string]any{"tenant": "acme"})
	machine := w.bff.Token(t, "iam-service").Reveal()
	iam := w.srv.URL + "/api/iam/v1"

	status, text := w.ask(t, "PUT", w.url+"/api/tenants/acme", anna, `{"display_name":"Acme Inc."}`, "If-Match", `"1"`)
	want(t, "rename", status, text, 200, "Acme Inc.")
	status, text = w.ask(t, "PUT", w.url+"/api/tenants/beta", anna, `{"display_name":"mine"}`, "If-Match", "*")
	want(t, "another tenant", status, text, 404, "")
	status, text = w.ask(t, "PUT", w.url+"/api/tenants/acme", mia, `{"display_name":"mine"}`, "If-Match", "*")
	want(t, "a member", status, text, 403, "")
	status, text = w.ask(t, "PUT", w.url+"/api/tenants/acme", mia, `{"display_name":"mine"}`, "If-Match", "*", "X-User-Roles", "super-admin")
	want(t, "a member with headers", status, text, 403, "")
	status, text = w.ask(t, "PUT", w.url+"/api/tenants/acme", "", `{}`)
	want(t, "nobody", status, text, 401, "")
	status, text = w.ask(t, "PUT", iam+"/tenants/acme", machine, `{"display_name":"mine"}`, "If-Match", "*")
	want(t, "the machine's token", status, text, 403, "user_required")

	status, text = w.ask(t, "POST", iam+"/admin/users", anna, `{"issuer":"`+w.people.URL+`","subject":"mia"}`)
	want(t, "add", status, text, 201, "mia")
	_, rest, _ := strings.Cut(text, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	status, text = w.ask(t, "PATCH", w.url+"/api/users/"+id, anna, `{"email":"mia@acme.example"}`, "If-Match", "*")
	want(t, "patch", status, text, 200, "mia@acme.example")
	status, text = w.ask(t, "POST", w.url+"/api/lookup", anna, `{"emails":["mia@acme.example","nobody@acme.example"]}`)
	want(t, "look up", status, text, 200, `"subject":"mia"`)
	want(t, "look up", status, text, 200, "not_found")
	status, text = w.ask(t, "POST", w.url+"/api/lookup", mia, `{"emails":["mia@acme.example"]}`)
	want(t, "a member looks up", status, text, 403, "")
	bob := w.people.Token(t, "bob", map[string]any{"tenant": "beta", "roles": []string{"admins"}})
	status, text = w.ask(t, "POST", w.url+"/api/lookup", bob, `{"emails":["mia@acme.example"]}`)
	want(t, "another tenant's administrator looks up", status, text, 200, `"users":[],"error":"not_found"`)
	status, text = w.ask(t, "POST", iam+"/system/users/query", anna, `{"emails":["mia@acme.example"]}`)
	want(t, "a user's token", status, text, 403, "user_not_allowed")

	status, text = w.ask(t, "GET", w.url+"/", "", "")
	want(t, "the page", status, text, 200, "Tenants and people")
	for _, e := range w.srv.Events(t) {
		if e.Action == "tenant.change" && e.Decision == "changed" && (e.User != "anna" || e.Service != "admin-bff") {
			t.Errorf("the change is recorded without both: %+v", e)
		}
	}
	w.srv.VerifyAudit(t)
}
