package routepolicy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

func TestFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := routepolicy.FromFile(path, "s"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("no file: %v", err)
	}
	write(first + "---\n" + strings.Replace(second, "service: s", "service: other", 1))
	p, err := routepolicy.FromFile(path, "s")
	if err != nil || p.Rules() != 1 || p.Service() != "s" {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := decide(t, p, "PUT", "/x", service("a")); got.Allowed {
		t.Errorf("the policy of another service counts: %+v", got)
	}
	if _, err := routepolicy.FromFile(path, "nobody"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("no policy for the service: %v", err)
	}
	write(first + "colour: blue\n")
	_, err = routepolicy.FromFile(path, "s")
	if got := problemsOf(t, err)[0]; got.File != path || got.Line != 6 || !strings.Contains(err.Error(), "policies.yaml:6") {
		t.Errorf("%+v", got)
	}
	write(strings.Replace(first, "[/x]", "[x]", 1))
	_, err = routepolicy.FromFile(path, "s")
	if got := problemsOf(t, err)[0]; got.Line != 5 || got.Path != "rules[0].to.paths[0]" {
		t.Errorf("%+v", got)
	}
}
