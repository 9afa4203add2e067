package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/countersign/countersign/internal/resource"
)

type completionCommand struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help implements kong.HelpProvider.
func (completionCommand) Help() string {
	return `Example:
  source <(countersign completion bash)
  countersign completion zsh >"${fpath[1]}/_countersign"
  countersign completion fish >~/.config/fish/completions/countersign.fish`
}

// Run implements the command.
func (c *completionCommand) Run(k *kong.Context, p *Process) error {
	nodes := completionNodes(k.Model.Node, nil)
	script := map[string]func([]completionNode) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	if _, err := fmt.Fprint(p.Stdout, script(nodes)); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// completionNode is the program or one of its commands, with what may follow it.
type completionNode struct {
	path  string // "service create"; "" is the program
	help  string
	words []string // commands, or what the first argument can be
	flags []*kong.Flag
}

// completionNodes walks the commands below node, it first.
func completionNodes(node *kong.Node, above []*kong.Flag) []completionNode {
	path := strings.TrimSpace(strings.TrimPrefix(node.Path(), "countersign"))
	flags := append(slices.Clone(above), node.Flags...)
	this := completionNode{path: path, help: node.Help, flags: flags}
	for _, argument := range node.Positional {
		if argument.Enum != "" {
			this.words = append(this.words, argument.EnumSlice()...)
		}
		if argument.Name == "kind" {
			for _, kind := range resource.Kinds() {
				this.words = append(this.words, kindWord(kind))
			}
		}
	}
	nodes := []completionNode{}
	for _, child := range node.Children {
		this.words = append(this.words, child.Name)
		nodes = append(nodes, completionNodes(child, flags)...)
	}
	return append([]completionNode{this}, nodes...)
}

// flagValues are the values that a flag can have; known is false where only its user
// knows them.
func flagValues(f *kong.Flag) (values []string, known bool) {
	values = slices.DeleteFunc(f.EnumSlice(), func(value string) bool { return value == "" })
	return values, len(values) > 0
}

// completionCases is what bash and zsh have in common. From $line, a command's words with
// a blank before each, $word and $prev they make $line and $reply.
func completionCases(nodes []completionNode) (paths, values, words string) {
	var known []string
	var v, w strings.Builder
	for _, n := range nodes {
		line := ""
		if n.path != "" {
			line = " " + n.path
			known = append(known, `"`+line+`"`)
		}
		flags := []string{}
		for _, f := range n.flags {
			flags = append(flags, "--"+f.Name)
			if possible, found := flagValues(f); found {
				fmt.Fprintf(&v, "    %q) reply=%q ;;\n", line+" --"+f.Name, strings.Join(possible, " "))
			}
		}
		fmt.Fprintf(&w, "    %q) reply=%q; flags=%q ;;\n", line, strings.Join(n.words, " "), strings.Join(flags, " "))
	}
	return strings.Join(known, "|"), v.String(), w.String()
}

func bashCompletion(nodes []completionNode) string {
	paths, values, words := completionCases(nodes)
	return `_countersign() {
  local word line="" reply="" flags="" i
  local current="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="$line ${COMP_WORDS[i]}"
    case "$word" in ` + paths + `) line="$word" ;; esac
  done
  case "$line $prev" in
` + values + `  esac
  if [[ -z "$reply" ]]; then
    case "$line" in
` + words + `    esac
    [[ "$current" == -* ]] && reply="$flags"
  fi
  COMPREPLY=($(compgen -W "$reply" -- "$current"))
}
complete -o default -F _countersign countersign
`
}

func zshCompletion(nodes []completionNode) string {
	paths, values, words := completionCases(nodes)
	return `#compdef countersign
_countersign() {
  local word line="" reply="" flags="" i
  for ((i = 2; i < CURRENT; i++)); do
    word="$line ${words[i]}"
    case "$word" in ` + paths + `) line="$word" ;; esac
  done
  case "$line ${words[CURRENT-1]}" in
` + values + `  esac
  if [[ -z "$reply" ]]; then
    case "$line" in
` + words + `    esac
    [[ "${words[CURRENT]}" == -* ]] && reply="$flags"
  fi
  if [[ -n "$reply" ]]; then compadd -- ${=reply}; else _files; fi
}
if [[ "${funcstack[1]}" == _countersign ]]; then _countersign "$@"; else compdef _countersign countersign; fi
`
}

func fishCompletion(nodes []completionNode) string {
	var paths []string
	var lines strings.Builder
	for _, n := range nodes {
		at := `complete -c countersign -n "__countersign_at '` + n.path + `'"`
		if n.path != "" {
			paths = append(paths, "'"+n.path+"'")
		}
		if len(n.words) > 0 {
			fmt.Fprintf(&lines, "%s -f -a '%s'\n", at, strings.Join(n.words, " "))
		}
		for _, f := range n.flags {
			fmt.Fprintf(&lines, "%s -l %s", at, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(&lines, " -s %c", f.Short)
			}
			if possible, found := flagValues(f); found {
				fmt.Fprintf(&lines, " -x -a '%s'", strings.Join(possible, " "))
			} else if !f.IsBool() {
				lines.WriteString(" -r")
			}
			fmt.Fprintf(&lines, " -d '%s'\n", strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(f.Help))
		}
	}
	return `function __countersign_at
  set -l line ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$line $word")
    contains -- "$next" ` + strings.Join(paths, " ") + `; and set line $next
  end
  test "$line" = "$argv[1]"
end
` + lines.String()
}
