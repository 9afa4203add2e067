package iam_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

func (g reply) user(t *testing.T) (u iamclient.User) {
	t.Helper()
	must(t, json.Unmarshal([]byte(g.body), &u))
	return u
}

func TestUsersOfATenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	lee := `{"issuer":"https://people.example","subject":"lee"}`
	made := o.as(t, o.ann, "POST", "/admin/users", lee).want(t, 201)
	u := made.user(t)
	if u.ID != id(o.people, "lee") || u.Tenant != "acme" || u.Revision != 1 || len(u.Roles) != 0 {
		t.Fatalf("made %+v", u)
	}
	o.as(t, o.ann, "POST", "/admin/users", lee).want(t, 200, u.UID) // idempotent
	path := "/admin/users/" + u.ID
	o.as(t, o.ann, "PUT", path+"/roles/helpdesk", "", "If-Match", `"1"`).want(t, 200, `"roles":["helpdesk"]`, `"revision":2`)
	o.as(t, o.ann, "PUT", path+"/roles/helpdesk", "", "If-Match", `"2"`).want(t, 200, `"revision":2`)
	o.as(t, o.ann, "PUT", path+"/roles/tenant-admin", "", "If-Match", `"1"`).want(t, 412)
	o.as(t, o.ann, "PUT", path+"/roles/tenant-admin", "").want(t, 428)
	o.as(t, o.ann, "PUT", path+"/roles/nonsense", "", "If-Match", "*").want(t, 404)
	o.as(t, o.ann, "PUT", path+"/roles/super-admin", "", "If-Match", "*").want(t, 400)
	token := o.people.token(t, "lee", nil)
	o.as(t, token, "GET", "/me", "").want(t, 200, `"tenant":"acme"`, `"roles":["helpdesk","member"]`, `"users.write"`)
	o.as(t, o.ann, "DELETE", path+"/roles/helpdesk", "", "If-Match", `"2"`).want(t, 200, `"roles":[]`)
	o.as(t, token, "GET", "/admin/users", "").want(t, 403)

	// In the tenant, and there alone.
	o.as(t, o.ann, "PATCH", path, `{"disabled":true}`, "If-Match", `"3"`).want(t, 200, `"disabled":true`)
	o.as(t, token, "GET", "/me", "").want(t, 200, `"tenant":""`, `"roles":[]`, `"tenants":[]`)
	o.as(t, o.ann, "PATCH", path, `{"disabled":false}`, "If-Match", `"4"`).want(t, 200)
	o.as(t, o.ann, "DELETE", path, "", "If-Match", `"5"`).want(t, 204)
	o.as(t, o.ann, "GET", path, "").want(t, 404)
	again := o.as(t, o.ann, "POST", "/admin/users", lee).want(t, 201).user(t)
	if again.UID == u.UID || len(again.Roles) != 0 { // RULES A5: nothing comes back
		t.Errorf("made again: %+v", again)
	}
	for _, action := range []string{"user.create", "user.role.assign", "user.role.remove", "user.change", "user.delete"} {
		if events := o.Events(t, audit.Query{Action: action, Decision: audit.Changed, Target: u.ID}); len(events) == 0 || events[0].Actor != "user:https://people.example|ann" {
			t.Errorf("%s: %+v", action, events)
		}
	}
}

// RULES A7: nobody gives or takes what they don't hold, themselves included.
func TestRuleA7NobodyGrantsWhatTheyDontHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	kim, ann := "/admin/users/"+id(o.people, "kim"), "/admin/users/"+id(o.people, "ann")
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "ann", "acme")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(o.people, "ann"), Tenant: "acme"}, "tenant-admin", admin.AnyRevision)
	must(t, err)
	held := string(countersign.ReasonNotHeld)
	o.as(t, o.kim, "PUT", kim+"/roles/tenant-admin", "", "If-Match", "*").want(t, 403, held)
	o.as(t, o.kim, "DELETE", ann+"/roles/tenant-admin", "", "If-Match", "*").want(t, 403, held)
	o.as(t, o.kim, "PATCH", ann, `{"disabled":true}`, "If-Match", "*").want(t, 403, held)
	o.as(t, o.kim, "DELETE", ann, "", "If-Match", "*").want(t, 403, held)
	o.as(t, o.kim, "PUT", kim+"/roles/member", "", "If-Match", "*").want(t, 200)
	// The role that would grant itself: she may not write roles, and who may, not more than
	// they hold.
	apply := func(token, document string) reply {
		t.Helper()
		body, err := json.Marshal(iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: document}}})
		must(t, err)
		return o.as(t, token, "POST", "/admin/resources", string(body))
	}
	apply(o.kim, "kind: UserRole\nname: mine\ntenant: acme\npermissions: [tenants.write]\n").want(t, 403)
	apply(o.kim, "kind: UserRole\nname: helpdesk\npermissions: [tenants.write]\n").want(t, 403)
	apply(o.ann, "kind: UserRole\nname: roles\ntenant: acme\npermissions: [user-roles.read, user-roles.write, users.read, users.write]\n").want(t, 200)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(o.people, "kim"), Tenant: "acme"}, "roles", admin.AnyRevision)
	must(t, err)
	apply(o.kim, "kind: UserRole\nname: roles\ntenant: acme\npermissions: [user-roles.read, user-roles.write, tenants.write]\n").want(t, 403, held)
	apply(o.kim, "kind: UserRole\nname: mine\ntenant: acme\npermissions: [services.write]\n").want(t, 403, held)
	apply(o.kim, "kind: UserRole\nname: mine\npermissions: [users.read]\n").want(t, 403) // the platform's
	apply(o.kim, "kind: UserRole\nname: mine\ntenant: beta\npermissions: [users.read]\n").want(t, 403)
	apply(o.kim, "kind: UserRole\nname: mine\ntenant: acme\npermissions: [users.read]\n").want(t, 200)
	// What tokens of an issuer are believed to say is a grant too.
	other := newPeople(t, o.rig, "https://other.example")
	apply(o.ann, strings.Replace(other.document("theirs", "tenant: acme\nmay_assert: {tenants: [acme], roles: {x: super-admin}}\n"), "", "", 1)).want(t, 403)
	apply(o.ann, other.document("theirs", "tenant: acme\nmay_assert: {tenants: [acme], scopes: [s2s:internal]}\n")).want(t, 403)
	apply(o.ann, other.document("theirs", "tenant: acme\nmay_assert: {tenants: [acme], scopes: [orders:read]}\n")).want(t, 403)
	apply(o.ann, other.document("theirs", "tenant: acme\nmay_assert: {tenants: [beta]}\n")).want(t, 400)
	apply(o.ann, other.document("theirs", "may_assert: {tenants: [acme]}\n")).want(t, 403)
	apply(o.ann, other.document("theirs", "tenant: acme\nmay_assert: {tenants: [acme], roles: {x: tenant-admin}}\n")).want(t, 200)
}

// A tenant's issuer speaks for nobody else: neither for another issuer's users nor in
// another tenant (RULES A4, A6).
func TestRuleA6TenantsIssuerSpeaksForItsTenantAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	apply := func(token, document string) reply {
		t.Helper()
		body, err := json.Marshal(iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: document}}})
		must(t, err)
		return o.as(t, token, "POST", "/admin/resources", string(body))
	}
	// Ann's own keys under the URL of the platform's issuer: she would be anybody.
	forged := newPeople(t, o.rig, o.people.url)
	taken := strings.Replace(forged.document("mine", "tenant: acme\n"), "audiences: [spa]", "audiences: [hers]", 1)
	apply(o.ann, taken).want(t, 400, "url")
	o.configure(t, taken) // an administrator of the platform did it all the same
	boss := forged.token(t, "boss", map[string]any{"aud": "hers"})
	o.as(t, boss, "GET", "/me", "").want(t, 200, `"super_admin":false`, `"tenants":[]`)
	o.as(t, boss, "GET", "/tenants/beta", "").want(t, 404)
	// By an issuer of its own, acme is all that it can say.
	other := newPeople(t, o.rig, "https://other.example")
	o.configure(t, other.document("theirs", "tenant: acme\nmay_assert: {tenants: [acme], roles: {x: tenant-admin}}\n"))
	_, _, err := o.admin.AddUser(t.Context(), admin.Actor{ID: "local:1", SuperAdmin: true}, other.url, "joe", "beta")
	must(t, err)
	joe := other.token(t, "joe", map[string]any{"tenant": "acme", "roles": []string{"x"}})
	o.as(t, joe, "GET", "/me/tenants", "").want(t, 200, `{"items":[{"tenant":"acme","roles":["member","tenant-admin"]}]}`)
	o.as(t, joe, "GET", "/tenants/beta", "").want(t, 404)
}

// RULES G2: the last super-admin stays, whoever asks.
func TestRuleG2TheLastSuperAdminStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	boss := "/admin/users/" + id(o.people, "boss")
	last := string(countersign.ReasonLastSuperAdmin)
	for _, local := range []bool{true, false} {
		for _, a := range []ask{
			{method: "DELETE", path: boss + "/roles/super-admin"}, {method: "PATCH", path: boss, body: `{"disabled":true}`}, {method: "DELETE", path: boss},
		} {
			a.header = map[string]string{"If-Match": "*"}
			if a.local = local; !local {
				a.bearer = o.boss
			}
			o.ask(t, a).want(t, 409, last)
		}
	}
	two := o.as(t, o.boss, "POST", "/admin/users", `{"issuer":"https://people.example","subject":"two"}`).want(t, 201).user(t)
	o.as(t, o.boss, "PUT", "/admin/users/"+two.ID+"/roles/super-admin", "", "If-Match", `"1"`).want(t, 200)
	o.as(t, o.boss, "DELETE", boss+"/roles/super-admin", "", "If-Match", "*").want(t, 200)
	o.as(t, o.boss, "GET", "/admin/users", "").want(t, 400)
	o.ask(t, ask{method: "DELETE", path: "/admin/users/" + two.ID, local: true, header: map[string]string{"If-Match": "*"}}).want(t, 409, last)
}

// RULES G2: who could not log in does not stand in for the last super-admin.
func TestRuleG2TheLastSuperAdminCouldLogIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	theirs := newPeople(t, o.rig, "https://beta.example")
	workloads := newPeople(t, o.rig, "https://workloads.example")
	o.configure(t, theirs.document("of-beta", "tenant: beta\n"), strings.Replace(workloads.document("workloads", ""), "subject: user", "subject: workload", 1))
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	var ghost string
	for _, issuer := range []string{"https://gone.example", theirs.url, workloads.url} {
		u, _, err := o.admin.AddUser(t.Context(), local, issuer, "ghost", "")
		must(t, err)
		_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: u.ID}, "super-admin", admin.AnyRevision)
		must(t, err)
		ghost = u.ID
	}
	boss := "/admin/users/" + id(o.people, "boss")
	last := string(countersign.ReasonLastSuperAdmin)
	o.as(t, o.boss, "DELETE", boss+"/roles/super-admin", "", "If-Match", "*").want(t, 409, last)
	o.as(t, o.boss, "PATCH", boss, `{"disabled":true}`, "If-Match", "*").want(t, 409, last)
	o.as(t, o.boss, "DELETE", boss, "", "If-Match", "*").want(t, 409, last)
	o.as(t, o.boss, "DELETE", "/admin/users/"+ghost, "", "If-Match", "*").want(t, 204) // it was none that counts
}

// RULES A5: disabled on the platform, somebody is nobody, and what they proved has ended.
func TestRuleA5DisabledUserIsNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	path := "/admin/users/" + id(o.people, "ann")
	o.as(t, o.boss, "POST", "/admin/users", `{"issuer":"https://people.example","subject":"ann"}`).want(t, 201)
	o.as(t, o.ann, "GET", "/me", "").want(t, 200)
	o.as(t, o.boss, "PATCH", path, `{"disabled":true}`, "If-Match", `"1"`).want(t, 200)
	for _, route := range []string{"/me", "/me/tenants", "/tenants", "/tenants/acme", "/admin/users", "/admin/services"} {
		if got := o.as(t, o.ann, "GET", route, ""); got.status != 401 && got.status != 403 {
			t.Errorf("%s: %d", route, got.status)
		}
	}
	fresh := func() string {
		return o.people.token(t, "ann", map[string]any{"tenant": "acme", "roles": []string{"admins"}})
	}
	o.Clock.Advance(10e9)
	o.as(t, fresh(), "GET", "/me", "").want(t, 403, string(countersign.ReasonUserDisabled))
	if refused := o.Events(t, audit.Query{Reason: string(countersign.ReasonUserDisabled)}); len(refused) != 1 || refused[0].User != "ann" {
		t.Errorf("refused %+v", refused)
	}
	o.boss = o.people.token(t, "boss", nil)
	o.as(t, o.boss, "PATCH", path, `{"disabled":false}`, "If-Match", `"2"`).want(t, 200)
	o.as(t, o.ann, "GET", "/me", "").want(t, 401, string(countersign.ReasonTokenRevoked)) // the old token stays dead
	o.as(t, fresh(), "GET", "/me", "").want(t, 200)
}

func TestPatchRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	path := "/admin/users/" + id(o.people, "kim")
	for name, body := range map[string]string{
		"roles": `{"roles":["tenant-admin"]}`, "tenant": `{"tenant":"beta"}`, "id": `{"id":"x"}`, "issuer": `{"issuer":"x"}`, "subject": `{"subject":null}`,
		"revision": `{"revision":1}`, "uid": `{"uid":"x"}`, "case": `{"Roles":[]}`, "unknown": `{"super_admin":true}`, "nested": `{"disabled":{"$ne":1}}`,
		"null": `{"disabled":null}`, "upstream": `{"email":"a@b"}`, "removed upstream": `{"username":null}`, "twice": `{"disabled":true,"disabled":false}`, "array": `[]`,
	} {
		if got := o.as(t, o.ann, "PATCH", path, body, "If-Match", "*", "Content-Type", "application/merge-patch+json"); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	o.as(t, o.ann, "PATCH", path, `{}`, "If-Match", "*", "Content-Type", "application/merge-patch+json").want(t, 200, `"revision":2`)
	o.as(t, o.ann, "PATCH", path, `{}`, "If-Match", "*", "Content-Type", "application/json-patch+json").want(t, 415)
	o.as(t, o.ann, "PATCH", path, `{"disabled":true}`).want(t, 428)
}

func TestLocalDirectoryKeepsProfiles(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true, directory: true})
	path := "/admin/users/" + id(o.people, "kim")
	o.as(t, o.ann, "PATCH", path, `{"username":"kim","email":"Kim@Example.com","display_name":"Kim K."}`, "If-Match", `"2"`).
		want(t, 200, `"username":"kim"`, `"email":"kim@example.com"`, `"display_name":"Kim K."`)
	if got := o.as(t, o.ann, "PATCH", path, `{"email":null}`, "If-Match", `"3"`).want(t, 200); strings.Contains(got.body, "@") {
		t.Error("null does not remove")
	}
	for _, body := range []string{`{"email":"a"}`, `{"email":"a@b@c"}`, `{"username":"a b"}`, `{"display_name":"\u0000"}`, `{"username":"` + strings.Repeat("a", 255) + `"}`} {
		o.as(t, o.ann, "PATCH", path, body, "If-Match", "*").want(t, 400)
	}
}

func TestUsersArePaged(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{})
	for i := range 7 {
		o.as(t, o.ann, "POST", "/admin/users", fmt.Sprintf(`{"issuer":"https://people.example","subject":"s%d"}`, i)).want(t, 201)
	}
	seen := map[string]bool{}
	token := ""
	for pages := 0; ; pages++ {
		var list iamclient.UserList
		got := o.as(t, o.ann, "GET", "/admin/users?page_size=3&page_token="+token, "").want(t, 200)
		must(t, json.Unmarshal([]byte(got.body), &list))
		for _, u := range list.Items {
			if seen[u.ID] || u.Tenant != "acme" {
				t.Errorf("%+v", u)
			}
			seen[u.ID] = true
		}
		if token = list.NextPageToken; token == "" {
			break
		}
		if pages == 0 {
			o.refuseCursors(t, token)
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d users were listed", len(seen))
	}
}

// Cursors that were forged, cut, or are somebody else's open nothing (vulnerabilities 28).
func (o *office) refuseCursors(t *testing.T, token string) {
	t.Helper()
	for i := range token {
		flipped := []byte(token)
		flipped[i] ^= 1
		for _, bad := range []string{string(flipped), token[:i]} {
			if bad == "" || strings.ContainsAny(bad, "%&+#;`^{}|\\<>\" ") || strings.ContainsRune(bad, 0x7f) {
				continue
			}
			if got := o.as(t, o.ann, "GET", "/admin/users?page_size=3&page_token="+bad, ""); got.status != 400 {
				t.Errorf("a cursor changed at %d: %d", i, got.status)
			}
		}
	}
	o.as(t, o.kim, "GET", "/admin/users?page_token="+token, "").want(t, 400)
	o.as(t, o.bob, "GET", "/admin/users?page_token="+token, "").want(t, 400)
	o.as(t, o.ann, "GET", "/tenants?page_token="+token, "").want(t, 400)
	o.as(t, o.boss, "GET", "/admin/users?page_token="+token, "", "X-Active-Tenant-ID", "acme").want(t, 400)
	o.as(t, o.ann, "GET", "/admin/users?page_token="+strings.Repeat("A", 5000), "").want(t, 400)
	o.as(t, o.ann, "GET", "/admin/users?page_token=kim", "").want(t, 400)
}

// Of many who start from one revision, one wins; the last two super-admins can't both take
// the other's role.
func TestRacesOfAdministrators(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	kim := "/admin/users/" + id(o.people, "kim")
	statuses := make([]int, 8)
	var racing sync.WaitGroup
	for i := range statuses {
		racing.Go(func() {
			statuses[i] = o.as(t, o.ann, "PATCH", kim, fmt.Sprintf(`{"disabled":%t}`, i%2 == 0), "If-Match", `"2"`).status
		})
	}
	racing.Wait()
	won := 0
	for i, status := range statuses {
		// Who asks for what is so already wins without a change.
		if status == 200 && i%2 == 0 {
			won++
		}
		if status != 200 && status != 412 {
			t.Errorf("status %d", status)
		}
	}
	if won > 1 {
		t.Errorf("%d writers won", won)
	}
	two := o.as(t, o.boss, "POST", "/admin/users", `{"issuer":"https://people.example","subject":"two"}`).want(t, 201).user(t)
	o.as(t, o.boss, "PUT", "/admin/users/"+two.ID+"/roles/super-admin", "", "If-Match", "*").want(t, 200)
	tokens := []string{o.boss, o.people.token(t, "two", nil)}
	others := []string{two.ID, id(o.people, "boss")}
	for i := range tokens {
		racing.Go(func() {
			statuses[i] = o.as(t, tokens[i], "DELETE", "/admin/users/"+others[i]+"/roles/super-admin", "", "If-Match", "*").status
		})
	}
	racing.Wait()
	if statuses[0] == 200 && statuses[1] == 200 {
		t.Error("nobody is a super-admin any more")
	}
}
