package iam_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
)

func (o *office) apply(t *testing.T, token, document string) reply {
	t.Helper()
	body, err := json.Marshal(iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: document}}})
	must(t, err)
	return o.as(t, token, "POST", "/admin/resources", string(body))
}

// member makes somebody a member of acme with a role of these permissions, and signs them in.
func (o *office) member(t *testing.T, p *people, name, role string) string {
	t.Helper()
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, p.url, name, "acme")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(p, name), Tenant: "acme"}, role, admin.AnyRevision)
	must(t, err)
	return p.token(t, name, nil)
}

// hers is the document with keys of the same people for another audience.
func hers(document string) string {
	return strings.Replace(document, "audiences: [spa]", "audiences: [hers]", 1)
}

const pipeline = "kind: Service\nname: ci\nscopes: [iam:apply]\naudiences: [iam-service]\n"

// RULES A7, G4: a pipeline of the platform is no super-admin, and makes nobody one: neither by
// its own keys under the URL of the platform's issuer, nor by an issuer that speaks for tenants.
func TestRuleA7PipelineProvesNoUsersOfThePlatform(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, pipeline, "kind: UserRole\nname: deployer\npermissions: [services.read, services.write]\n")
	ci := o.token(t, "ci", "iam-service", "iam:apply")
	forged := newPeople(t, o.rig, o.people.url)
	o.apply(t, ci, hers(forged.document("mine", ""))).want(t, 403)
	o.as(t, forged.token(t, "boss", map[string]any{"aud": "hers"}), "GET", "/me", "").want(t, 401)
	own := newPeople(t, o.rig, "https://ci.example")
	o.apply(t, ci, own.document("mine", "may_assert: {tenants: [acme], roles: {x: deployer}}\n")).want(t, 403)
	o.apply(t, ci, own.document("mine", "")).want(t, 403)
	workload := strings.Replace(own.document("mine", ""), "subject: user", "subject: workload", 1)
	o.apply(t, ci, workload+"may_assert: {tenants: [acme]}\n").want(t, 403)
	o.apply(t, ci, workload).want(t, 200)
	o.apply(t, ci, own.document("mine", "")).want(t, 403) // nor by a change
	// The URL of an issuer that is not its own, for other audiences, whatever its subject.
	o.apply(t, ci, hers(strings.Replace(forged.document("theirs", ""), "subject: user", "subject: workload", 1))).want(t, 400, "url")
}

// RULES A7: whoever may write issuers and nothing else can't become who they prove: neither
// by other keys in an issuer that says more than they hold, nor by a second one of its URL.
func TestRuleA7WhoWritesAnIssuerHoldsWhatItsUsersDo(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	idp := newPeople(t, o.rig, "https://idp.acme.example")
	asserts := "tenant: acme\nmay_assert: {tenants: [acme], roles: {x: tenant-admin}}\n"
	o.configure(t, "kind: UserRole\nname: sso\npermissions: [issuers.read, issuers.write]\n", idp.document("idp", asserts))
	mal := o.member(t, o.people, "mal", "sso")
	o.member(t, idp, "root", "tenant-admin")
	o.member(t, idp, "peer", "sso")
	forged := newPeople(t, o.rig, idp.url)
	for name, document := range map[string]string{
		"other keys": forged.document("idp", asserts), "less of it": forged.document("idp", "tenant: acme\n"),
		"a second one": hers(forged.document("second", "tenant: acme\n")),
		"another's":    hers(strings.Replace(forged.document("idp", "tenant: acme\n"), idp.url, "https://other.example", 1)),
	} {
		if got := o.apply(t, mal, document); got.status != 403 || got.problem.Reason != "not_held" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, claims := range []map[string]any{{"aud": "hers"}, {"tenant": "acme", "roles": []string{"x"}}} {
		o.as(t, forged.token(t, "root", claims), "GET", "/me", "").want(t, 401)
	}
	// What they hold themselves is theirs to say, and a tenant's administrator may say all.
	other := newPeople(t, o.rig, "https://other.example")
	o.member(t, other, "peer", "sso")
	o.apply(t, mal, other.document("other", "tenant: acme\nmay_assert: {tenants: [acme], roles: {x: sso}}\n")).want(t, 200)
	o.apply(t, o.ann, forged.document("idp", asserts)).want(t, 200)
}

// RULES A6: of another tenant's issuer nobody hears more than that its URL is known.
func TestRuleA6LintNamesNoOthersIssuer(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, betaObjects)
	mine := newPeople(t, o.rig, "https://beta.example")
	got := o.apply(t, o.ann, strings.Replace(mine.document("mine", "tenant: acme\n"), "[spa]", "[beta]", 1)).want(t, 400, "url")
	if strings.Contains(got.body, "beta-issuer") {
		t.Errorf("told: %s", got.body)
	}
}

// RULES A7: nobody takes away what they don't hold, by deleting or by pruning.
func TestRuleA7NobodyEndsARoleThatHoldsMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, "kind: UserRole\nname: limited\npermissions: [user-roles.read, user-roles.write]\n")
	mal := o.member(t, o.people, "mal", "limited")
	prune := func(token, document string) reply {
		t.Helper()
		body, err := json.Marshal(iamclient.Apply{Owner: "x", Prune: true, Files: []iamclient.File{{Name: "f", Content: document}}})
		must(t, err)
		return o.as(t, token, "POST", "/admin/resources", string(body))
	}
	small := "kind: UserRole\nname: small\ntenant: acme\npermissions: [user-roles.read]\n"
	prune(o.ann, small+"---\nkind: UserRole\nname: big\ntenant: acme\npermissions: [services.write]\n").want(t, 200)
	o.as(t, mal, "DELETE", "/admin/user-roles/big", "", "If-Match", "*").want(t, 403, "not_held")
	o.as(t, mal, "DELETE", "/admin/resources/UserRole/big", "", "If-Match", "*").want(t, 403, "not_held")
	prune(mal, "kind: UserRole\nname: mine\ntenant: acme\npermissions: [user-roles.read]\n").want(t, 200)
	o.as(t, o.ann, "GET", "/admin/user-roles/big", "").want(t, 200)
	o.as(t, o.ann, "GET", "/admin/user-roles/small", "").want(t, 404)
}

// RULES A6, G4: what a pipeline of the platform writes opens no tenant's buckets and services.
func TestRuleG4PipelineOfThePlatformOpensNoTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, betaObjects, pipeline, strings.NewReplacer("name: beta-bucket\ntenant: beta", "name: ours", "bucket: beta-bucket", "bucket: ours").Replace(
		betaObjects[strings.Index(betaObjects, "kind: Bucket"):strings.Index(betaObjects, "---\nkind: RoutePolicy")]))
	ci := o.token(t, "ci", "iam-service", "iam:apply")
	role := func(bucket string) string {
		return "kind: Role\nname: reader\ntrust: [{service: {names: [ci]}}]\npermissions: [{bucket: " + bucket + ", prefixes: [\"\"], actions: [get_object]}]\n"
	}
	policy := func(service string) string {
		return "kind: RoutePolicy\nname: open\nservice: " + service + "\nrules: [{name: a, from: {services: [ci]}, to: {methods: [GET], paths: [\"/**\"]}}]\n"
	}
	for _, document := range []string{
		role("beta-bucket"), role("not-yet-there"), role("\"{tenant}\""), policy("beta-service"), policy("not-yet-there"),
	} {
		o.apply(t, ci, document).want(t, 400)
	}
	o.apply(t, ci, role("ours")).want(t, 200)
	o.apply(t, ci, policy("ci")).want(t, 200)
	o.configure(t, strings.Replace(role("beta-bucket"), "reader", "reader-of-all", 1)) // a super-admin's word
}

// RULES A6: what one tenant keeps of somebody is not shown to another one's services, also
// where the person is a member of both.
func TestRuleA6ProfilesAreOfOneTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true, directory: true})
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "kim", "beta")
	must(t, err)
	name, mail := "kim-beta", "kim@beta.example"
	_, err = o.admin.ChangeUser(t.Context(), local, admin.UserRef{ID: id(o.people, "kim"), Tenant: "beta"}, admin.AnyRevision, admin.UserChange{Username: &name, Email: &mail})
	must(t, err)
	for _, tenant := range []string{"acme", "beta"} {
		o.configure(t, "kind: Service\nname: bff-"+tenant+"\ntenant: "+tenant+"\nscopes: [s2s:internal]\naudiences: [iam-service]\n")
		out, got := o.query(t, o.token(t, "bff-"+tenant, "iam-service", "s2s:internal"), `{"emails":["kim@beta.example"],"usernames":["kim-beta"]}`)
		for _, r := range out.Results {
			if found := len(r.Users) == 1; found != (tenant == "beta") {
				t.Errorf("%s: %s", tenant, got.body)
			}
		}
	}
	out, _ := o.query(t, o.service, `{"emails":["kim@beta.example"]}`) // the platform's sees all
	if len(out.Results) != 1 || len(out.Results[0].Users) != 1 {
		t.Errorf("the platform's: %+v", out)
	}
}

// A super-admin who names a tenant is an administrator of that tenant, in every answer.
func TestActiveTenantNarrowsRoles(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.as(t, o.boss, "GET", "/me", "", "X-Active-Tenant-ID", "acme").want(t, 200, `"roles":["tenant-admin"]`)
	body, err := json.Marshal(iamclient.Enrich{Token: o.boss, Tenant: "acme"})
	must(t, err)
	if got := o.as(t, o.service, "POST", "/system/enrich", string(body)).want(t, 200, `"roles":["tenant-admin"]`); strings.Contains(got.body, `"super-admin"`) {
		t.Errorf("enriched: %s", got.body)
	}
	o.as(t, o.boss, "GET", "/me", "").want(t, 200, `"roles":["super-admin"]`)
}

// RULES A5, A6: a role that takes over a name shows nothing of the sessions of the one before.
func TestRuleA5SessionsOfARoleOfTheSameName(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, betaObjects)
	assumed := func(session string) {
		t.Helper()
		must(t, o.Audit.Transact(t.Context(), func(context.Context, store.Tx) ([]audit.Event, error) {
			return []audit.Event{{ID: session, Time: o.Clock.Now().UTC(), Action: "assume", Decision: audit.Issued, Role: "beta-role", Session: session, Service: "beta-service"}}, nil
		}))
	}
	assumed("ASIA2222222222222222")
	o.as(t, o.bob, "GET", "/admin/sessions", "").want(t, 200, "ASIA2222222222222222")
	o.Clock.Advance(60e9)
	o.as(t, o.bob, "DELETE", "/admin/roles/beta-role", "", "If-Match", "*").want(t, 204)
	o.configure(t, "kind: Role\nname: beta-role\ntenant: acme\ntrust: [{service: {names: [zeta]}}]\n")
	o.Clock.Advance(60e9)
	assumed("ASIA3333333333333333")
	if got := o.as(t, o.ann, "GET", "/admin/sessions", "").want(t, 200, "ASIA3333333333333333"); strings.Contains(got.body, "ASIA2") {
		t.Errorf("beta's sessions: %s", got.body)
	}
}

// RULES A6: strangers hear of the platform's issuers alone, and nobody is sent to a tenant's
// without having named it.
func TestRuleA6LoginNamesNoTenantsIssuer(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	trap := newPeople(t, o.rig, "https://login.evil.example")
	o.apply(t, o.ann, trap.document("a-company-login", "tenant: acme\ndevice_login: {client_id: c}\n")).want(t, 200)
	o.as(t, "", "GET", "/login", "").want(t, 200, `{"device":[]}`)
	o.configure(t, o.people.document("people", "device_login: {client_id: c}\n"))
	if got := o.as(t, "", "GET", "/login", "").want(t, 200, "https://people.example"); strings.Contains(got.body, "evil") {
		t.Errorf("told: %s", got.body)
	}
	o.as(t, "", "GET", "/login?issuer=a-company-login", "").want(t, 200, "https://login.evil.example")
	o.as(t, "", "GET", "/login?issuer=nobody", "").want(t, 200, `{"device":[]}`)
	o.as(t, "", "GET", "/login?tenant=acme", "").want(t, 400)
}

// RULES A7: who may write services, and nothing else, takes over none that holds more: neither
// by a new secret nor by a proof of their own. A tenant's administrator may.
func TestRuleA7NobodyTakesOverAServiceThatHoldsMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, "kind: UserRole\nname: dev\npermissions: [services.read, services.write]\n")
	dev := o.member(t, o.people, "dev", "dev")
	for name, rest := range map[string]string{
		"people-bff": "scopes: [s2s:internal]\naudiences: [iam-service]\n", "deployer": "scopes: [iam:apply]\naudiences: [iam-service]\n",
		"orders": "scopes: [orders:read]\n", "storage": "audiences: [sts]\n",
	} {
		document := "kind: Service\nname: " + name + "\ntenant: acme\n" + rest
		o.configure(t, document)
		o.as(t, dev, "POST", "/admin/services/"+name+"/rotate", "", "If-Match", "*").want(t, 403)
		o.apply(t, dev, document+"trust: [{oidc: {issuer: people, subject_conditions: [dev]}}]\n").want(t, 403)
		o.as(t, o.ann, "POST", "/admin/services/"+name+"/rotate", "", "If-Match", "*").want(t, 200)
	}
	o.configure(t, "kind: Service\nname: plain\ntenant: acme\naudiences: [orders]\n")
	o.as(t, dev, "POST", "/admin/services/plain/rotate", "", "If-Match", "*").want(t, 200)
}

// RULES A6: a pipeline of the platform pages through what is the platform's, and hears no name of
// a tenant's object, neither in a page nor in where the next one begins.
func TestRuleA6ListsOfThePlatformNameNoTenantsObjects(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	o.configure(t, pipeline, betaObjects, "kind: Service\nname: zeta\n---\nkind: Service\nname: aaa-secret\ntenant: acme\n---\nkind: Service\nname: ci-secret\ntenant: beta\n---\nkind: Service\nname: zz-secret\ntenant: beta\n")
	ci := o.token(t, "ci", "iam-service", "iam:apply")
	for path, want := range map[string]int{"services": 3, "issuers": 1, "roles": 0, "route-policies": 0, "buckets": 0, "resources/Service": 3} {
		seen, after := 0, ""
		for range 10 {
			got := o.as(t, ci, "GET", "/admin/"+path+"?limit=1&after="+after, "").want(t, 200)
			var page struct {
				Items []json.RawMessage
				Next  string
			}
			must(t, json.Unmarshal([]byte(got.body), &page))
			if strings.Contains(got.body, "-secret") || strings.Contains(got.body, "beta-") {
				t.Errorf("%s: %s", path, got.body)
			}
			seen += len(page.Items)
			if after = page.Next; after == "" {
				break
			}
		}
		if seen != want {
			t.Errorf("%s: %d seen, want %d", path, seen, want)
		}
	}
}

// Whoever is let in to apply nothing has nothing to apply: who may write no kind anywhere takes
// no number of the feed, and does not have every object read while everybody else waits.
func TestRuleG4WhoMayWriteNothingAppliesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	head := func() int64 {
		head, err := o.Store.FeedHead(t.Context())
		must(t, err)
		return head.Seq
	}
	before := head()
	for who, token := range map[string]string{"a stranger": o.eve, "who reads": o.kim} {
		for _, body := range []string{`{"files":[]}`, `{"files":[],"owner":"x","prune":true}`, `{"files":[],"owner":"x","prune":true,"dry_run":true}`} {
			if got := o.as(t, token, "POST", "/admin/resources", body); got.status != 403 || got.problem.Reason != "not_administrator" {
				t.Errorf("%s, %s: %d %s", who, body, got.status, got.body)
			}
		}
	}
	if after := head(); after != before {
		t.Errorf("the feed went from %d to %d", before, after)
	}
	o.configure(t, pipeline)
	ci := o.token(t, "ci", "iam-service", "iam:apply")
	o.as(t, ci, "POST", "/admin/resources", `{"files":[],"prune":true}`).want(t, 200)
}
