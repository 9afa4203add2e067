package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

const (
	gitHubIssuer = "kind: Issuer\nname: github\nurl: https://token.actions.githubusercontent.com\nsubject: workload\nprofile: oidc\naudiences: [countersign]\n"
	looseRole    = "kind: Role\nname: loose\ntrust:\n  - oidc: {issuer: github, subject_conditions: [\"repo:*\"]}\n"
	goodRole     = "kind: Role\nname: good\ntrust:\n  - github: {repository: acme/docs, ref: refs/heads/main}\n"
)

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	s := shell{t: t}
	folder := writeFiles(t, map[string]string{"a.yaml": gitHubIssuer, "b.yaml": looseRole})
	b := filepath.Join(folder, "b.yaml")
	got := s.want(cli.ExitFailed, []string{"SEVERITY", "error", "multi_tenant", "role/loose", b + ":4:48 trust[0].oidc.subject_conditions"}, "check", "-f", folder)
	if got.stderr != "" {
		t.Errorf("stderr: %s", got.stderr)
	}
	got = s.want(cli.ExitFailed, nil, "check", "-f", folder, "--output", "json")
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	for key, want := range map[string]any{
		"rule": "multi_tenant", "severity": "error", "kind": "Role", "name": "loose", "path": "trust[0].oidc.subject_conditions", "file": b, "line": 4.0, "column": 48.0,
	} {
		if list.Items[0][key] != want {
			t.Errorf("%s is %v, want %v", key, list.Items[0][key], want)
		}
	}
	allowed := writeFiles(t, map[string]string{"a.yaml": gitHubIssuer + "---\n" + looseRole + "    insecure_allow: [multi_tenant]\n"})
	s.want(cli.ExitOK, []string{"warning (allowed)", "multi_tenant"}, "check", "-f", allowed)
	good := writeFiles(t, map[string]string{"a.yaml": gitHubIssuer + "---\n" + goodRole})
	s.want(cli.ExitOK, []string{"nothing found"}, "check", "-f", good)
	if got := s.want(cli.ExitOK, nil, "check", "-f", good, "--output", "json"); strings.Join(strings.Fields(got.stdout), "") != `{"items":[]}` {
		t.Errorf("got %s", got.stdout)
	}
	wrong := writeFiles(t, map[string]string{"a.yaml": "kind: Role\nname: x\ntrst: []\n"})
	s.want(cli.ExitFailed, []string{"document", "a.yaml:3:1 trst", "did you mean trust?"}, "check", "-f", wrong)
	shell{t: t, stdin: looseRole}.want(cli.ExitFailed, []string{"issuer_missing", "multi_tenant", "stdin:4:20"}, "check", "-f", "-")
	s.want(cli.ExitFailed, nil, "check", "-f", filepath.Join(folder, "none"))
}

func TestCheckWhatTheServerHas(t *testing.T) {
	t.Parallel()
	stored := map[string]string{
		"Issuer/github": gitHubIssuer, "Role/loose": looseRole, "Role/good": goodRole, "Service/a": "kind: Service\nname: a\n",
		"Role/newer": "kind: Role\nname: newer\nfuture: 1\n",
	}
	server := fakeServer(t, func(r request) (int, any) {
		list := iamclient.ObjectList{Items: []iamclient.Object{}}
		kind := r.path[strings.LastIndex(r.path, "/")+1:]
		for key, document := range stored {
			if of, name, _ := strings.Cut(key, "/"); of == kind {
				list.Items = append(list.Items, iamclient.Object{Kind: of, Name: name, Document: document})
			}
		}
		return http.StatusOK, list
	})
	s := shell{t: t}
	got := s.want(cli.ExitFailed, []string{"multi_tenant", "role/loose", "role/newer"}, "check", "--data", server.folder)
	if strings.Contains(got.stdout, "role/good") {
		t.Errorf("got %s", got.stdout)
	}
	for _, r := range server.requests() {
		if r.method != "GET" {
			t.Errorf("%s %s", r.method, r.path)
		}
	}
	delete(stored, "Role/loose")
	delete(stored, "Role/newer")
	s.want(cli.ExitOK, []string{"nothing found"}, "check", "--data", server.folder)
	s.want(cli.ExitFailed, []string{"countersign serve"}, "check", "--data", filepath.Join(t.TempDir(), "none"))
}

func TestApplyTellsWarnings(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, func(request) (int, any) {
		return http.StatusOK, iamclient.AppliedList{Items: []iamclient.Applied{{
			Kind: "Role", Name: "r", Action: iamclient.Created, Warnings: []iamclient.ResourceWarning{{
				Rule: "github_no_ref", ResourceProblem: iamclient.ResourceProblem{File: "f.yaml", Line: 4, Column: 5, Path: "trust[0].github", Message: "every\x1b[31m branch"},
			}},
		}}}
	})
	folder := writeFiles(t, map[string]string{"a.yaml": goodRole})
	got := shell{t: t}.want(cli.ExitOK, []string{"role/r created"}, "apply", "--data", server.folder, "-f", folder)
	if !strings.Contains(got.stderr, "warning: f.yaml:4:5: trust[0].github: every[31m branch (github_no_ref)\n") {
		t.Errorf("stderr: %q", got.stderr)
	}
}
