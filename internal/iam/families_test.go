package iam_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/iamclient"
)

// family is who may come in at all.
type family string

const (
	platform  family = "platform"  // super-admins
	users     family = "users"     // users
	resources family = "resources" // users, and services with iam:apply
	machines  family = "machines"  // services
	public    family = "public"    // everybody: what they bring is in the body
)

// routeFamilies are all routes: a route that is missing here fails the test.
var routeFamilies = map[string]family{
	"GET /me": users, "GET /me/tenants": users,
	"GET /tenants": users, "GET /tenants/{id}": users, "PUT /tenants/{id}": users, "DELETE /tenants/{id}": users,
	"GET /admin/users": users, "POST /admin/users": users, "GET /admin/users/{id}": users, "PATCH /admin/users/{id}": users, "DELETE /admin/users/{id}": users,
	"PUT /admin/users/{id}/roles/{role}": users, "DELETE /admin/users/{id}/roles/{role}": users,
	"POST /admin/services/{name}/disable": users, "POST /admin/services/{name}/enable": users, "POST /admin/access-keys": users, "POST /admin/revocations": users, "GET /admin/sessions": users,
	"GET /admin/keys": platform, "POST /admin/keys/rotate": platform, "POST /admin/keys/rewrap": platform,
	"GET /admin/audit/events": platform, "POST /admin/audit/verify": platform, "GET /admin/backup": platform,
	"POST /admin/login-codes": platform, "GET /admin/logins": platform, "DELETE /admin/logins/{id}": platform, "POST /login": public, "GET /login": public,
	"POST /system/users/query": machines, "POST /system/enrich": machines, "POST /system/audit/events": machines, "GET /system/route-policies/{service}": machines,
}

// families returns every served route with its family.
func (r *rig) families(t *testing.T) map[string]family {
	t.Helper()
	found := make(map[string]family)
	for _, route := range r.api.Routes() {
		method, path, ok := strings.Cut(route.Pattern, " ")
		if !ok || path == iam.OpenAPIPath {
			continue
		}
		route := method + " " + strings.TrimPrefix(path, iamclient.BasePath)
		of, known := routeFamilies[route]
		switch {
		case known:
		case strings.HasPrefix(route, method+" /admin/"): // the kinds
			of = resources
		default:
			t.Errorf("%s belongs to no family", route)
		}
		found[route] = of
	}
	return found
}

func (o *office) try(t *testing.T, route string, a ask) reply {
	t.Helper()
	var path string
	a.method, path, _ = strings.Cut(route, " ")
	a.path = strings.NewReplacer("{id}", "acme", "{name}", "bff", "{service}", "bff", "{role}", "member", "{kind}", "Service").Replace(path)
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header["If-Match"] = "*"
	if a.method == http.MethodPost || a.method == http.MethodPut || a.method == http.MethodPatch {
		a.body = `{}`
	}
	return o.ask(t, a)
}

// RULES G3, C4: a service's token alone opens no user's route, whatever its scopes, and a
// user's no machine's, whatever it says, alone or beside a service's.
func TestRuleG3FamiliesAreApart(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, o.people.document("people", "may_assert: {tenants: [acme, beta], roles: {admins: tenant-admin}, scopes: [iam:apply, audit:write]}\n"))
	all := o.token(t, "bff", "iam-service", "s2s:internal audit:write iam:admin")
	loud := o.people.token(t, "ann", map[string]any{"tenant": "acme", "roles": []string{"admins"}, "scope": "s2s:internal iam:apply audit:write", "service_id": "bff", "client_id": "bff"})
	for route, of := range o.families(t) {
		if of == public {
			continue
		}
		alone := o.try(t, route, ask{bearer: all})
		switch of {
		case users, platform, resources:
			if alone.status != 403 || alone.problem.Reason != string(countersign.ReasonUserRequired) {
				t.Errorf("%s: a service alone: %d %s", route, alone.status, alone.body)
			}
		case machines:
			for name, a := range map[string]ask{"a user": {bearer: loud}, "a user with a service": {bearer: loud, service: all}} {
				if strings.Contains(route, "route-policies") {
					continue // it takes services' tokens alone: others are no tokens there
				}
				if got := o.try(t, route, a); got.status != 403 || got.problem.Reason != string(countersign.ReasonUserNotAllowed) {
					t.Errorf("%s: %s: %d %s", route, name, got.status, got.body)
				}
			}
			if got := o.try(t, route, ask{local: true}); got.status < 400 {
				t.Errorf("%s: the local administrator is no service: %d", route, got.status)
			}
		}
		if of == platform {
			if got := o.try(t, route, ask{bearer: o.ann}); got.status != 403 || got.problem.Reason != string(countersign.ReasonNotAdministrator) {
				t.Errorf("%s: a tenant's administrator: %d %s", route, got.status, got.body)
			}
		}
		for name, a := range map[string]ask{
			"a bad second token": {bearer: o.ann, service: "x.y.z"}, "a user as the service": {bearer: o.ann, service: o.bob},
			"a service as the user": {bearer: all, service: all}, "a service alone in the second": {service: all},
			"another audience": {bearer: o.people.token(t, "ann", map[string]any{"aud": "other"})}, "our audience, not listed": {bearer: o.people.token(t, "ann", map[string]any{"aud": "iam-service"})},
			"expired": {bearer: o.people.token(t, "ann", map[string]any{"exp": 1})}, "another issuer": {bearer: o.people.token(t, "ann", map[string]any{"iss": "https://evil.example"})},
			"another audience's service": {bearer: o.ann, service: o.token(t, "bff", "parse-service", "iam:admin")},
		} {
			if got := o.try(t, route, a); got.status != 401 {
				t.Errorf("%s: %s: %d %s", route, name, got.status, got.body)
			}
		}
	}
}

// RULES G3: what each mode wants of a user's request.
func TestRuleG3Modes(t *testing.T) {
	t.Parallel()
	type want struct {
		status int
		reason countersign.Reason
	}
	for mode, wants := range map[iam.Mode]map[string]want{
		iam.Forward: {"user": {200, ""}, "user and service": {200, ""}, "user and admin": {200, ""}, "service": {403, countersign.ReasonUserRequired}, "admin": {403, countersign.ReasonUserRequired}},
		iam.S2S: {"user": {403, countersign.ReasonServiceRequired}, "user and service": {403, countersign.ReasonScopeMissing}, "user and admin": {200, ""},
			"service": {403, countersign.ReasonUserRequired}, "admin": {403, countersign.ReasonUserRequired}},
	} {
		o := newOffice(t, rigConfig{exposeReasons: true, mode: mode})
		plain := o.token(t, "bff", "iam-service", "iam:administer iam:adminx")
		callers := map[string]ask{
			"user": {bearer: o.ann}, "user and service": {bearer: o.ann, service: plain}, "user and admin": {bearer: o.ann, service: o.service},
			"service": {bearer: plain}, "admin": {bearer: o.token(t, "bff", "iam-service", "iam:admin")},
		}
		for name, w := range wants {
			for _, route := range []string{"GET /me", "GET /tenants/{id}", "GET /admin/users"} {
				got := o.try(t, route, callers[name])
				if got.status != w.status || got.problem.Reason != string(w.reason) {
					t.Errorf("%s: %s: %s: %d %s", mode, name, route, got.status, got.body)
				}
				if w.reason == countersign.ReasonScopeMissing && !strings.Contains(got.header.Get("WWW-Authenticate"), `scope="iam:admin"`) {
					t.Errorf("challenge %q", got.header.Get("WWW-Authenticate"))
				}
			}
		}
		// Nobody's id in a header is an identity.
		for _, a := range []ask{{}, {bearer: o.service}} {
			a.header = map[string]string{"X-User-Id": id(o.people, "boss"), "X-User-Roles": "super-admin", "X-Tenant-Id": "acme"}
			if got := o.try(t, "GET /me", a); got.status != 401 && got.status != 403 {
				t.Errorf("%s: a bare id: %d", mode, got.status)
			}
		}
	}
}

func TestBothIdentitiesAreRecorded(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{})
	got := o.ask(t, ask{method: "PUT", path: "/tenants/acme", body: `{"display_name":"A"}`, bearer: o.ann, service: o.service, header: map[string]string{"If-Match": "*"}}).want(t, 200)
	_ = got
	events := o.Events(t, audit.Query{Action: "tenant.change", Decision: audit.Changed})
	if len(events) != 1 || events[0].User != "ann" || events[0].UserIssuer != o.people.url || events[0].Service != "bff" || events[0].ServiceUID == "" {
		t.Errorf("events %+v", events)
	}
	o.ask(t, ask{method: "PUT", path: "/tenants/acme", body: `{}`, bearer: o.eve, service: o.service}).want(t, 428)
	refused := o.Events(t, audit.Query{Action: "tenant.change", Decision: audit.Refused})
	if len(refused) != 1 || refused[0].Actor != "user:https://people.example|eve" {
		t.Errorf("refused %+v", refused)
	}
}

// Headers that say who somebody is, sent by a client, change nothing: neither the answer nor
// the event (vulnerabilities 35).
func TestIdentityHeadersOfClientsSayNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	said := map[string]string{
		"X-User-Id": id(o.people, "boss"), "X_User_Id": "boss", "X-User-Roles": "super-admin", "X-Service-Id": "bff", "X-Scopes": "s2s:internal", "X-Tenant-Id": "beta",
		"X-Countersign-Assertion": "e30.e30.e30", "X-Forwarded-User": "boss", "X-Amzn-Oidc-Identity": "boss", "X-Original-Method": "DELETE", "X-Http-Method-Override": "DELETE",
	}
	for route := range o.families(t) {
		for name, a := range map[string]ask{"nobody": {}, "a member": {bearer: o.eve}, "an administrator": {bearer: o.ann}} {
			if strings.HasPrefix(route, "PUT ") || strings.HasPrefix(route, "DELETE ") || strings.HasPrefix(route, "P") {
				a.tenant = "" // a write that would succeed can't be compared
			}
			plain := o.try(t, route, a)
			b := a
			b.header = map[string]string{}
			for k, v := range said {
				b.header[k] = v
			}
			with := o.try(t, route, b)
			strip := func(g reply) string { return strings.ReplaceAll(g.body, g.problem.RequestID, "") }
			if plain.status != with.status || strip(plain) != strip(with) {
				t.Errorf("%s: %s: %d %s, with headers %d %s", route, name, plain.status, plain.body, with.status, with.body)
			}
		}
	}
}

// X-Active-Tenant-ID is a hint: it narrows, and never widens.
func TestActiveTenantIsVerified(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "ann", "beta")
	must(t, err)
	get := func(token, path, tenant string) reply {
		t.Helper()
		return o.ask(t, ask{method: "GET", path: path, bearer: token, tenant: tenant})
	}
	get(o.ann, "/me", "").want(t, 200, `"tenant":"acme"`)
	get(o.ann, "/me", "beta").want(t, 200, `"tenant":"beta"`, `"roles":["member"]`, `"permissions":[]`)
	get(o.ann, "/tenants/acme", "beta").want(t, 404)
	get(o.ann, "/admin/users", "beta").want(t, 403)
	member := string(countersign.ReasonTenantNotMember)
	a, b := get(o.ann, "/me", "gamma").want(t, 403, member), get(o.kim, "/me", "beta").want(t, 403, member)
	if strings.ReplaceAll(a.body, a.problem.RequestID, "") != strings.ReplaceAll(b.body, b.problem.RequestID, "") {
		t.Errorf("a tenant that is there is told from one that is not: %s %s", a.body, b.body)
	}
	get(o.boss, "/me", "").want(t, 200, `"tenant":""`, `"super_admin":true`)
	get(o.boss, "/me", "acme").want(t, 200, `"tenant":"acme"`, `"super_admin":false`)
	get(o.boss, "/tenants/beta", "acme").want(t, 404)
	get(o.boss, "/me", "gamma").want(t, 403, member)
	get(o.ann, "/me", "Beta").want(t, 400)
	get(o.eve, "/me", "").want(t, 200, `"tenant":""`, `"roles":[]`, `"super_admin":false`) // her claims mean nothing: RULES A4
	get(o.eve, "/admin/users", "").want(t, 400)
}

// RULES A6: the local administrator and one who logged in narrow as a super-admin who is a user
// does, and name no tenant that is not there.
func TestRuleA6ActiveTenantNarrowsEveryAdministrator(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, "kind: Service\nname: theirs\ntenant: beta\n---\nkind: Service\nname: ours\ntenant: acme\n")
	login := o.logIn(t)
	for name, send := range map[string]func(method, path, tenant, body string) reply{
		"local": func(method, path, tenant, body string) reply {
			return o.ask(t, ask{method: method, path: path, body: body, local: true, tenant: tenant})
		},
		"a login": func(method, path, tenant, body string) reply {
			return o.askAs(t, login, ask{method: method, path: path, body: body, tenant: tenant})
		},
	} {
		t.Log(name)
		send("GET", "/me", "", "").want(t, 200, `"super_admin":true`, `"roles":["super-admin"]`)
		send("GET", "/me", "acme", "").want(t, 200, `"tenant":"acme"`, `"super_admin":false`, `"roles":["tenant-admin"]`)
		if got := send("GET", "/admin/services", "acme", "").want(t, 200, `"ours"`); strings.Contains(got.body, "theirs") || strings.Contains(got.body, "bff") {
			t.Errorf("others' are listed: %s", got.body)
		}
		send("GET", "/admin/services/theirs", "acme", "").want(t, 404)
		send("GET", "/tenants/beta", "acme", "").want(t, 404)
		send("GET", "/admin/keys", "acme", "").want(t, 403)
		send("GET", "/admin/backup", "acme", "").want(t, 403)
		send("POST", "/admin/services", "acme", `{"name":"more","tenant":"beta"}`).want(t, 403)
		send("POST", "/admin/services", "acme", `{"name":"more","tenant":"acme","scopes":["s2s:internal"]}`).want(t, 403)
		for _, tenant := range []string{"gamma", "nobody"} {
			send("GET", "/admin/services", tenant, "").want(t, 403, string(countersign.ReasonTenantNotMember))
			send("GET", "/me", tenant, "").want(t, 403)
		}
		send("GET", "/me", "Acme", "").want(t, 400)
	}
}

// RULES G4: a service with iam:apply writes objects of its own label and tenant.
func TestRuleG4ServicesApplyTheirOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, "kind: Service\nname: pipeline\ntenant: acme\nscopes: [iam:apply, orders:read]\naudiences: [iam-service, orders]\n---\nkind: Service\nname: orders\nshared_with: [acme]\n---\n"+
		"kind: Service\nname: theirs\ntenant: beta\n---\nkind: Service\nname: unlabelled\ntenant: acme\n")
	token := o.token(t, "pipeline", "iam-service", "iam:apply")
	apply := func(in iamclient.Apply) reply {
		t.Helper()
		body, err := json.Marshal(in)
		must(t, err)
		return o.as(t, token, "POST", "/admin/resources", string(body))
	}
	one := func(document string) iamclient.Apply {
		return iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: document}}}
	}
	mine := "kind: Service\nname: worker\ntenant: acme\nscopes: [orders:read]\naudiences: [orders, pipeline]\n"
	apply(one(mine)).want(t, 200, `"owner":"pipeline"`)
	o.as(t, token, "GET", "/admin/services", "").want(t, 200, "worker", "unlabelled")
	if got := o.as(t, token, "GET", "/admin/services", ""); strings.Contains(got.body, "theirs") || strings.Contains(got.body, `"bff"`+`,"uid"`) {
		t.Errorf("it sees others': %s", got.body)
	}
	for name, in := range map[string]iamclient.Apply{
		"another owner":        {Owner: "other", Files: one("kind: Service\nname: x\ntenant: acme\n").Files},
		"another tenant":       one("kind: Service\nname: x\ntenant: beta\n"),
		"the platform":         one("kind: Service\nname: x\n"),
		"a scope it lacks":     one("kind: Service\nname: x\ntenant: acme\nscopes: [orders:write]\n"),
		"s2s:internal":         one("kind: Service\nname: x\ntenant: acme\nscopes: [s2s:internal]\n"),
		"the IAM's audience":   one("kind: Service\nname: x\ntenant: acme\naudiences: [iam-service]\n"),
		"another's audience":   one("kind: Service\nname: x\ntenant: acme\naudiences: [theirs]\n"),
		"a tenant":             one("kind: Tenant\nname: gamma\n"),
		"its own tenant":       one("kind: Tenant\nname: acme\ndisplay_name: mine\n"),
		"a user role":          one("kind: UserRole\nname: x\ntenant: acme\npermissions: [users.write]\n"),
		"a role by the issuer": one(newPeople(t, o.rig, "https://o.example").document("x", "tenant: acme\nmay_assert: {tenants: [acme], roles: {a: tenant-admin}}\n")),
		"a private address":    one("kind: Issuer\nname: x\ntenant: acme\nurl: https://o.example\nsubject: user\nprofile: oidc\naudiences: [a]\nallow_private_addresses: true\n"),
		"prune of another":     {Owner: "other", Prune: true},
	} {
		if got := apply(in); got.status != 403 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	apply(one("kind: Service\nname: theirs\ntenant: acme\n")).want(t, 409, string(countersign.ReasonNameTaken))
	apply(one("kind: Service\nname: unlabelled\ntenant: acme\nscopes: [orders:read]\n")).want(t, 403, string(countersign.ReasonOwnerMismatch))
	o.as(t, token, "DELETE", "/admin/services/unlabelled", "", "If-Match", "*").want(t, 403)
	o.as(t, token, "DELETE", "/admin/services/theirs", "", "If-Match", "*").want(t, 404)
	o.as(t, token, "DELETE", "/admin/services/nobody", "", "If-Match", "*").want(t, 404)
	o.as(t, token, "POST", "/admin/services/worker/disable", "", "If-Match", "*").want(t, 403) // operators' (RULES A9)
	o.as(t, token, "POST", "/admin/services/unlabelled/rotate", "", "If-Match", "*").want(t, 403)
	o.as(t, token, "POST", "/admin/services/worker/rotate", "", "If-Match", "*").want(t, 200)
	o.as(t, token, "POST", "/admin/services", `{"name":"more","tenant":"acme"}`).want(t, 403) // without its label
	o.as(t, token, "POST", "/admin/services", `{"name":"more","tenant":"acme","owner":"pipeline"}`).want(t, 201)
	o.as(t, token, "GET", "/tenants/acme", "").want(t, 403)
	o.as(t, token, "GET", "/admin/users", "").want(t, 403)
	in := one(mine)
	in.Prune = true
	apply(in).want(t, 200, `"pruned"`) // more
	o.as(t, token, "GET", "/admin/services/more", "").want(t, 404)
	o.as(t, token, "GET", "/admin/services/unlabelled", "").want(t, 200)
}
