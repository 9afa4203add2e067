package iam_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
)

// theirs and nobodys are the same set of objects: those of beta, and of names that nothing
// has. What an administrator of acme is answered about either is the same, but for the name.
const betaObjects = `kind: Service
name: beta-service
tenant: beta
audiences: [beta-service]
---
kind: Issuer
name: beta-issuer
tenant: beta
url: https://beta.example
subject: user
profile: oidc
audiences: [beta]
---
kind: Role
name: beta-role
tenant: beta
trust: [{service: {names: [beta-service]}}]
---
kind: Bucket
name: beta-bucket
tenant: beta
origin: {s3: {endpoint: "https://s3.us-east-1.amazonaws.com", bucket: beta-bucket, region: us-east-1, credentials: ambient}}
---
kind: RoutePolicy
name: beta-route-policy
tenant: beta
service: beta-service
rules: [{name: a, from: {services: [beta-service]}, to: {methods: [GET], paths: ["/**"]}}]
---
kind: UserRole
name: beta-user-role
tenant: beta
permissions: [users.read]
`

var kindOfCollection = map[string]string{
	"services": "Service", "issuers": "Issuer", "roles": "Role", "buckets": "Bucket", "route-policies": "RoutePolicy", "user-roles": "UserRole", "tenants": "Tenant", "access-keys": "AccessKey",
}

// objectsFor returns the values of a route's parameters that name objects of beta, and of
// nothing.
func objectsFor(o *office, route string) (theirs, nobodys [][2]string) {
	user, stranger := id(o.people, "bill"), id(o.people, "stranger")
	switch {
	case strings.Contains(route, "/tenants/{id}"):
		return [][2]string{{"{id}", "beta"}}, [][2]string{{"{id}", "zeta"}}
	case strings.Contains(route, "/logins/{id}"):
		return [][2]string{{"{id}", "beta"}}, [][2]string{{"{id}", "zeta"}}
	case strings.Contains(route, "/users/{id}"):
		return [][2]string{{"{id}", user}}, [][2]string{{"{id}", stranger}}
	case strings.Contains(route, "/resources/{kind}/{name}"):
		for _, kind := range []string{"Service", "Issuer", "Role", "Bucket", "RoutePolicy", "UserRole", "AccessKey"} {
			word := map[string]string{"RoutePolicy": "route-policy", "UserRole": "user-role", "AccessKey": "access-key"}[kind]
			if word == "" {
				word = strings.ToLower(kind)
			}
			theirs = append(theirs, [2]string{"{kind}/{name}", kind + "/beta-" + word})
			nobodys = append(nobodys, [2]string{"{kind}/{name}", kind + "/zeta-" + word})
		}
		return append(theirs, [2]string{"{kind}/{name}", "Tenant/beta"}), append(nobodys, [2]string{"{kind}/{name}", "Tenant/zeta"})
	case strings.Contains(route, "{name}"):
		for collection, kind := range kindOfCollection {
			if strings.Contains(route, "/"+collection+"/") {
				word := map[string]string{"RoutePolicy": "route-policy", "UserRole": "user-role", "AccessKey": "access-key"}[kind]
				if word == "" {
					word = strings.ToLower(kind)
				}
				return [][2]string{{"{name}", "beta-" + word}}, [][2]string{{"{name}", "zeta-" + word}}
			}
		}
	}
	return nil, nil
}

var bodies = map[string]string{
	"PUT /tenants/{id}": `{"display_name":"mine"}`, "PATCH /admin/users/{id}": `{"disabled":true}`,
}

var requestIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// An administrator of one tenant × every route × objects of another tenant: they are not
// there, and nothing tells them from what is not (RULES A6, vulnerabilities 31).
func TestRuleA6TenantsAreIsolated(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, betaObjects)
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "bill", "beta")
	must(t, err)
	_, _, err = o.admin.CreateAccessKey(t.Context(), local, admin.AccessKeySpec{Name: "beta-access-key", Service: "beta-service", Role: "beta-role"})
	must(t, err)
	before := o.everything(t)
	tried := 0
	for route, of := range o.families(t) {
		if of == machines || of == "public" {
			continue
		}
		theirs, nobodys := objectsFor(o, route)
		if strings.Contains(route, "{") && theirs == nil {
			if !strings.Contains(route, "/resources/{kind}") && of != platform {
				t.Errorf("%s: no object of another tenant is known for it", route)
			}
			continue
		}
		for i := range theirs {
			for _, revision := range []string{"*", `"1"`, `"7"`} {
				ask := func(object [2]string) string {
					method, path, _ := strings.Cut(route, " ")
					path = strings.NewReplacer(object[0], object[1], "{role}", "member").Replace(path)
					got := o.as(t, o.ann, method, path, bodies[route], "If-Match", revision)
					if got.status != 403 && got.status != 404 {
						t.Errorf("%s %s: %d %s", route, object[1], got.status, got.body)
					}
					tried++
					text := fmt.Sprint(got.status, got.header.Get("ETag"), requestIDs.ReplaceAllString(got.body, ""))
					return strings.NewReplacer("beta", "X", "zeta", "X").Replace(text)
				}
				if one, other := ask(theirs[i]), ask(nobodys[i]); one != other {
					t.Errorf("%s: what is there is told from what is not:\n%s\n%s", route, one, other)
				}
			}
		}
	}
	if tried < 150 {
		t.Errorf("only %d requests were tried", tried)
	}
	// Lists, and the tenant as a hint.
	for route, of := range o.families(t) {
		if method, path, _ := strings.Cut(route, " "); method == "GET" && !strings.Contains(path, "{") && of != public {
			if got := o.as(t, o.ann, "GET", path, ""); strings.Contains(got.body, "beta") {
				t.Errorf("%s tells of beta: %s", route, got.body)
			}
			if got := o.as(t, o.ann, "GET", path, "", "X-Active-Tenant-ID", "beta"); got.status != 403 {
				t.Errorf("%s in beta: %d", route, got.status)
			}
		}
	}
	o.writesIntoBeta(t)
	if after := o.everything(t); before != after {
		t.Errorf("something of beta was changed:\n%s\n%s", before, after)
	}
}

// writesIntoBeta tries what names beta in a body.
func (o *office) writesIntoBeta(t *testing.T) {
	t.Helper()
	o.as(t, o.ann, "POST", "/admin/services", `{"name":"new","tenant":"beta"}`).want(t, 403)
	o.as(t, o.ann, "POST", "/admin/services", `{"name":"new"}`).want(t, 403)
	o.as(t, o.ann, "POST", "/admin/services", `{"name":"beta-service","tenant":"acme"}`).want(t, 409)
	o.as(t, o.ann, "POST", "/admin/services", `{"name":"new","tenant":"acme","audiences":["beta-service"]}`).want(t, 403)
	for _, body := range []string{`{"name":"new","service":"beta-service","role":"beta-role"}`, `{"name":"new","service":"zeta","role":"beta-role"}`} {
		if got := o.as(t, o.ann, "POST", "/admin/access-keys", body); got.status != 403 && got.status != 404 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	for _, body := range []string{`{"service":"beta-service"}`, `{"role":"beta-role"}`, `{"service":"zeta"}`, `{"role":"zeta"}`} {
		o.as(t, o.ann, "POST", "/admin/revocations", body).want(t, 404)
	}
	for _, body := range []string{`{"all":true}`, `{"issuer":"https://beta.example"}`, `{"issuer":"https://people.example","subject":"bill"}`, `{"jti":"x"}`, `{"session":"ASIA2222222222222222"}`} {
		o.as(t, o.ann, "POST", "/admin/revocations", body).want(t, 403)
	}
	for _, document := range strings.Split(betaObjects, "---\n") {
		for _, text := range []string{document, strings.Replace(document, "tenant: beta", "tenant: acme", 1), strings.Replace(document, "tenant: beta\n", "", 1)} {
			for _, dry := range []bool{true, false} {
				body, err := json.Marshal(iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: text}}, DryRun: dry})
				must(t, err)
				got := o.as(t, o.ann, "POST", "/admin/resources", string(body))
				if got.status < 400 || strings.Contains(got.body, `"before"`) {
					t.Errorf("%s: %d %s", text, got.status, got.body)
				}
			}
		}
	}
}

// everything is all objects and users of beta as the local administrator sees them.
func (o *office) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, kind := range []string{"Service", "Issuer", "Role", "Bucket", "RoutePolicy", "UserRole", "AccessKey", "Tenant"} {
		all.WriteString(o.ask(t, ask{method: "GET", path: "/admin/resources/" + kind, local: true}).body)
	}
	all.WriteString(o.ask(t, ask{method: "GET", path: "/admin/users", local: true, tenant: "beta"}).body)
	return all.String()
}
