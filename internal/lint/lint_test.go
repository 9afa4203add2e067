package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/resource"
)

const issuers = `kind: Issuer
name: github
url: https://token.actions.githubusercontent.com
subject: workload
profile: oidc
audiences: [countersign]
---
kind: Issuer
name: gitlab
url: https://gitlab.com
subject: workload
profile: oidc
audiences: [countersign]
---
kind: Issuer
name: google
url: https://accounts.google.com
subject: user
profile: oidc
audiences: [client.apps.example]
---
kind: Issuer
name: terraform
url: https://app.terraform.io
subject: workload
profile: oidc
audiences: [countersign]
---
kind: Issuer
name: pools
url: https://cognito-identity.amazonaws.com
subject: user
profile: oidc
audiences: [us-east-1:pool]
---
kind: Issuer
name: cluster
url: https://oidc.cluster.example
subject: workload
profile: oidc
audiences: [countersign]
---
kind: Issuer
name: corporate
url: https://login.example.com
subject: service
profile: oidc
audiences: [one, two]
---
`

func check(t testing.TB, text string, others lint.Lookup) []lint.Finding {
	t.Helper()
	documents, err := resource.Parse([]resource.File{{Name: "f.yaml", Content: []byte(text)}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return lint.Check(documents, others)
}

// role makes a role of one statement, and finds what is wrong with it as "severity rule path".
func role(t testing.TB, statement string) (found []string) {
	t.Helper()
	for _, f := range check(t, issuers+"kind: Role\nname: r\ntrust:\n  - "+statement+"\n", lint.Lookup{}) {
		if f.Kind != "Role" || f.Name != "r" || f.File != "f.yaml" || f.Line < 50 || f.Column == 0 || f.Message == "" {
			t.Errorf("finding %+v", f)
		}
		found = append(found, fmt.Sprintf("%s %s %s", f.Severity, f.Rule, f.Path))
	}
	return found
}

func oidc(issuer, subjects, condition string) string {
	text := "oidc: {issuer: " + issuer
	if subjects != "" {
		text += ", subject_conditions: [" + subjects + "]"
	}
	if issuer == "corporate" {
		text += ", required_audiences: [one]"
	}
	if condition != "" {
		text += ", condition: '" + condition + "'"
	}
	return text + "}"
}

// Hole 20: loose trust, as it is found in the field.
func TestVulnerability20LooseTrustIsRefused(t *testing.T) {
	t.Parallel()
	corpus := map[string]string{
		"every repository":               oidc("github", `"repo:*"`, ""),
		"every repository, two stars":    oidc("github", `"repo:**"`, ""),
		"every owner":                    oidc("github", `"repo:*/docs:ref:refs/heads/main"`, ""),
		"owners that begin so":           oidc("github", `"repo:acme*/**"`, ""),
		"owner and others":               oidc("github", `"repo:acme**"`, ""),
		"one good, one bad":              oidc("github", `"repo:acme/docs:ref:refs/heads/main", "repo:*/*:**"`, ""),
		"every sub":                      oidc("github", `"**"`, `claims.ref == "refs/heads/main"`),
		"any star":                       oidc("github", `"*"`, `true`),
		"branch only":                    oidc("github", "", `claims.ref == "refs/heads/main"`),
		"environment only":               oidc("github", "", `claims.environment == "production"`),
		"not empty":                      oidc("github", "", `claims.repository != ""`),
		"one that is there":              oidc("github", "", `has(claims.repository_owner)`),
		"all but one":                    oidc("github", "", `claims.repository_owner != "evil"`),
		"owner begins so":                oidc("github", "", `claims.repository_owner.startsWith("acme")`),
		"repository has it":              oidc("github", "", `claims.repository.contains("acme")`),
		"ends so":                        oidc("github", "", `claims.repository.endsWith("docs")`),
		"alternative":                    oidc("github", "", `claims.repository_owner == "acme" || claims.ref == "refs/heads/main"`),
		"sub begins so":                  oidc("github", "", `claims.sub.startsWith("repo:")`),
		"time only":                      oidc("github", "", `request.time < timestamp("2100-01-01T00:00:00Z")`),
		"gitlab, every project":          oidc("gitlab", `"project_path:**"`, ""),
		"gitlab, groups that begin so":   oidc("gitlab", `"project_path:acme*/docs:**"`, ""),
		"gitlab, branch":                 oidc("gitlab", "", `claims.ref == "refs/heads/main" || claims.ref_protected == "true"`),
		"google, everybody":              oidc("google", `"*"`, `claims.email_verified == true`),
		"google, anybody's mail":         oidc("google", "", `claims.email.endsWith("example.com")`),
		"google, numbers":                oidc("google", `"1*"`, ""),
		"google, verified":               oidc("google", "", `claims.email_verified`),
		"terraform, every organization":  oidc("terraform", `"organization:*:project:p:**"`, ""),
		"terraform, begins so":           oidc("terraform", `"organization:acme*:**"`, ""),
		"identity pool, everybody":       oidc("pools", `"us-east-1:*"`, ""),
		"identity pool, authenticated":   oidc("pools", "", `"mfa" in claims.amr`),
		"cluster, every account":         oidc("cluster", `"system:serviceaccount:**"`, ""),
		"cluster, every namespace":       oidc("cluster", `"system:serviceaccount:*:deployer"`, ""),
		"cluster, namespaces like it":    oidc("cluster", `"system:serviceaccount:prod*:deployer"`, ""),
		"cluster, every user":            oidc("cluster", `"system:**"`, ""),
		"everybody of the company":       oidc("corporate", `"**"`, `true`),
		"everybody, elaborate":           oidc("corporate", "", `size(claims.sub) > 0 && claims.iss == "https://login.example.com"`),
		"everybody who may read":         oidc("corporate", "", `claims.scope == "openid"`),
		"aws, every account":             `aws: {trusted_aws_accounts: ["123456789012", "210987654321"], subject_conditions: ["arn:aws:sts::*:assumed-role/deploy/*"]}`,
		"aws, account like it":           `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::12345678901*:assumed-role/deploy/*"]}`,
		"aws, every partition":           `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:*:sts::123456789012:assumed-role/deploy/*"]}`,
		"aws, across colons":             `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::**"]}`,
		"aws, everybody in it":           `aws: {trusted_aws_accounts: ["123456789012"], condition: 'aws.account == "123456789012"'}`,
		"aws, everybody who has an ARN":  `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["**"], condition: 'aws.arn.startsWith("arn:aws:sts:")'}`,
		"services, all that may call":    `service: {names: ["**"], condition: 'claims.scope.contains("s2s:internal")'}`,
		"services, all with an audience": `service: {names: ["*"], condition: 'claims.aud == "sts"'}`,
	}
	for name, statement := range corpus {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := role(t, statement)
			if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, "error ") }) {
				t.Errorf("%s\nfound only %q", statement, found)
			}
		})
	}
}

func TestGoodTrustHasNoErrors(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"workflow":               `github: {repository: acme/docs, ref: refs/heads/main}`,
		"environment":            `github: {repository: acme/docs, environment: production}`,
		"workflow, by a subject": oidc("github", `"repo:acme/docs:ref:refs/heads/main"`, ""),
		"branches":               oidc("github", `"repo:acme/docs:ref:refs/heads/*"`, ""),
		"by claims":              oidc("github", "", `claims.repository_owner_id == "123" && claims.ref == "refs/heads/main"`),
		"by claims beside **":    oidc("github", `"**"`, `claims.repository == "acme/docs" && claims.ref == "refs/heads/main"`),
		"owner, with a slash":    oidc("github", "", `claims.repository.startsWith("acme/") && claims.ref == "refs/heads/main"`),
		"one of":                 oidc("github", "", `claims.repository in ["acme/docs", "acme/site"]`),
		"customised subject":     oidc("github", `"repository_owner_id:123:repository_id:456"`, ""),
		"gitlab":                 oidc("gitlab", `"project_path:acme/docs:ref_type:branch:ref:main"`, ""),
		"google":                 oidc("google", `"110169484474386276334"`, ""),
		"google, one domain":     oidc("google", "", `claims.hd == "acme.example" && claims.email_verified == true`),
		"google, one's mail":     oidc("google", "", `claims.email.endsWith("@acme.example") && claims.email_verified == true`),
		"terraform":              oidc("terraform", `"organization:acme:project:p:workspace:w:run_phase:apply"`, ""),
		"identity pool":          oidc("pools", `"us-east-1:12345678-abcd-1234-abcd-123456789012"`, ""),
		"service account":        `kubernetes: {issuer: cluster, service_account: docs/deployer}`,
		"one namespace":          oidc("cluster", `"system:serviceaccount:docs:*"`, ""),
		"one namespace by claim": oidc("cluster", `"system:serviceaccount:**"`, `claims["kubernetes.io"].namespace == "docs"`),
		"service":                oidc("corporate", "", `claims["custom:service_id"] == "document-service"`),
		"services":               oidc("corporate", "", `claims["custom:service_id"].startsWith("document-")`),
		"group":                  oidc("corporate", `"**"`, `"admins" in claims.groups`),
		"lambda":                 `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/document-lambda/*"]}`,
		"user":                   `aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:iam::123456789012:user/alice"]}`,
		"unique id":              `aws: {trusted_aws_accounts: ["123456789012"], unique_ids: [AROAEXAMPLEEXAMPLE12]}`,
		"condition on AWS":       `aws: {trusted_aws_accounts: ["123456789012"], condition: 'aws.arn.startsWith("arn:aws:sts::123456789012:assumed-role/deploy/")'}`,
		"our service":            `service: {names: [document-service]}`,
		"our services":           `service: {names: ["document-*"]}`,
		"our services, by claim": `service: {names: ["**"], condition: 'service.tenant == "acme"'}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found := role(t, statement); len(found) > 0 {
				t.Errorf("%s\n%q", statement, found)
			}
		})
	}
}

func TestRuleD10Findings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		statement string
		want      []string
	}{
		"condition does not compile": {oidc("github", "", `claims.x ==`), []string{"error condition trust[0].oidc.condition"}},
		"condition is no bool":       {oidc("github", `"repo:a/b:ref:x"`, `claims.sub`), []string{"error condition trust[0].oidc.condition"}},
		"unknown variable":           {`service: {names: [a], condition: 'session.name == "x"'}`, []string{"error condition trust[0].service.condition"}},
		"of another proof":           {`aws: {trusted_aws_accounts: ["123456789012"], unique_ids: [AROAEXAMPLEEXAMPLE12], condition: 'claims.sub == "x"'}`, []string{"error condition trust[0].aws.condition"}},
		"too costly":                 {oidc("corporate", "x", `claims.a.all(a, claims.a.all(b, claims.a.all(c, a != b || b != c)))`), []string{"error condition trust[0].oidc.condition"}},
		"no ref":                     {`github: {repository: acme/docs}`, []string{"warning github_no_ref trust[0].github"}},
		"every ref":                  {oidc("github", `"repo:acme/docs:**"`, ""), []string{"warning github_no_ref trust[0].oidc.subject_conditions"}},
		"every repository of one":    {oidc("github", `"repo:acme/*:**"`, ""), []string{"warning repository_wildcard trust[0].oidc.subject_conditions"}},
		"D1: needs **":               {oidc("github", `"repo:acme/docs:*"`, ""), []string{"warning pattern_tail trust[0].oidc.subject_conditions"}},
		"D1: needs **, owner":        {oidc("github", `"repo:acme/*"`, ""), []string{"warning repository_wildcard trust[0].oidc.subject_conditions", "warning pattern_tail trust[0].oidc.subject_conditions"}},
		"D1: assumed role":           {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/doc*"]}`, []string{"warning pattern_tail trust[0].aws.subject_conditions"}},
		"regular expression":         {oidc("corporate", `"^svc-.*$"`, ""), []string{"warning pattern_regexp trust[0].oidc.subject_conditions"}},
		"alternative":                {`service: {names: ["(a|b)"]}`, []string{"warning pattern_regexp trust[0].service.names"}},
		"no issuer, as of GitHub":    {oidc("nowhere", `"repo:*"`, ""), []string{"warning issuer_missing trust[0].oidc.issuer", "error multi_tenant trust[0].oidc.subject_conditions"}},
		"no issuer":                  {oidc("nowhere", "x", ""), []string{"warning issuer_missing trust[0].oidc.issuer"}},
		"not GitHub":                 {`github: {issuer: gitlab, repository: a/b, ref: refs/heads/main}`, []string{"warning issuer_missing trust[0].github.issuer"}},
		"any of two audiences":       {"oidc: {issuer: corporate, subject_conditions: [x]}", []string{"warning audience_any trust[0].oidc"}},
		"audience of nobody":         {"oidc: {issuer: corporate, required_audiences: [three], subject_conditions: [x]}", []string{"warning audience_unknown trust[0].oidc.required_audiences"}},
		"default account":            {`kubernetes: {issuer: cluster, service_account: docs/default}`, []string{"warning kubernetes_default_account trust[0].kubernetes.service_account"}},
		"ARN of a role":              {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:iam::123456789012:role/deploy"]}`, []string{"warning aws_never_matches trust[0].aws.subject_conditions"}},
		"no session":                 {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/deploy"]}`, []string{"warning aws_never_matches trust[0].aws.subject_conditions"}},
		"no ARN":                     {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["deploy"]}`, []string{"warning aws_never_matches trust[0].aws.subject_conditions"}},
		"another account":            {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:iam::210987654321:user/alice"]}`, []string{"warning aws_never_matches trust[0].aws.subject_conditions"}},
		"every role":                 {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/*/*"]}`, []string{"warning aws_any_role trust[0].aws.subject_conditions"}},
		"everything of an account":   {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:**"]}`, []string{"warning aws_any_role trust[0].aws.subject_conditions"}},
		"root":                       {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:iam::123456789012:root"]}`, []string{"warning aws_root trust[0].aws.subject_conditions"}},
		"session name":               {`aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/deploy/ci"]}`, []string{"warning aws_session_name trust[0].aws.subject_conditions"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, role(t, tt.statement)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.statement, diff)
			}
		})
	}
}

func TestRuleD10InsecureAllow(t *testing.T) {
	t.Parallel()
	bad := oidc("github", `"repo:*"`, "")
	tests := map[string]struct {
		allow string
		want  []string
	}{
		"named":              {"multi_tenant", []string{"warning multi_tenant trust[0].oidc.subject_conditions"}},
		"another rule":       {"everyone", []string{"error multi_tenant trust[0].oidc.subject_conditions", "warning insecure_allow_unused trust[0].insecure_allow"}},
		"no rule":            {"multitenant", []string{"error multi_tenant trust[0].oidc.subject_conditions", "error insecure_allow trust[0].insecure_allow"}},
		"not to be overrode": {"condition", []string{"error multi_tenant trust[0].oidc.subject_conditions", "error insecure_allow trust[0].insecure_allow"}},
		"everything":         {"'*'", []string{"error multi_tenant trust[0].oidc.subject_conditions", "error insecure_allow trust[0].insecure_allow"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, role(t, bad+"\n    insecure_allow: ["+tt.allow+"]")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// It is for that statement alone.
	found := role(t, bad+"\n    insecure_allow: [multi_tenant]\n  - "+bad)
	if diff := cmp.Diff([]string{"warning multi_tenant trust[0].oidc.subject_conditions", "error multi_tenant trust[1].oidc.subject_conditions"}, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, f := range check(t, issuers+"kind: Role\nname: r\ntrust:\n  - "+bad+"\n    insecure_allow: [multi_tenant]\n  - github: {repository: a/b}\n    insecure_allow: [github_no_ref]\n", lint.Lookup{}) {
		if f.Allowed != (f.Rule == "multi_tenant") {
			t.Errorf("%+v", f) // a warning needs no permission
		}
	}
	// What compiles nowhere can't be allowed.
	if found := role(t, oidc("github", "", "claims.x ==")+"\n    insecure_allow: [multi_tenant]"); !slices.Contains(found, "error condition trust[0].oidc.condition") {
		t.Errorf("%q", found)
	}
}

func TestRuleD10Issuers(t *testing.T) {
	t.Parallel()
	document := func(name, url, audience string) string {
		return "kind: Issuer\nname: " + name + "\nurl: " + url + "\nsubject: user\nprofile: oidc\naudiences: [" + audience + "]\n---\n"
	}
	stored, err := resource.Parse([]resource.File{{Content: []byte(document("stored", "https://i.example", "a, b") + "kind: Service\nname: x\n")}})
	if err != nil {
		t.Fatal(err)
	}
	others := lint.Lookup{OwnIssuer: "https://own.example", Issuers: []*resource.Document{&stored[0]}}
	tests := map[string]struct {
		text string
		want []string
	}{
		"another URL":            {document("x", "https://j.example", "a"), nil},
		"another audience":       {document("x", "https://i.example", "c"), nil},
		"overlap":                {document("x", "https://i.example", "c, b"), []string{"error issuer_overlap audiences"}},
		"overlap beside":         {document("x", "https://j.example", "a") + document("y", "https://j.example", "a"), []string{"error issuer_overlap audiences"}},
		"our own":                {document("x", "https://own.example", "a"), []string{"error own_issuer url"}},
		"of the Kubernetes API":  {document("x", "https://k.example", "https://kubernetes.default.svc.cluster.local"), []string{"warning audience_of_others audiences"}},
		"of AWS":                 {document("x", "https://k.example", "sts.amazonaws.com"), []string{"warning audience_of_others audiences"}},
		"a role and its issuer":  {"kind: Role\nname: r\ntrust: [{oidc: {issuer: stored, required_audiences: [a], subject_conditions: [x]}}]\n", nil},
		"long sessions":          {"kind: Role\nname: r\nmax_session_duration: 12h\ntrust: [{service: {names: [a]}}]\n", []string{"warning session_long max_session_duration"}},
		"list of one key":        {"kind: Role\nname: r\ntrust: [{service: {names: [a]}}]\npermissions: [{bucket: b, prefixes: [resumes], actions: [list_bucket]}]\n", []string{"warning list_prefix permissions[0].prefixes"}},
		"get of one key":         {"kind: Role\nname: r\ntrust: [{service: {names: [a]}}]\npermissions: [{bucket: b, prefixes: [resumes], actions: [get_object]}]\n", nil},
		"a service's trust":      {"kind: Service\nname: s\ntrust: [{oidc: {issuer: stored, required_audiences: [a], condition: 'true'}}]\n", []string{"error everyone trust[0].oidc.condition"}},
		"a policy":               {"kind: RoutePolicy\nname: p\nservice: s\nrules:\n  - {name: r, from: {services: [a]}, to: {methods: [GET], paths: [x]}}\n", []string{"error document rules[0].to.paths[0]"}},
		"a service alone":        {"kind: Service\nname: s\n", nil},
		"GitHub is nobody's yet": {"kind: Role\nname: r\ntrust: [{github: {repository: a/b, ref: refs/heads/main}}]\n", []string{"warning issuer_missing trust[0].github"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.TrimSuffix(tt.text, "---\n")
			var got []string
			for _, f := range check(t, text, others) {
				got = append(got, fmt.Sprintf("%s %s %s", f.Severity, f.Rule, f.Path))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesAreOneTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range lint.Rules() {
		if r.Name == "" || r.About == "" || seen[r.Name] || r.Severity != lint.Error && r.Severity != lint.Warning {
			t.Errorf("%+v", r)
		}
		seen[r.Name] = true
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("repo:acme/docs:**", `claims.sub == "x"`, "arn:aws:sts::123456789012:assumed-role/x/*")
	f.Add("*", "true", "arn:")
	f.Add("repo:*", `'a`, "**")
	f.Fuzz(func(t *testing.T, subject, condition, arn string) {
		documents, err := resource.Parse([]resource.File{{Content: []byte(issuers + "kind: Service\nname: s\n")}})
		if err != nil {
			t.Fatal(err)
		}
		var trust []resource.TrustStatement
		for _, issuer := range []string{"github", "google", "cluster"} {
			trust = append(trust, resource.TrustStatement{OIDC: &resource.OIDCTrust{Issuer: issuer, SubjectConditions: []string{subject}, Condition: condition}})
		}
		trust = append(trust,
			resource.TrustStatement{AWS: &resource.AWSTrust{TrustedAWSAccounts: []string{"123456789012"}, SubjectConditions: []string{arn}, Condition: condition}},
			resource.TrustStatement{AWS: &resource.AWSTrust{}}, resource.TrustStatement{})
		documents = append(documents, resource.Document{Kind: "Role", Name: "r", Role: &resource.Role{Trust: trust}})
		lint.Check(documents, lint.Lookup{})
	})
}
