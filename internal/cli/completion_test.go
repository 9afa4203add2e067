package cli_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
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
		t.Skip("there is no bash")
	}
	script := shell{t: t}.want(cli.ExitOK, nil, "completion", "bash").stdout
	for line, want := range map[string]string{
		"re":                               "revoke",
		"revoke s":                         "service subject",
		"keys ":                            "list rotate rewrap",
		"get ":                             "service issuer route-policy",
		"get service --output ":            "yaml json table",
		"get --server https://x.example r": "route-policy",
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

// The scripts name no command of a later version, and every one of this version.
func TestCompletionFollowsTheCommands(t *testing.T) {
	t.Parallel()
	help := shell{t: t}.want(cli.ExitOK, nil, "--help").stdout
	script := shell{t: t}.want(cli.ExitOK, nil, "completion", "fish").stdout
	_, list, found := strings.Cut(help, "Commands:\n")
	if !found {
		t.Fatal(help)
	}
	for line := range strings.Lines(list) {
		if path, isCommand := strings.CutPrefix(line, "  "); isCommand && !strings.HasPrefix(path, " ") {
			if words := strings.Fields(path); len(words) > 0 && !strings.Contains(script, "'"+words[0]) {
				t.Errorf("%s is not completed", words[0])
			}
		}
	}
}
