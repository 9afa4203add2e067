package iam_test

import (
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

// adminRoutes are all of them, with what a well-formed request has.
var adminRoutes = []struct{ method, path, body, action string }{
	{"POST", "/admin/services", `{"name":"evil"}`, "service.create"},
	{"GET", "/admin/services", "", "service.list"},
	{"GET", "/admin/services/victim", "", "service.get"},
	{"DELETE", "/admin/services/victim", "", "service.delete"},
	{"POST", "/admin/services/victim/rotate", `{"grace":"0s"}`, "service.rotate"},
	{"POST", "/admin/services/victim/disable", "", "service.disable"},
	{"POST", "/admin/services/victim/enable", "", "service.enable"},
	{"POST", "/admin/revocations", `{"service":"victim"}`, "revoke"},
	{"POST", "/admin/resources", `{"files":[]}`, "apply"},
	{"GET", "/admin/resources/Service", "", "resource.list"},
	{"GET", "/admin/resources/Service/victim", "", "resource.get"},
	{"DELETE", "/admin/resources/Service/victim", "", "resource.delete"},
	{"GET", "/admin/issuers", "", "issuer.list"},
	{"GET", "/admin/issuers/victim", "", "issuer.get"},
	{"DELETE", "/admin/issuers/victim", "", "issuer.delete"},
	{"GET", "/admin/roles", "", "role.list"},
	{"GET", "/admin/roles/victim", "", "role.get"},
	{"DELETE", "/admin/roles/victim", "", "role.delete"},
	{"GET", "/admin/route-policies", "", "route-policy.list"},
	{"GET", "/admin/route-policies/victim", "", "route-policy.get"},
	{"DELETE", "/admin/route-policies/victim", "", "route-policy.delete"},
	{"GET", "/admin/user-roles", "", "user-role.list"},
	{"GET", "/admin/user-roles/victim", "", "user-role.get"},
	{"DELETE", "/admin/user-roles/victim", "", "user-role.delete"},
	{"GET", "/admin/sessions", "", "session.list"},
	{"GET", "/admin/buckets", "", "bucket.list"},
	{"GET", "/admin/buckets/victim", "", "bucket.get"},
	{"DELETE", "/admin/buckets/victim", "", "bucket.delete"},
	{"GET", "/admin/access-keys", "", "access-key.list"},
	{"GET", "/admin/access-keys/victim", "", "access-key.get"},
	{"DELETE", "/admin/access-keys/victim", "", "access-key.delete"},
	{"POST", "/admin/access-keys", `{"name":"evil","service":"victim","role":"victim"}`, "access-key.create"},
	{"GET", "/admin/users", "", "user.list"},
	{"POST", "/admin/users", `{"issuer":"https://i","subject":"evil"}`, "user.create"},
	{"GET", "/admin/users/victim", "", "user.get"},
	{"PATCH", "/admin/users/victim", `{"disabled":true}`, "user.change"},
	{"DELETE", "/admin/users/victim", "", "user.delete"},
	{"PUT", "/admin/users/victim/roles/super-admin", "", "user.role.assign"},
	{"DELETE", "/admin/users/victim/roles/super-admin", "", "user.role.remove"},
	{"GET", "/admin/keys", "", "key.list"},
	{"POST", "/admin/keys/rotate", `{}`, "key.rotate"},
	{"POST", "/admin/keys/rewrap", `{}`, "key.rewrap"},
	{"GET", "/admin/audit/events", "", "audit.query"},
	{"POST", "/admin/audit/verify", "", "audit.verify"},
	{"GET", "/admin/backup", "", "backup"},
	{"POST", "/admin/login-codes", "", "login_code.create"},
	{"GET", "/admin/logins", "", "login.list"},
	{"DELETE", "/admin/logins/victim", "", "logout"},
}

func TestAdminRoutesAreAllTested(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	served := 0
	for _, route := range r.api.Routes() {
		if method, path, found := strings.Cut(route.Pattern, " "); found && strings.HasPrefix(path, iamclient.BasePath+"/admin/") {
			served++
			_ = method
		}
	}
	if served != len(adminRoutes) {
		t.Errorf("%d administrative routes are served and %d are in the table", served, len(adminRoutes))
	}
}

// RULES G1, G3, G4: every administrative route × everybody who is neither the local
// administrator nor a user, nor a service that may apply.
func TestRuleG1NobodyElseAdministers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "victim")
	r.create(t, "caller")
	before := r.ask(t, ask{method: "GET", path: "/admin/services/victim", local: true})
	full := r.token(t, "caller", "iam-service", "s2s:internal audit:write iam:admin")
	callers := []struct {
		name   string
		ask    ask
		status int
		reason countersign.Reason
		who    string // of the event
	}{
		{"nobody", ask{}, 401, countersign.ReasonTokenMissing, ""},
		{"garbage", ask{bearer: "garbage"}, 401, countersign.ReasonTokenMalformed, ""},
		{"a cut token", ask{bearer: full[:len(full)-2]}, 401, "", ""},
		{"another audience", ask{bearer: r.token(t, "caller", "parse-service", "")}, 401, countersign.ReasonAudMismatch, ""},
		{"basic", ask{header: map[string]string{"Authorization": "Basic YTpi"}}, 0, "", ""},
		{"a service", ask{bearer: full}, 403, countersign.ReasonUserRequired, "service:caller"},
	}
	for _, route := range adminRoutes {
		for _, caller := range callers {
			a := caller.ask
			a.method, a.path, a.body = route.method, route.path, route.body
			if a.header == nil {
				a.header = map[string]string{}
			}
			a.header["If-Match"] = "*"
			got := r.ask(t, a)
			ok := got.status == caller.status || caller.status == 0 && (got.status == 400 || got.status == 401)
			if !ok || got.problem.Status != got.status || strings.Contains(got.body, "victim") || got.problem.Reason != "" {
				t.Errorf("%s: %s %s: %d %s", caller.name, route.method, route.path, got.status, got.body)
			}
			if got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: %s: no challenge", caller.name, route.path)
			}
			if caller.reason == "" {
				continue
			}
			events := r.Events(t, audit.Query{Action: route.action, Decision: audit.Refused, Reason: string(caller.reason)})
			if len(events) == 0 || events[len(events)-1].Actor != caller.who {
				t.Errorf("%s: %s: events %+v", caller.name, route.action, events)
			}
			if caller.who != "" && (events[0].ID != got.problem.RequestID || events[0].Service != "caller") {
				t.Errorf("%s: %s: the event is not that of the request: %+v, %s", caller.name, route.action, events[0], got.problem.RequestID)
			}
		}
	}
	after := r.ask(t, ask{method: "GET", path: "/admin/services/victim", local: true})
	if before.body != after.body {
		t.Errorf("somebody changed the service: %s, before %s", after.body, before.body)
	}
	if got := r.ask(t, ask{method: "GET", path: "/admin/services/evil", local: true}); got.status != 404 {
		t.Errorf("somebody made a service: %d", got.status)
	}
}

// TestRuleG1AnotherUID: the socket alone is not enough.
func TestRuleG1AnotherUID(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{localUID: uint32(os.Geteuid()) + 1})
	for _, route := range adminRoutes {
		got := r.ask(t, ask{method: route.method, path: route.path, body: route.body, local: true, header: map[string]string{"If-Match": "*"}})
		if got.status != 401 && got.status != 403 {
			t.Errorf("%s %s: %d %s", route.method, route.path, got.status, got.body)
		}
		if events := r.Events(t, audit.Query{Action: route.action, Decision: audit.Refused}); len(events) == 0 {
			t.Errorf("%s: no event", route.action)
		}
	}
}

func TestRuleG9ReasonsOnlyWhereExposed(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{localUID: uint32(os.Geteuid()), exposeReasons: true})
	got := r.ask(t, ask{method: "GET", path: "/admin/services"})
	if got.problem.Reason != string(countersign.ReasonTokenMissing) || len(got.problem.RequestID) != 36 {
		t.Errorf("got %+v", got.problem)
	}
}
