package cli_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/fixture"
)

func TestCompletionScriptsAreScripts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "zsh", "fish"} {
		script := shell{t: t}.want(cli.ExitOK, nil, "completion", name).stdout
		program, err := exec.LookPath(name)
		if err != nil {
			t.Logf("there is no %s", name)
			continue
		}
		command := exec.CommandContext(t.Context(), program, "-n")
		command.Stdin = strings.NewReader(script)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	shell{t: t}.want(cli.ExitUsage, nil, "completion", "csh")
	shell{t: t}.want(cli.ExitUsage, nil, "completion")
}

func TestCompletionOfBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		fixture.MissingTool(t, "bash")
	}
	script := shell{t: t}.want(cli.ExitOK, nil, "completion", "bash").stdout
	for line, want := range map[string]string{
		"re":                               "restore revoke",
		"revoke s":                         "session service subject",
		"keys ":                            "list rotate rewrap",
		"get ":                             "tenant user-role service issuer role bucket route-policy access-key",
		"get service --output ":            "yaml json table",
		"get --server https://x.example r": "role route-policy",
		"apply --ow":                       "--owner",
		"completion ":                      "bash zsh fish",
		"service create document --t":      "--tenant --token-lifetime",
		"nonsense":                         "",
		"apply -f ":                        "", // the shell's own files
		"service create ":                  "",
	} {
		words := "countersign " + line
		quoted := "'" + strings.Join(strings.Split(words, " "), "' '") + "'"
		command := exec.CommandContext(t.Context(), bash, "--norc", "-c",
			script+"\nCOMP_WORDS=("+quoted+"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _countersign; echo \"${COMPREPLY[*]}\"")
		out, err := command.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %v\n%s", line, err, cmp.Diff(want, got))
		}
	}
}

// Every command has a help with an example, and no flag has no help.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	script := shell{t: t}.want(cli.ExitOK, nil, "completion", "fish").stdout
	paths := regexp.MustCompile(`'([a-z -]+)'`).FindAllStringSubmatch(strings.Split(script, "\n")[4], -1)
	if len(paths) < 25 {
		t.Fatalf("%d commands in\n%s", len(paths), script)
	}
	for _, path := range paths {
		help := shell{t: t}.want(cli.ExitOK, nil, append(strings.Fields(path[1]), "--help")...).stdout
		if strings.Contains(help, "<command>") { // a group: its commands have theirs
			continue
		}
		if !strings.Contains(help, "Example:") || !strings.Contains(help, "countersign "+path[1]) {
			t.Errorf("%s has no example", path[1])
		}
	}
	if strings.Contains(script, " -d ''") {
		t.Error("a flag has no help")
	}
}
