package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

const oneService = "kind: Service\nname: document-service\n"

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// applied answers with one created service and count pruned ones.
func applied(count int) func(request) (int, any) {
	return func(request) (int, any) {
		list := iamclient.AppliedList{Items: []iamclient.Applied{
			{Kind: "Service", Name: "document-service", Action: iamclient.Created, Revision: 1, File: "x", Line: 1, After: oneService},
		}}
		for i := range count {
			list.Items = append(list.Items, iamclient.Applied{Kind: "RoutePolicy", Name: fmt.Sprintf("old-%d", i), Action: iamclient.Pruned, Before: "a\n"})
		}
		return http.StatusOK, list
	}
}

func TestApplyReadsFoldersInOrderAndStdin(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, applied(0))
	folder := writeFiles(t, map[string]string{
		"b.yml": "b", "a.yaml": "a", "sub/c.json": "c", ".hidden.yaml": "no", ".git/d.yaml": "no", "notes.txt": "no", "sub/x.yaml~": "no",
	})
	odd := writeFiles(t, map[string]string{".named": "n"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(odd, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(odd, ".named"), filepath.Join(odd, "linked.yaml")); err != nil {
		t.Fatal(err)
	}
	s := shell{t: t, stdin: "from stdin"}
	got := s.want(cli.ExitOK, []string{"service/document-service created\n", "applied: 1 created at unix:"},
		"apply", "--data", server.folder, "-f", folder, "-f", "-", "-f", filepath.Join(odd, ".named"), "-f", link)
	if got.stdout != "service/document-service created\n" {
		t.Errorf("stdout: %s", got.stdout)
	}
	var sent []string
	for _, file := range server.requests()[0].body["files"].([]any) {
		file := file.(map[string]any)
		sent = append(sent, strings.TrimPrefix(file["name"].(string), folder)+"="+file["content"].(string))
	}
	want := []string{"/a.yaml=a", "/b.yml=b", "/sub/c.json=c", "stdin=from stdin", filepath.Join(odd, ".named") + "=n", link + "/linked.yaml=n"}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}

func TestApplyRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, applied(0))
	empty, large := t.TempDir(), filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, 8<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	s := shell{t: t}
	for name, args := range map[string][]string{
		"missing":   {"-f", filepath.Join(empty, "none")},
		"empty":     {"-f", empty},
		"too large": {"-f", large},
	} {
		if got := s.run(append([]string{"apply", "--data", server.folder}, args...)...); got.code != cli.ExitFailed {
			t.Errorf("%s: exit %d, %s", name, got.code, got.stderr)
		}
		if got := s.run(append([]string{"diff", "--data", server.folder}, args...)...); got.code != cli.ExitUsage {
			t.Errorf("diff, %s: exit %d, %s", name, got.code, got.stderr)
		}
	}
	for name, args := range map[string][]string{
		"no file":             {},
		"prune without owner": {"-f", empty, "--prune"},
		"less than none":      {"-f", empty, "--owner", "o", "--prune", "--max-prune", "-1"},
		"yes and a number":    {"-f", empty, "--owner", "o", "--prune", "--max-prune", "1", "--yes"},
	} {
		if got := s.run(append([]string{"apply", "--data", server.folder}, args...)...); got.code != cli.ExitUsage {
			t.Errorf("%s: exit %d, %s", name, got.code, got.stderr)
		}
	}
	if asked := server.requests(); len(asked) != 0 {
		t.Errorf("the server was asked: %v", asked)
	}
}

func TestRuleA9PruneAsksAboveTen(t *testing.T) {
	t.Parallel()
	const no = -100 // nothing but the dry run reaches the server
	for name, test := range map[string]struct {
		pruned   int
		args     []string
		stdin    string
		terminal bool
		code     int
		max      float64 // what the server is allowed to delete
	}{
		"ten":                    {pruned: 10, max: 10},
		"eleven":                 {pruned: 11, code: 1, max: no},
		"eleven, yes":            {pruned: 11, args: []string{"--yes"}, max: -1},
		"eleven, number":         {pruned: 11, args: []string{"--max-prune", "20"}, max: 20},
		"eleven, small number":   {pruned: 11, args: []string{"--max-prune", "2"}, code: 1, max: no},
		"one, none allowed":      {pruned: 1, args: []string{"--max-prune", "0"}, code: 1, max: no},
		"asked, yes":             {pruned: 11, stdin: "yes\n", terminal: true, max: 11},
		"asked, no":              {pruned: 11, stdin: "no\n", terminal: true, code: 1, max: no},
		"asked, nothing":         {pruned: 11, terminal: true, code: 1, max: no},
		"asked, half a word":     {pruned: 11, stdin: "yesterday\n", terminal: true, code: 1, max: no},
		"yes without a terminal": {pruned: 11, stdin: "yes\n", code: 1, max: no},
		"documents from stdin":   {pruned: 11, args: []string{"-f", "-"}, stdin: "yes\n", terminal: true, code: 1, max: no},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakeServer(t, applied(test.pruned))
			folder := writeFiles(t, map[string]string{"a.yaml": oneService})
			s := shell{t: t, stdin: test.stdin, terminal: test.terminal}
			got := s.want(test.code, nil, append([]string{"apply", "--data", server.folder, "-f", folder, "--owner", "deploy", "--prune"}, test.args...)...)
			asked := server.requests()
			last := asked[len(asked)-1].body
			if test.max == no {
				if len(asked) != 1 || last["dry_run"] != true {
					t.Errorf("more than a dry run: %v", asked)
				}
				for _, says := range []string{"route-policy/old-0 would be deleted", "--max-prune", "--yes"} {
					if !strings.Contains(got.stderr, says) {
						t.Errorf("no %q in %s", says, got.stderr)
					}
				}
				return
			}
			if last["dry_run"] == true || last["prune"] != true || last["max_prune"] != test.max || last["owner"] != "deploy" {
				t.Errorf("asked for %v", last)
			}
		})
	}
}

// To the server a bound of none is the default of ten: nothing may be pruned then.
func TestRuleA9NoneMeansNone(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, applied(0))
	folder := writeFiles(t, map[string]string{"a.yaml": oneService})
	shell{t: t}.want(cli.ExitOK, nil, "apply", "--data", server.folder, "-f", folder, "--owner", "deploy", "--prune", "--max-prune", "0")
	if last := server.requests()[1].body; last["prune"] == true {
		t.Errorf("asked for %v", last)
	}
}

func TestApplyDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, applied(12))
	folder := writeFiles(t, map[string]string{"a.yaml": oneService})
	got := shell{t: t}.want(cli.ExitOK, []string{"dry run, nothing was done: 1 created, 12 pruned at unix:", "route-policy/old-3 pruned"},
		"apply", "--data", server.folder, "-f", folder, "--owner", "deploy", "--prune", "--dry-run")
	if asked := server.requests(); len(asked) != 1 || asked[0].body["dry_run"] != true || strings.Contains(got.stderr, "applied") {
		t.Errorf("%v, %s", asked, got.stderr)
	}
}

func TestDiffExitsAsItFinds(t *testing.T) {
	t.Parallel()
	folder := writeFiles(t, map[string]string{"a.yaml": oneService})
	item := func(action, before, after string) iamclient.Applied {
		return iamclient.Applied{Kind: "Service", Name: "a", Owner: "deploy", Action: action, File: "a.yaml", Before: before, After: after}
	}
	for name, test := range map[string]struct {
		status int
		item   iamclient.Applied
		code   int
		stdout string
	}{
		"same":      {200, item("unchanged", "x\n", "x\n"), 0, ""},
		"created":   {200, item("created", "", "x\n"), 1, "--- /dev/null\n+++ a.yaml\n@@ -0,0 +1,1 @@\n+x\n"},
		"changed":   {200, item("changed", "x\n", "y\n"), 1, "--- server/service/a\n+++ a.yaml\n@@ -1,1 +1,1 @@\n-x\n+y\n"},
		"pruned":    {200, item("pruned", "x\n", ""), 1, "--- server/service/a\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"},
		"new owner": {200, item("changed", "x\n", "x\n"), 1, "--- server/service/a\n+++ a.yaml\n@@ the owner becomes \"deploy\" @@\n"},
		"refused":   {403, iamclient.Applied{}, 2, ""},
		"broken":    {500, iamclient.Applied{}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakeServer(t, func(request) (int, any) {
				return test.status, iamclient.AppliedList{Items: []iamclient.Applied{test.item}}
			})
			got := shell{t: t}.want(test.code, nil, "diff", "--data", server.folder, "-f", folder)
			if got.stdout != test.stdout {
				t.Errorf("%s", cmp.Diff(test.stdout, got.stdout))
			}
			if asked := server.requests(); len(asked) != 1 || asked[0].body["dry_run"] != true {
				t.Errorf("asked for %v", asked)
			}
		})
	}
	shell{t: t}.want(cli.ExitUsage, []string{"start countersign serve"}, "diff", "--data", t.TempDir(), "-f", folder)
}
