package sts_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/authtest"
)

const (
	globexIssuer = `
kind: Issuer
name: globex-idp
tenant: globex
url: %ISSUER%
subject: workload
profile: oidc
audiences: [globex]
may_assert: {tenants: [globex]}
`
	acmeRoles = `
kind: Role
name: acme-writer
tenant: acme
trust:
  - oidc: {issuer: globex-idp, subject_conditions: ["build:*"]}
  - service: {names: ["shared-*"]}
permissions:
  - {bucket: documents, prefixes: ["acme/"], actions: [get_object]}
`
)

func ofRole(name string) func(*sts.AssumeRoleWithWebIdentityInput) {
	return func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String("arn:aws:iam::000000000000:role/" + name)
	}
}

// TestRuleA6 holds that each decision looks again at a reference across tenants: what was
// shared when the role was saved may not be any more.
func TestRuleA6SharingEndsWithTheIssuersDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := authtest.NewUserIssuer(t, "globex")
	foreign.Clock = w.Clock
	document := strings.ReplaceAll(globexIssuer, "%ISSUER%", foreign.URL)
	w.Apply(t, document+"shared_with: [acme]\n---"+acmeRoles)
	out, err := w.assume(t, foreign.Token(t, "build:main", nil), ofRole("acme-writer"))
	if err != nil {
		t.Fatal(err)
	}
	w.alive(t, out.Credentials)
	w.Apply(t, document)
	if _, err := w.assume(t, foreign.Token(t, "build:main", nil), ofRole("acme-writer")); errorCode(err) != "AccessDenied" {
		t.Errorf("the issuer is not shared any more: %v", err)
	}
	if got := w.reason(t, "assume"); got != "role_tenant" {
		t.Errorf("reason %s", got)
	}
	w.ended(t, out.Credentials, "InvalidClientTokenId", "session_ended")
}

// TestRuleA6 holds that a pattern of names reaches a service of another tenant, or of the
// platform, only where that is shared.
func TestRuleA6PatternsOfNamesStayInTheTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := authtest.NewUserIssuer(t, "globex")
	w.Apply(t, strings.ReplaceAll(globexIssuer, "%ISSUER%", foreign.URL)+
		"shared_with: [acme]\n---"+acmeRoles)
	for _, test := range []struct {
		name, fields, code string
	}{
		{"shared-own", "tenant: acme\n", ""},
		{"shared-platform", "", "AccessDenied"},
		{"shared-globex", "tenant: globex\n", "AccessDenied"},
		{"shared-with-initech", "tenant: globex\nshared_with: [initech]\n", "AccessDenied"},
		{"shared-with-acme", "tenant: globex\nshared_with: [acme]\n", ""},
		{"shared-platform-acme", "shared_with: [acme]\n", ""},
	} {
		service := "kind: Service\nname: " + test.name + "\naudiences: [sts]\ntrust:\n  - oidc: {issuer: workloads, subject_conditions: [\"build:*\"]}\n"
		w.Apply(t, service+test.fields)
		out, err := w.assume(t, w.serviceToken(t, test.name), ofRole("acme-writer"))
		if errorCode(err) != test.code {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
		if err != nil || !strings.Contains(test.fields, "shared_with") {
			continue
		}
		w.Apply(t, service+strings.Split(test.fields, "shared_with")[0])
		w.ended(t, out.Credentials, "InvalidClientTokenId", "session_ended")
	}
}

// serviceToken is one for the STS that a service gets by its trust of the foreign issuer.
func (w *world) serviceToken(t *testing.T, name string) string {
	t.Helper()
	response, err := http.PostForm(w.URL+"/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "audience": {"sts"}, "client_id": {name},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {w.token(t, "build:main", nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || got.Token == "" {
		t.Fatalf("%s: status %d, %v", name, response.StatusCode, err)
	}
	return got.Token
}

// TestRuleA6 holds that GitHub's URL in a tenant's document, with keys of its own, makes nobody
// a workflow of GitHub elsewhere.
func TestRuleA6IssuersByURLAreThePlatformsOrOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := authtest.NewUserIssuer(t, "globex")
	foreign.Clock = w.Clock
	const github = "https://token.actions.githubusercontent.com"
	takeover := strings.NewReplacer("%ISSUER%", github, "name: globex-idp", "name: globex-github").Replace(globexIssuer) +
		"jwks_uri: " + foreign.URL + "/keys\nallow_private_addresses: true\nshared_with: [acme]\n"
	w.Apply(t, takeover+`
---
kind: Role
name: deploy
trust:
  - github: {repository: acme/docs, ref: refs/heads/main}
permissions:
  - {bucket: documents, prefixes: [""], actions: [get_object]}
---
kind: Role
name: acme-deploy
tenant: acme
trust:
  - github: {repository: acme/docs, ref: refs/heads/main}
permissions:
  - {bucket: documents, prefixes: [""], actions: [get_object]}
---
kind: Role
name: globex-deploy
tenant: globex
trust:
  - github: {repository: acme/docs, ref: refs/heads/main}
permissions:
  - {bucket: documents, prefixes: [""], actions: [get_object]}
`)
	forged := foreign.Token(t, "repo:acme/docs:ref:refs/heads/main", map[string]any{"iss": github, "repository": "acme/docs", "ref": "refs/heads/main"})
	for role, code := range map[string]string{"deploy": "AccessDenied", "acme-deploy": "AccessDenied", "globex-deploy": ""} {
		if _, err := w.assume(t, forged, ofRole(role)); errorCode(err) != code {
			t.Errorf("%s: %v, want %q", role, err, code)
		}
	}
}

// TestRuleA6 holds that a token makes nobody a service of one tenant with the rights of
// another, though its issuer may speak for both.
func TestRuleA6ServiceOfOneTenantIsNotOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := authtest.NewUserIssuer(t, "pool")
	pool.Clock = w.Clock
	w.Apply(t, `
kind: Issuer
name: pool
url: `+pool.URL+`
subject: service
profile: oidc
audiences: [pool]
claims: {service: service_name}
may_assert: {tenants: [acme, globex]}
---
kind: Service
name: acme-service
tenant: acme
trust:
  - oidc: {issuer: pool, subject_conditions: ["build:*"]}
---
kind: Role
name: by-tenant
trust:
  - oidc: {issuer: pool, subject_conditions: ["build:*"], condition: 'service.name == "acme-service"'}
permissions:
  - {bucket: documents, prefixes: ["{tenant}/{service}/"], actions: [get_object]}
`)
	for tenant, code := range map[string]string{"acme": "", "": "", "globex": "AccessDenied"} {
		claims := map[string]any{"service_name": "acme-service"}
		if tenant != "" {
			claims["tenant"] = tenant
		}
		if _, err := w.assume(t, pool.Token(t, "build:main", claims), ofRole("by-tenant")); errorCode(err) != code {
			t.Errorf("tenant %q: %v, want %q", tenant, err, code)
		}
	}
}
