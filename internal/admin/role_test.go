package admin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/resource"
)

const gitHub = "kind: Issuer\nname: github\nurl: https://token.actions.githubusercontent.com\nsubject: workload\nprofile: oidc\naudiences: [countersign]\n"

const oneRole = `kind: Role
name: writer
trust:
  - github: {repository: acme/docs, ref: refs/heads/main}
permissions:
  - {bucket: documents, prefixes: ["resumes/{tenant}/"], actions: [get_object, put_object]}
`

const looseRole = "kind: Role\nname: loose\ntrust:\n  - oidc: {issuer: github, subject_conditions: [\"repo:*\"]}\n"

// wantProblem checks that an apply was refused for a field, and that nothing was stored.
func wantProblem(t *testing.T, r *rig, text, path, kind, name string) {
	t.Helper()
	_, err := r.Apply(t.Context(), super(), request(text))
	told, ok := errors.AsType[*resource.Error](err)
	if !errors.Is(err, countersign.Invalid) || !ok {
		t.Fatalf("got %v, want a problem at %s", err, path)
	}
	if p := told.Problems[0]; p.Path != path || p.Line == 0 || p.File == "" {
		t.Errorf("a problem at %+v, want %s", p, path)
	}
	if _, err := r.Object(t.Context(), kind, name); !errors.Is(err, countersign.NotFound) {
		t.Errorf("it is there: %v", err)
	}
}

func TestRoleIsAppliedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wantActions(t, r.apply(t, request(gitHub+"---\n"+oneRole)), "Issuer/github created@1", "Role/writer created@1")
	wantActions(t, r.apply(t, request(oneRole)), "Role/writer unchanged@1")
	first, err := r.Object(t.Context(), "Role", "writer")
	must(t, err)
	if !strings.Contains(string(first.Document), "resumes/{tenant}/") {
		t.Errorf("document\n%s", first.Document)
	}
	role, err := r.Registry.Role(t.Context(), "writer")
	must(t, err)
	changed := strings.Replace(oneRole, "refs/heads/main", "refs/heads/release", 1)
	wantActions(t, r.apply(t, request(changed)), "Role/writer changed@2")
	// RULES A5: sessions carry the statement's fingerprint, which the role has no longer.
	after, err := r.Registry.Role(t.Context(), "writer")
	must(t, err)
	if after.UID != first.UID || after.TrustsStill(role.Trust[0].Fingerprint()) || !role.TrustsStill(role.Trust[0].Fingerprint()) {
		t.Error("a statement that was changed is still trusted")
	}
	must(t, r.DeleteObject(t.Context(), super(), "Role", "writer", 2))
	if _, err := r.Registry.Role(t.Context(), "writer"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a deleted role: %v", err)
	}
	for _, action := range []string{"role.create", "role.change", "role.delete"} {
		if events := r.Events(t, audit.Query{Action: action, Decision: audit.Changed}); len(events) != 1 || events[0].Target != "writer" {
			t.Errorf("%s: %+v", action, events)
		}
	}
}

// RULES A5: delete and re-create revives nothing.
func TestRuleA5RoleMadeAgainIsAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, request(gitHub+"---\n"+oneRole))
	first, err := r.Registry.Role(t.Context(), "writer")
	must(t, err)
	must(t, r.DeleteObject(t.Context(), super(), "Role", "writer", admin.AnyRevision))
	r.apply(t, request(oneRole))
	second, err := r.Registry.Role(t.Context(), "writer")
	must(t, err)
	if first.UID == second.UID || second.Revision != 1 {
		t.Errorf("uid %s, and then %s at %d", first.UID, second.UID, second.Revision)
	}
}

// RULES A5: a service loses its tokens with a proof that they may have been issued for.
func TestRuleA5ServiceThatTrustsLessLosesItsTokens(t *testing.T) {
	t.Parallel()
	const head = "kind: Service\nname: a\naudiences: [b]\n"
	const k, g = "  - kubernetes: {issuer: k, service_account: ns/a}\n", "  - github: {repository: acme/a, ref: refs/heads/main}\n"
	tests := map[string]struct {
		before, after string
		revoked       bool
	}{
		"unchanged": {head + "trust:\n" + k + g, head + "trust:\n" + k + g + "quota: {tokens_per_minute: 1}\n", false},
		"reordered": {head + "trust:\n" + k + g, head + "trust:\n" + g + k, false},
		"more":      {head + "trust:\n" + k, head + "trust:\n" + k + g, false},
		"first":     {head, head + "trust:\n" + k, false},
		"less":      {head + "trust:\n" + k + g, head + "trust:\n" + k, true},
		"none":      {head + "trust:\n" + k, head, true},
		"another":   {head + "trust:\n" + k, head + "trust:\n" + strings.Replace(k, "ns/a", "ns/b", 1), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.apply(t, request(tt.before))
			d, err := r.Service(t.Context(), "a")
			must(t, err)
			issued := r.Clock.Now()
			r.apply(t, request(tt.after))
			if got := r.revoked(t, d, issued); got != tt.revoked {
				t.Errorf("revoked %t", got)
			}
			o, err := r.Object(t.Context(), "Service", "a")
			must(t, err)
			if strings.Contains(string(o.Document), "trust:") != strings.Contains(tt.after, "trust:") {
				t.Errorf("document\n%s", o.Document)
			}
		})
	}
}

// What the documents don't say of a service stays when something else changes it.
func TestServiceTrustOutlivesOtherChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const text = "kind: Service\nname: a\nshared_with: [beta]\ntrust:\n  - kubernetes: {issuer: k, service_account: ns/a}\n"
	r.apply(t, request(text))
	_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	wantActions(t, r.apply(t, request(text)), "Service/a unchanged@2")
}

// RULES A6: trust across tenants, and what is shared.
func TestRuleA6TrustAcrossTenants(t *testing.T) {
	t.Parallel()
	const acme = "tenant: acme\n"
	const issuerK = "kind: Issuer\nname: k\nurl: https://k.example\nsubject: workload\nprofile: oidc\naudiences: [c]\n"
	const trustsK = "kind: Role\nname: r\ntrust:\n  - kubernetes: {issuer: k, service_account: ns/a}\n"
	const trustsS = "kind: Role\nname: r\ntrust:\n  - service: {names: [s, \"s-*\"]}\n"
	const serviceK = "kind: Service\nname: r\ntrust:\n  - kubernetes: {issuer: k, service_account: ns/a}\n"
	tests := map[string]struct{ target, text, path string }{
		"the same tenant's issuer":   {issuerK + acme, trustsK + acme, ""},
		"the platform's role":        {issuerK + acme, trustsK, ""},
		"another tenant's issuer":    {issuerK + "tenant: beta\n", trustsK + acme, "trust[0].kubernetes.issuer"},
		"the platform's issuer":      {issuerK, trustsK + acme, ""}, // which is for all
		"shared":                     {issuerK + "tenant: beta\nshared_with: [acme]\n", trustsK + acme, ""},
		"shared by another tenant":   {issuerK + "tenant: beta\nshared_with: [acme, gamma]\n", trustsK + acme, ""},
		"shared with somebody else":  {issuerK + "tenant: beta\nshared_with: [gamma]\n", trustsK + acme, "trust[0].kubernetes.issuer"},
		"a service's trust":          {issuerK + "tenant: beta\n", serviceK + acme, "trust[0].kubernetes.issuer"},
		"the same tenant's service":  {"kind: Service\nname: s\n" + acme, trustsS + acme, ""},
		"another tenant's service":   {"kind: Service\nname: s\ntenant: beta\n", trustsS + acme, "trust[0].service.names"},
		"the platform's service":     {"kind: Service\nname: s\n", trustsS + acme, "trust[0].service.names"},
		"a service that is shared":   {"kind: Service\nname: s\nshared_with: [acme]\n", trustsS + acme, ""},
		"a service that is not here": {"kind: Service\nname: t\n", trustsS + acme, ""},
	}
	for name, tt := range tests {
		for _, beside := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				text := tt.text
				if beside {
					text += "---\n" + tt.target
				} else {
					r.apply(t, request(tt.target))
				}
				kind := "Role"
				if strings.HasPrefix(tt.text, "kind: Service") {
					kind = "Service"
				}
				if tt.path != "" {
					wantProblem(t, r, text, tt.path, kind, "r")
					return
				}
				r.apply(t, request(text))
			})
		}
	}
}

// RULES A8: who may broker credentials of a real cloud.
func TestRuleA8BrokerIsTheHosts(t *testing.T) {
	t.Parallel()
	text := oneRole + "broker: {aws: {role_arn: \"arn:aws:iam::123456789012:role/Real\", region: us-east-1}}\n"
	r := newRig(t)
	_, err := r.Apply(t.Context(), nobody(), request(text))
	wantRefused(t, err, countersign.Denied, countersign.ReasonNotAdministrator)
	if !strings.Contains(countersign.MessageOf(err), "broker") {
		t.Errorf("got %v", err)
	}
	_, err = r.Apply(t.Context(), nobody(), request(oneRole))
	wantRefused(t, err, countersign.Denied, countersign.ReasonNotAdministrator)
	r.apply(t, request(text))
	q := newRig(t)
	q.apply(t, fromConfig(text))
	_, err = q.Apply(t.Context(), super(), request(text)) // read-only elsewhere
	wantRefused(t, err, countersign.Denied, countersign.ReasonResourceReadOnly)
	wantRefused(t, q.DeleteObject(t.Context(), super(), "Role", "writer", admin.AnyRevision), countersign.Denied, countersign.ReasonResourceReadOnly)
}

// RULES D10: errors are enforced at every save by every path.
func TestRuleD10ErrorsAreNotSaved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, request(gitHub))
	const path = "trust[0].oidc.subject_conditions"
	wantProblem(t, r, looseRole, path, "Role", "loose")
	wantProblem(t, r, strings.Replace(looseRole, "kind: Role", "kind: Service", 1), path, "Service", "loose")
	dry := request(looseRole)
	dry.DryRun = true
	for name, ask := range map[string]admin.ApplyRequest{"dry run": dry, "config": fromConfig(looseRole)} {
		if _, err := r.Apply(t.Context(), super(), ask); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The issuer beside it counts too.
	q := newRig(t)
	wantProblem(t, q, looseRole+"---\n"+gitHub, path, "Role", "loose")
	// Without the issuer nobody can tell; it is found when the issuer comes.
	vague := strings.Replace(looseRole, "repo:*", "*:acme/docs:**", 1)
	q.apply(t, request(vague))
	wantProblem(t, q, gitHub, "url", "Issuer", "github")
	q.apply(t, request(gitHub+"---\n"+strings.Replace(vague, "*:acme/docs:**", "repo:acme/docs:ref:refs/heads/main", 1)))
	wantProblem(t, q, "kind: Role\nname: x\ntrust:\n  - service: {names: [a], condition: 'service.name =='}\n", "trust[0].service.condition", "Role", "x")
}

// RULES D10: the only override is on that statement, and it is audited.
func TestRuleD10OverridesAreAudited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	allowed := looseRole + "    insecure_allow: [multi_tenant]\n"
	made := r.apply(t, request(gitHub+"---\n"+allowed))
	if w := made[1].Warnings; len(w) != 1 || w[0].Rule != "multi_tenant" || !w[0].Allowed {
		t.Errorf("warnings %+v", w)
	}
	events := r.Events(t, audit.Query{Action: "role.create", Decision: audit.Changed})
	if len(events) != 1 || !strings.Contains(events[0].Detail, "insecure_allow=multi_tenant") {
		t.Errorf("events %+v", events)
	}
	r.apply(t, request(oneRole))
	for _, e := range r.Events(t, audit.Query{Action: "role.create", Decision: audit.Changed}) {
		if e.Target == "writer" && strings.Contains(e.Detail, "insecure_allow") {
			t.Errorf("event %+v", e)
		}
	}
	wantProblem(t, r, strings.NewReplacer("loose", "other", "multi_tenant", "no_such_rule").Replace(allowed), "trust[0].oidc.subject_conditions", "Role", "other")
}

// A role goes before the issuer that it refers to.
func TestPruneTakesWhoRefersFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ask := request(gitHub + "---\n" + oneRole + "---\nkind: Service\nname: a\n")
	ask.Owner = "pipeline"
	r.apply(t, ask)
	less := request("kind: Service\nname: a\n")
	less.Owner, less.Prune = "pipeline", true
	wantActions(t, r.apply(t, less), "Service/a unchanged@1", "Role/writer pruned@1", "Issuer/github pruned@1")
}
