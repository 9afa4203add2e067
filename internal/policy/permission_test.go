package policy_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

func compile(t testing.TB, list ...policy.Permission) policy.Permissions {
	t.Helper()
	p, err := policy.CompilePermissions(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func permission(prefixes []string, actions ...string) policy.Permission {
	return policy.Permission{Bucket: "documents", Prefixes: prefixes, Actions: actions}
}

func TestRuleD2Prefixes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prefix string
		action, key  string
		want         bool
	}{
		{"under it", "resumes/", "get_object", "resumes/a.pdf", true},
		{"deeper", "resumes/", "get_object", "resumes/acme/a.pdf", true},
		{"the folder's own key", "resumes/", "get_object", "resumes/", true},
		{"without the slash", "resumes/", "get_object", "resumes", false},
		{"a longer name", "resumes/", "get_object", "resumes-old/a.pdf", false},
		{"another", "resumes/", "get_object", "other/a.pdf", false},
		{"capitals", "resumes/", "get_object", "Resumes/a.pdf", false},
		{"one key", "resumes/a.pdf", "get_object", "resumes/a.pdf", true},
		{"one key, longer", "resumes/a.pdf", "get_object", "resumes/a.pdfx", false},
		{"one key, under it", "resumes/a.pdf", "get_object", "resumes/a.pdf/x", false},
		{"one key, as with multistore", "resumes", "get_object", "resumes/a.pdf", false},
		{"all", "", "get_object", "anything", true},
		{"all, no key", "", "get_object", "", false},
		{"list under it", "resumes/", "list_bucket", "resumes/", true},
		{"list deeper", "resumes/", "list_bucket", "resumes/ac", true},
		{"list above it", "resumes/", "list_bucket", "", false},
		{"list the start of it", "resumes/", "list_bucket", "resumes", false},
		{"list one key", "resumes/a.pdf", "list_bucket", "resumes/a.pdf", false},
		{"list all", "", "list_bucket", "", true},
		{"list all under", "", "list_bucket", "x", true},
		{"uploads above it", "resumes/", "list_bucket_multipart_uploads", "", false},
		{"location", "resumes/", "get_bucket_location", "", true},
		{"a question mark is one", "a?/", "get_object", "ab/x", false},
		{"an action that is none", "", "get_objects", "x", false},
		{"no action", "", "", "x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, permission([]string{tt.prefix}, "get_object", "list_bucket", "list_bucket_multipart_uploads", "get_bucket_location"))
			if got := p.Allow(tt.action, "documents", tt.key); got != tt.want {
				t.Errorf("got %t", got)
			}
			for _, bucket := range []string{"", "document", "documents2", "Documents", "*"} {
				if p.Allow(tt.action, bucket, tt.key) {
					t.Errorf("bucket %q is allowed", bucket)
				}
			}
		})
	}
}

func TestActionsImplyAsIAMDoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		granted string
		yes, no []string
	}{
		{"get_object", []string{"head_object"}, []string{"get_object_version", "get_object_acl", "put_object", "list_bucket"}},
		{"head_object", nil, []string{"get_object"}},
		{"put_object", []string{"create_multipart_upload", "upload_part", "complete_multipart_upload"}, []string{"abort_multipart_upload", "delete_object", "put_object_acl", "put_object_tagging"}},
		{"upload_part", nil, []string{"put_object", "create_multipart_upload", "complete_multipart_upload"}},
		{"delete_object", nil, []string{"delete_object_version"}},
		{"list_bucket", nil, []string{"list_bucket_versions", "list_bucket_multipart_uploads", "get_object"}},
		{"put_object_retention", nil, []string{"bypass_governance_retention", "put_object_legal_hold"}},
	}
	for _, tt := range tests {
		p := compile(t, permission([]string{""}, tt.granted))
		for _, action := range append(tt.yes, tt.granted) {
			if !p.Allow(action, "documents", "k") {
				t.Errorf("%s does not allow %s", tt.granted, action)
			}
		}
		for _, action := range tt.no {
			if p.Allow(action, "documents", "k") {
				t.Errorf("%s allows %s", tt.granted, action)
			}
		}
	}
}

func TestNothingIsAllowedByNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []policy.Permissions{nil, {}, {{}}, {{Bucket: "documents"}}, {{Bucket: "documents", Actions: []string{"get_object"}}}, {{Bucket: "documents", Prefixes: []string{""}}}} {
		if p.Allow("get_object", "documents", "k") || p.Allow("list_bucket", "documents", "") {
			t.Errorf("%v allows", p)
		}
	}
	// What was compiled and never resolved.
	p := compile(t, permission([]string{"{tenant}/"}, "get_object", "list_bucket"))
	if p.Allow("get_object", "documents", "{tenant}/x") || p.Allow("list_bucket", "documents", "{tenant}/") {
		t.Error("an open template allows")
	}
}

func TestCompilePermissionsRefusesWithPlace(t *testing.T) {
	t.Parallel()
	good := permission([]string{"a/"}, "get_object")
	with := func(change func(*policy.Permission)) []policy.Permission {
		p := policy.Permission{Bucket: good.Bucket, Prefixes: slices.Clone(good.Prefixes), Actions: slices.Clone(good.Actions)}
		change(&p)
		return []policy.Permission{good, p}
	}
	prefix := func(text string) []policy.Permission {
		return with(func(p *policy.Permission) { p.Prefixes = []string{"ok/", text} })
	}
	bucket := func(text string) []policy.Permission {
		return with(func(p *policy.Permission) { p.Bucket = text })
	}
	tests := map[string]struct {
		list []policy.Permission
		want []string
	}{
		"no bucket":         {bucket(""), []string{"[1].bucket"}},
		"every bucket":      {bucket("*"), []string{"[1].bucket"}},
		"bucket pattern":    {bucket("doc-*"), []string{"[1].bucket"}},
		"bucket with slash": {bucket("documents/x"), []string{"[1].bucket"}},
		"bucket in caps":    {bucket("Documents"), []string{"[1].bucket"}},
		"bucket too long":   {bucket(strings.Repeat("a", 64)), []string{"[1].bucket"}},
		"bucket template":   {bucket("docs-{x}"), []string{"[1].bucket"}},
		"no prefixes":       {with(func(p *policy.Permission) { p.Prefixes = nil }), []string{"[1].prefixes"}},
		"empty prefixes":    {with(func(p *policy.Permission) { p.Prefixes = []string{} }), []string{"[1].prefixes"}},
		"star":              {prefix("*"), []string{"[1].prefixes[1]"}},
		"star in it":        {prefix("a/*"), []string{"[1].prefixes[1]"}},
		"absolute":          {prefix("/a/"), []string{"[1].prefixes[1]"}},
		"only a slash":      {prefix("/"), []string{"[1].prefixes[1]"}},
		"double slash":      {prefix("a//b"), []string{"[1].prefixes[1]"}},
		"dots":              {prefix("a/../b/"), []string{"[1].prefixes[1]"}},
		"dot":               {prefix("./a"), []string{"[1].prefixes[1]"}},
		"backslash":         {prefix(`a\b`), []string{"[1].prefixes[1]"}},
		"control":           {prefix("a\x01"), []string{"[1].prefixes[1]"}},
		"not UTF-8":         {prefix("a\xff"), []string{"[1].prefixes[1]"}},
		"too long":          {prefix(strings.Repeat("a", 1025)), []string{"[1].prefixes[1]"}},
		"unknown template":  {prefix("{tenat}/"), []string{"[1].prefixes[1]"}},
		"claim, no name":    {prefix("{claims.}/"), []string{"[1].prefixes[1]"}},
		"session name":      {prefix("{session}/"), []string{"[1].prefixes[1]"}},
		"tag":               {prefix("{tags.team}/"), []string{"[1].prefixes[1]"}},
		"open brace":        {prefix("{tenant/"), []string{"[1].prefixes[1]"}},
		"closing brace":     {prefix("tenant}/"), []string{"[1].prefixes[1]"}},
		"nested":            {prefix("{{tenant}}/"), []string{"[1].prefixes[1]"}},
		"AWS's variables":   {prefix("${aws:username}/"), []string{"[1].prefixes[1]"}},
		"no actions":        {with(func(p *policy.Permission) { p.Actions = nil }), []string{"[1].actions"}},
		"unknown action":    {with(func(p *policy.Permission) { p.Actions = []string{"get_object", "get_objekt"} }), []string{"[1].actions[1]"}},
		"every action":      {with(func(p *policy.Permission) { p.Actions = []string{"*"} }), []string{"[1].actions[0]"}},
		"IAM's action":      {with(func(p *policy.Permission) { p.Actions = []string{"s3:GetObject"} }), []string{"[1].actions[0]"}},
		"action twice":      {with(func(p *policy.Permission) { p.Actions = []string{"get_object", "get_object"} }), []string{"[1].actions[1]"}},
		"all at once":       {[]policy.Permission{{}}, []string{"[0].bucket", "[0].prefixes", "[0].actions"}},
		"too many":          {make([]policy.Permission, policy.MaxPermissions+1), []string{""}},
		"too many prefixes": {with(func(p *policy.Permission) { p.Prefixes = make([]string, policy.MaxPrefixes+1) }), []string{"[1].prefixes"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := policy.CompilePermissions(tt.list)
			var told *policy.PermissionError
			if p != nil || !errors.Is(err, countersign.BadPolicy) || !errors.As(err, &told) {
				t.Fatalf("got %v, %v", p, err)
			}
			var got []string
			for _, problem := range told.Problems {
				got = append(got, problem.Path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if p, err := policy.CompilePermissions(nil); err != nil || len(p) != 0 {
		t.Errorf("none: %v, %v", p, err)
	}
}

func TestRuleD3Templates(t *testing.T) {
	t.Parallel()
	p := compile(t,
		permission([]string{"{claims.custom:dept}/{tenant}/{tenant}-x/", "plain/"}, "get_object"),
		policy.Permission{Bucket: "b-{service}", Prefixes: []string{"{subject}", "{role}/{claims.https://x.example/dept}/"}, Actions: []string{"put_object"}})
	if diff := cmp.Diff([]string{"claims.custom:dept", "claims.https://x.example/dept", "role", "service", "subject", "tenant"}, p.Templates()); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
	values := map[string]string{
		"tenant": "acme", "service": "docs", "subject": "u-1", "role": "writer", "claims.custom:dept": "hr", "claims.https://x.example/dept": "x", "issuer": "unused/../",
	}
	got, err := p.Resolve(values)
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Permissions{
		{Bucket: "documents", Prefixes: []string{"hr/acme/acme-x/", "plain/"}, Actions: []string{"get_object"}},
		{Bucket: "b-docs", Prefixes: []string{"u-1", "writer/x/"}, Actions: []string{"put_object"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name := range values {
		if name == "issuer" {
			continue
		}
		less := map[string]string{}
		for k, v := range values {
			if k != name {
				less[k] = v
			}
		}
		if got, err := p.Resolve(less); countersign.ReasonOf(err) != countersign.ReasonTemplateValue || !errors.Is(err, countersign.Denied) || got != nil {
			t.Errorf("without %s: %v, %v", name, got, err)
		}
	}
}

var badValues = []string{
	"", "/", "a/b", "*", "a*", "{tenant}", "{", "}", `\`, `a\b`, "..", "a..b", "../x", "\x00", "a\n", "a\x7f", "a\u0085", "a\xff", ".",
	strings.Repeat("a", 513),
}

// A value never reaches beyond its place, and is never read as a template.
func TestRuleD3ValuesThatCouldReachBeyond(t *testing.T) {
	t.Parallel()
	p := compile(t, permission([]string{"resumes/{tenant}/"}, "get_object", "list_bucket"))
	for _, value := range badValues {
		if got, err := p.Resolve(map[string]string{"tenant": value}); countersign.ReasonOf(err) != countersign.ReasonTemplateValue {
			t.Errorf("%q: %v, %v", value, got, err)
		} else if value != "" && strings.Contains(countersign.MessageOf(err), value) && len(value) > 3 {
			t.Errorf("%q is told", value)
		}
	}
	for _, value := range []string{"acme", "a.b", "A:b", "a?", "ü", "$x", "${x", "-"} {
		if strings.Contains(value, "{") {
			continue
		}
		if _, err := p.Resolve(map[string]string{"tenant": value}); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
	open := compile(t, policy.Permission{Bucket: "{tenant}", Prefixes: []string{""}, Actions: []string{"get_object"}})
	for _, value := range []string{"Acme", "a_b", "-a", ".a", "ü", strings.Repeat("a", 64)} {
		if got, err := open.Resolve(map[string]string{"tenant": value}); err == nil {
			t.Errorf("bucket %q: %v", value, got)
		}
	}
}

// Hole 21: a claim that widens a scope. In multistore a missing claim was the whole bucket
// and a value with a template in it was read again.
func TestVulnerability21TemplateValuesWidenNothing(t *testing.T) {
	t.Parallel()
	p := compile(t, permission([]string{"{claims.org}"}, "get_object"), permission([]string{"{claims.org}/"}, "list_bucket"))
	for _, values := range []map[string]string{nil, {}, {"org": "a"}, {"claims.org": ""}, {"claims.org": "{claims.org}"}, {"claims.org": "{tenant}", "tenant": "x"}} {
		if got, err := p.Resolve(values); err == nil {
			t.Errorf("%v: %v", values, got)
		}
	}
}

var template = regexp.MustCompile(`\{[^{}]*\}`)

func FuzzCompilePermissions(f *testing.F) {
	for _, seed := range []string{"a/", "{tenant}/", "{claims.x}", "", "a/{tenant}{service}/b", "{", "}{", "*", "a/../b"} {
		f.Add("documents", seed, "acme", "acme/x")
	}
	f.Fuzz(func(t *testing.T, bucket, prefix, value, key string) {
		p, err := policy.CompilePermissions([]policy.Permission{{Bucket: bucket, Prefixes: []string{prefix}, Actions: []string{"get_object", "list_bucket"}}})
		if err != nil {
			return
		}
		values := map[string]string{}
		for _, name := range p.Templates() {
			values[name] = value
		}
		resolved, err := p.Resolve(values)
		if err != nil {
			return
		}
		// What is fixed of the prefix up to its first template stays in front of every key.
		fixed, _, open := strings.Cut(prefix, "{")
		if open && resolved.Allow("get_object", resolved[0].Bucket, key) && !strings.HasPrefix(key, fixed) {
			t.Errorf("prefix %q with %q allows %q", prefix, value, key)
		}
		if open && strings.Count(resolved[0].Prefixes[0], "/") != strings.Count(template.ReplaceAllString(prefix, ""), "/") {
			t.Errorf("prefix %q with %q has another depth: %q", prefix, value, resolved[0].Prefixes[0])
		}
	})
}
