//go:build clients

package s3clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// snippet is a fenced block of docs/s3.md.
type snippet struct{ section, language, text string }

var fence = regexp.MustCompile("(?ms)^## ([^\n]+)$|^```([a-z]+)\n(.*?)^```$")

// snippets are those of one language, or all that have one.
func snippets(t *testing.T, language string) []snippet {
	t.Helper()
	page := read(t, filepath.Join(foreign.Root(t), "docs", "s3.md"))
	var found []snippet
	section := ""
	for _, match := range fence.FindAllStringSubmatch(string(page), -1) {
		switch {
		case match[1] != "":
			section = match[1]
		case language == "" || match[2] == language:
			found = append(found, snippet{section, match[2], match[3]})
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/s3.md has no snippet of %q", language)
	}
	return found
}

// TestTheGuideIsWhatWorks runs each snippet of docs/s3.md as `countersign exec` runs a
// command, in a folder with resume.pdf.
func TestTheGuideIsWhatWorks(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	for _, s := range snippets(t, "") {
		if s.language == "nginx" {
			continue // by TestClientsBehindNginxWithVirtualHosts
		}
		t.Run(s.section, func(t *testing.T) {
			folder := t.TempDir()
			put(t, filepath.Join(folder, "resume.pdf"), random(9, 12<<20))
			command := s.command(t, folder)
			args := append([]string{"exec", "--data", w.Data, "--role", "document-writer"}, command...)
			// Older programs know no container endpoint, and others what is in the environment.
			run := foreign.Countersign(t, w.environ("RCLONE_CONFIG="+filepath.Join(folder, "rclone.conf"), "NODE_NO_WARNINGS=1"), args...)
			run.Dir = folder
			if out := foreign.Output(t, run); strings.TrimSpace(out) == "" && s.section != "curl" && s.section != "Links" {
				t.Errorf("it printed nothing")
			}
		})
	}
}

// command is how a snippet is run.
func (s snippet) command(t *testing.T, folder string) []string {
	t.Helper()
	save := func(name string) string { return write(t, filepath.Join(folder, name), s.text) }
	switch s.language {
	case "sh":
		script := save("snippet.sh")
		if regexp.MustCompile(`(?m)^(s3cmd|curl) .*(--config|--aws-sigv4)`).MatchString(s.text) {
			return []string{"--static", "--", "sh", "-e", script}
		}
		return []string{"--", "sh", "-e", script}
	case "python":
		return []string{"--", "python3", save("snippet.py")}
	case "javascript":
		// Where node looks for packages, beside the script.
		if err := os.Symlink(filepath.Join(foreign.NPM(t), "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return []string{"--", "node", save("snippet.mjs")}
	case "go":
		program := filepath.Join(folder, "snippet")
		// Not a foreign program: it has the caches of this one's home.
		build := exec.CommandContext(t.Context(), "go", "build", "-o", program, save("snippet.go"))
		build.Dir = foreign.Root(t)
		foreign.Output(t, build)
		return []string{"--", "sh", "-c", "cd " + folder + " && ./snippet"}
	}
	t.Fatalf("nobody knows how to run a snippet of %s", s.language)
	return nil
}
