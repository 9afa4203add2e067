package cli

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/fixture"
)

func TestLineDiff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, after, want string }{
		"nothing":   {"", "", ""},
		"same":      {"a\nb\n", "a\nb\n", ""},
		"all new":   {"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		"all gone":  {"a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"},
		"in middle": {"1\n2\n3\n4\nx\n5\n6\n7\n8\n", "1\n2\n3\n4\ny\n5\n6\n7\n8\n", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-x\n+y\n 5\n 6\n 7\n"},
		"two near":  {"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n", "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
		"two apart": {"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n", "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
	} {
		if got := lineDiff(test.before, test.after); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

func TestLineDiffOfLargeTextsReplacesThem(t *testing.T) {
	t.Parallel()
	before, after := strings.Repeat("a\n", 3000), strings.Repeat("a\n", 2999)
	got := lineDiff(before, after)
	if !strings.HasPrefix(got, "@@ -1,3000 +1,2999 @@\n") || strings.Count(got, "\n-a") != 3000 || strings.Count(got, "\n+a") != 2999 {
		t.Errorf("%.60q, %d bytes", got, len(got))
	}
}

// patch, which others wrote, makes after of before with the diff.
func TestLineDiffIsWhatPatchTakes(t *testing.T) {
	t.Parallel()
	patch, err := exec.LookPath("patch")
	if err != nil {
		fixture.MissingTool(t, "patch")
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(string(rune('a'+random.IntN(4))) + "\n")
		}
		return b.String()
	}
	for range 40 {
		before, after := text(), text()
		file := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		body := lineDiff(before, after)
		if body == "" {
			continue
		}
		command := exec.CommandContext(t.Context(), patch, "-s", file)
		command.Stdin = strings.NewReader("--- a\n+++ b\n" + body)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, body)
		}
		got, err := os.ReadFile(file)
		if err != nil && after != "" { // patch takes an emptied file away
			t.Fatal(err)
		}
		if string(got) != after {
			t.Fatalf("got %q, want %q by\n%s", got, after, body)
		}
	}
}
