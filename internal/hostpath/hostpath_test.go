package hostpath_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/hostpath"
)

// world is a folder with data/ (allowed), state/ (the data folder) and links.
func world(t *testing.T) (string, hostpath.Paths) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, folder := range []string{"data/documents", "data/nested", "state/inner", "elsewhere", "datax"} {
		must(t, os.MkdirAll(filepath.Join(root, folder), 0o700))
	}
	for name, content := range map[string]string{"data/key": "secret", "state/master.key": "master", "elsewhere/key": "other"} {
		must(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	for link, target := range map[string]string{
		"data/out": "../elsewhere", "data/state": "../state", "data/in": "documents", "data/dangling": "../not-there",
		"data/keylink": "../elsewhere/key", "data/loop": "loop", "data/inkey": "key", "alias": "data",
	} {
		must(t, os.Symlink(target, filepath.Join(root, link)))
	}
	must(t, syscall.Mkfifo(filepath.Join(root, "data/pipe"), 0o600))
	return root, hostpath.Paths{Folder: root, Allowed: []string{filepath.Join(root, "alias")}, Forbidden: []string{filepath.Join(root, "state")}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRuleA8PathsOfDocuments: dir and …_file only below the config's allowed_paths.
func TestRuleA8PathsOfDocuments(t *testing.T) {
	t.Parallel()
	root, paths := world(t)
	for path, want := range map[string]string{ // "" = refused
		"data": "data", "./data/documents": "data/documents", "data/documents/": "data/documents", "data/new/folder": "data/new/folder",
		"data/in": "data/documents", "data/in/x": "data/documents/x", "alias/documents": "data/documents", "data/../data/key": "data/key",
		filepath.Join(root, "data/nested"): "data/nested",

		"": "", ".": "", "/": "", "..": "", "data/..": "", "elsewhere": "", "data/out": "", "data/out/x": "", "data/out/../../elsewhere": "",
		"datax": "", "data/../datax": "", "data/state": "", "data/state/inner": "", "state": "", "state/inner": "", "state/new": "", root: "",
		"data/dangling": "", "data/dangling/x": "", "data/loop": "", "data/loop/x": "", "data/keylink": "", "data/key/x": "", "/etc/passwd": "",
		"data/a\x00b": "",
	} {
		real, err := paths.Check(path)
		switch {
		case want == "" && (!errors.Is(err, countersign.Denied) || countersign.ReasonOf(err) != countersign.ReasonPathNotAllowed):
			t.Errorf("%q: got %q, %v", path, real, err)
		case want != "" && (err != nil || real != filepath.Join(root, want)):
			t.Errorf("%q: got %q, %v; want %q", path, real, err, want)
		}
		if err != nil && strings.Contains(countersign.MessageOf(err), root) {
			t.Errorf("%q: the message names a path: %v", path, countersign.MessageOf(err))
		}
	}
}

func TestRuleA8NothingIsAllowedByDefault(t *testing.T) {
	t.Parallel()
	root, paths := world(t)
	for name, p := range map[string]hostpath.Paths{
		"zero": {}, "nothing allowed": {Folder: root}, "relative allowed": {Folder: root, Allowed: []string{"data"}},
		"allowed is gone":     {Folder: root, Allowed: []string{filepath.Join(root, "gone")}},
		"allowed around data": {Folder: root, Allowed: []string{root}, Forbidden: []string{filepath.Join(root, "data")}},
	} {
		if _, err := p.Check("data/documents"); !errors.Is(err, countersign.Denied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// Around the data folder: what is below it would be reached by it.
	paths.Allowed = []string{root}
	for _, path := range []string{".", "state", "state/x"} {
		if _, err := paths.Check(path); !errors.Is(err, countersign.Denied) {
			t.Errorf("%q: got %v", path, err)
		}
	}
	if _, err := paths.Check("elsewhere"); err != nil {
		t.Error(err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	_, paths := world(t)
	for path, want := range map[string]string{"data/key": "secret", "data/inkey": "secret", "alias/key": "secret"} {
		if got, err := paths.ReadFile(path, 6); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, code := range map[string]countersign.Code{
		"data/keylink": countersign.Denied, "state/master.key": countersign.Denied, "data/state/master.key": countersign.Denied,
		"data/none": countersign.Unavailable, "data/documents": countersign.Unavailable, "data": countersign.Unavailable, "data/pipe": countersign.Unavailable,
	} {
		if got, err := paths.ReadFile(path, 100); !errors.Is(err, code) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := paths.ReadFile("data/key", 5); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("too long: %v", err)
	}
}
