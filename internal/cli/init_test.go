package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/config"
)

// uncommented is the file of init with every key live.
func uncommented(t *testing.T) string {
	t.Helper()
	text := shell{t: t}.want(cli.ExitOK, nil, "init", "--output", "-").stdout
	return regexp.MustCompile(`(?m)^#(\S|  )`).ReplaceAllString(text, "$1")
}

// Each value in the file is the default, and the file as it is written changes nothing.
func TestInitHoldsTheDefaults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	load := func(content string) config.Config {
		path := filepath.Join(folder, "countersign.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
		return cfg
	}
	same := cmp.Options{
		cmp.Comparer(func(a, b countersign.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmp.Transformer("length", func(list []string) int { return len(list) }), // [] is none
	}
	want := load("")
	if diff := cmp.Diff(want, load(uncommented(t)), same); diff != "" {
		t.Errorf("not the defaults: %s", diff)
	}
	if diff := cmp.Diff(want, load(shell{t: t}.run("init", "--output", "-").stdout), same); diff != "" {
		t.Errorf("changes something: %s", diff)
	}
}

// docs/config.md, which has every key that there is, and the file have the same keys.
func TestInitHasEveryKey(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.0-9]+)` \\|").FindAllStringSubmatch(string(content), -1) {
		documented[row[1]] = true
	}
	written := map[string]bool{}
	var sections []string
	for line := range strings.Lines(uncommented(t)) {
		key := regexp.MustCompile(`^( *)([a-z_0-9]+):(.*)`).FindStringSubmatch(line)
		if key == nil {
			continue
		}
		sections = append(sections[:len(key[1])/2], key[2])
		written[strings.Join(sections, ".")] = true
	}
	for key := range written { // a section is no key
		for at := strings.LastIndex(key, "."); at > 0; at = strings.LastIndex(key[:at], ".") {
			delete(written, key[:at])
		}
	}
	if diff := cmp.Diff(documented, written); diff != "" {
		t.Errorf("docs/config.md and the file of init differ: %s", diff)
	}
}

func TestInitReplacesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.yaml")
	s := shell{t: t}
	s.want(cli.ExitOK, []string{"countersign serve --config " + path}, "init", "--output", path)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.want(cli.ExitFailed, []string{"exists already"}, "init", "--output", path)
	if body, err := os.ReadFile(path); err != nil || string(body) != "mine" {
		t.Errorf("%s, %v", body, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	s.want(cli.ExitFailed, nil, "init", "--output", link)
	s.want(cli.ExitFailed, nil, "init", "--output", filepath.Join(t.TempDir(), "no", "folder"))
	s.want(cli.ExitUsage, nil, "init", "--output", "")
}
