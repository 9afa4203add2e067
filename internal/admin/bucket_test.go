package admin_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/registry"
)

const ambientBucket = "kind: Bucket\nname: documents\norigin: {s3: {endpoint: \"https://s3.us-east-1.amazonaws.com\", bucket: b-1, region: us-east-1, credentials: ambient}}\n"

// allowed is a folder with data/, below which paths may be named, and state/, the data folder.
func allowed(t *testing.T) (string, hostpath.Paths) {
	t.Helper()
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "data"), 0o700))
	must(t, os.MkdirAll(filepath.Join(root, "state"), 0o700))
	must(t, os.Symlink("../state", filepath.Join(root, "data", "link")))
	return root, hostpath.Paths{Folder: root, Allowed: []string{filepath.Join(root, "data")}, Forbidden: []string{filepath.Join(root, "state")}}
}

func TestBucketIsAppliedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	root, paths := allowed(t)
	r := newRigWithPaths(t, paths)
	const inDir = "kind: Bucket\nname: documents\norigin: {dir: ./data/documents}\n"
	wantActions(t, r.apply(t, request(inDir)), "Bucket/documents created@1")
	wantActions(t, r.apply(t, request(inDir)), "Bucket/documents unchanged@1")
	first, err := r.Registry.Bucket(t.Context(), "documents")
	must(t, err)
	// What was written is what is shown, wherever the server has its folder.
	if o, err := r.Object(t.Context(), "Bucket", "documents"); err != nil || !strings.Contains(string(o.Document), `"./data/documents"`) {
		t.Errorf("%s, %v", o.Document, err)
	}
	wantActions(t, r.apply(t, request(inDir+"anonymous: true\n")), "Bucket/documents changed@2")
	second, err := r.Registry.Bucket(t.Context(), "documents")
	must(t, err)
	if first.Anonymous || !second.Anonymous || first.UID != second.UID || second.Revision != 2 {
		t.Errorf("got %+v, then %+v", first, second)
	}
	must(t, r.DeleteObject(t.Context(), super(), "Bucket", "documents", 2))
	if _, err := r.Registry.Bucket(t.Context(), "documents"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a deleted bucket: %v", err)
	}
	for _, action := range []string{"bucket.create", "bucket.change", "bucket.delete"} {
		events := r.Events(t, audit.Query{Action: action, Decision: audit.Changed})
		if len(events) != 1 || events[0].Target != "documents" || strings.Contains(events[0].Detail, root) {
			t.Errorf("%s: %+v", action, events)
		}
	}
}

// TestRuleA8BucketsReachTheHost: only from the server's configuration or by a super-admin,
// and a path only below allowed_paths, whoever writes it.
func TestRuleA8BucketsReachTheHost(t *testing.T) {
	t.Parallel()
	root, paths := allowed(t)
	r := newRigWithPaths(t, paths)
	static := func(file string) string {
		return strings.Replace(ambientBucket, "ambient", "{static: {access_key_id: abc, secret_access_key_file: "+file+"}}", 1)
	}
	for name, text := range map[string]string{
		"outside": "kind: Bucket\nname: documents\norigin: {dir: ./other}\n", "above": "kind: Bucket\nname: documents\norigin: {dir: ./data/..}\n",
		"absolute": "kind: Bucket\nname: documents\norigin: {dir: /etc}\n", "the data folder": "kind: Bucket\nname: documents\norigin: {dir: state}\n",
		"by a link": "kind: Bucket\nname: documents\norigin: {dir: data/link}\n", "below a link": "kind: Bucket\nname: documents\norigin: {dir: data/link/x}\n",
		"key outside": static("other/key"), "master key": static(filepath.Join(root, "state", "master.key")), "key by a link": static("data/link/master.key"),
	} {
		for _, fromConfig := range []bool{false, true} {
			in := request(text)
			in.FromConfig = fromConfig
			_, err := r.Apply(t.Context(), super(), in)
			wantRefused(t, err, countersign.Denied, countersign.ReasonPathNotAllowed)
			if msg := countersign.MessageOf(err); !strings.Contains(msg, "origin.") || strings.Contains(msg, root) {
				t.Errorf("%s: %s", name, msg)
			}
		}
	}
	someone := admin.Actor{ID: "user:i|u"}
	for _, text := range []string{ambientBucket, static("data/key"), "kind: Bucket\nname: documents\norigin: {dir: data/documents}\n"} {
		_, err := r.Apply(t.Context(), someone, request(text))
		wantRefused(t, err, countersign.Denied, countersign.ReasonNotAdministrator)
		if msg := countersign.MessageOf(err); !strings.Contains(msg, "origin.") {
			t.Errorf("%s: it is not told what: %s", text, msg)
		}
	}
	// None of this was saved.
	if _, err := r.Object(t.Context(), "Bucket", "documents"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("it is there: %v", err)
	}
	r.apply(t, request(static("data/key")))
}

func TestRuleA8WithoutAllowedPathsThereIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.Apply(t.Context(), super(), request("kind: Bucket\nname: documents\norigin: {dir: /tmp}\n"))
	wantRefused(t, err, countersign.Denied, countersign.ReasonPathNotAllowed)
	r.apply(t, request(ambientBucket))
}

const (
	trusting = "trust:\n  - github: {repository: acme/docs, ref: refs/heads/main}\n"
	naming   = "permissions: [{bucket: documents, prefixes: [''], actions: [get_object]}]\n"
)

// TestRuleA6BucketsAndRoles: a reference across tenants is refused at save and at each
// decision, unless what is referred to lists the tenant.
func TestRuleA6BucketsAndRoles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	role := func(name, more string) string {
		return "---\nkind: Role\nname: " + name + "\n" + trusting + naming + more
	}
	ofAcme := ambientBucket + "tenant: acme\n"
	r.apply(t, request(gitHub+role("platform", "")+role("acme-role", "tenant: acme\n")))
	refuse := func(text, path string) {
		t.Helper()
		_, err := r.Apply(t.Context(), super(), request(text))
		if !errors.Is(err, countersign.Invalid) || !strings.Contains(countersign.MessageOf(err), path+": ") {
			t.Errorf("got %v, want a problem at %s", err, path)
		}
	}
	r.apply(t, request(ofAcme))
	refuse(role("other", "tenant: other\n"), "permissions[0].bucket")
	refuse(ofAcme+"allowed_roles: [platform]\n", "allowed_roles[0]")
	refuse(ofAcme+"allowed_roles: [nobody]\n", "allowed_roles[0]")
	refuse(ambientBucket+"allowed_roles: [acme-role, nobody]\n", "tenant")
	r.apply(t, request(ofAcme+"allowed_roles: [acme-role]\n"))
	r.apply(t, request(ofAcme+"allowed_roles: [acme-role]\nshared_with: [other]\n"))
	r.apply(t, request(role("other", "tenant: other\n")))

	bucket, err := r.Registry.Bucket(t.Context(), "documents")
	must(t, err)
	for name, open := range map[string]bool{"acme-role": true, "platform": false, "other": false} {
		role, err := r.Registry.Role(t.Context(), name)
		must(t, err)
		if bucket.OpenTo(role) != open {
			t.Errorf("%s: open %v", name, !open)
		}
	}
	// Both sides have to agree where the bucket names the role of another tenant.
	refuse(ofAcme+"allowed_roles: [other]\nshared_with: [other]\n", "allowed_roles[0]")
	r.apply(t, request(role("other", "tenant: other\nshared_with: [acme]\n")))
	r.apply(t, request(ofAcme+"allowed_roles: [other]\nshared_with: [other]\n"))
}

func TestRuleA6BucketDecidesAgain(t *testing.T) {
	t.Parallel()
	of := func(tenant string, shared ...string) *registry.Role {
		return &registry.Role{Name: "writer", Tenant: tenant, SharedWith: shared}
	}
	for name, test := range map[string]struct {
		bucket registry.Bucket
		role   *registry.Role
		open   bool
	}{
		"same tenant":                        {registry.Bucket{Tenant: "a"}, of("a"), true},
		"platform's role":                    {registry.Bucket{Tenant: "a"}, of(""), true},
		"other tenant":                       {registry.Bucket{Tenant: "a"}, of("b"), false},
		"shared":                             {registry.Bucket{Tenant: "a", SharedWith: []string{"b"}}, of("b"), true},
		"shared with others":                 {registry.Bucket{Tenant: "a", SharedWith: []string{"c"}}, of("b"), false},
		"platform's bucket":                  {registry.Bucket{}, of("b"), false},
		"platform's bucket, shared":          {registry.Bucket{SharedWith: []string{"b"}}, of("b"), true},
		"named":                              {registry.Bucket{Tenant: "a", AllowedRoles: []string{"writer"}}, of("a"), true},
		"another is named":                   {registry.Bucket{Tenant: "a", AllowedRoles: []string{"reader"}}, of("a"), false},
		"named, of another tenant":           {registry.Bucket{Tenant: "a", AllowedRoles: []string{"writer"}}, of("b"), false},
		"named and shared, role not":         {registry.Bucket{Tenant: "a", AllowedRoles: []string{"writer"}, SharedWith: []string{"b"}}, of("b"), false},
		"named and both shared":              {registry.Bucket{Tenant: "a", AllowedRoles: []string{"writer"}, SharedWith: []string{"b"}}, of("b", "a"), true},
		"name taken over by the platform":    {registry.Bucket{Tenant: "a", AllowedRoles: []string{"writer"}}, of(""), false},
		"platform's bucket and role, named":  {registry.Bucket{AllowedRoles: []string{"writer"}}, of(""), true},
		"platform's bucket names a tenant's": {registry.Bucket{AllowedRoles: []string{"writer"}, SharedWith: []string{"b"}}, of("b"), true},
	} {
		if got := test.bucket.OpenTo(test.role); got != test.open {
			t.Errorf("%s: open %v", name, got)
		}
	}
}

// What is only odd is saved and told.
func TestBucketWarnings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	warnings := func(text string) (rules []string) {
		t.Helper()
		applied, err := r.Apply(t.Context(), super(), request(text))
		must(t, err)
		for _, a := range applied {
			for _, f := range a.Warnings {
				rules = append(rules, f.Rule)
			}
		}
		return rules
	}
	role := "kind: Role\nname: writer\n" + trusting + naming
	r.apply(t, request(gitHub))
	for _, step := range []struct{ text, want string }{
		{role, "bucket_missing"},
		{ambientBucket + "anonymous: true\n", "bucket_public"},
		{role, ""},
		{strings.Replace(ambientBucket, "documents", "others", 1), "bucket_overlap"},
		{ambientBucket + "allowed_roles: [writer]\n", "bucket_overlap"},
		{"kind: Bucket\nname: third\nallowed_roles: [writer]\n" + strings.Replace(strings.SplitN(ambientBucket, "\n", 3)[2], "b-1", "b-3", 1), "bucket_role_unused"},
	} {
		if got := strings.Join(warnings(step.text), " "); got != step.want {
			t.Errorf("%s: %q, want %q", step.text, got, step.want)
		}
	}
}
