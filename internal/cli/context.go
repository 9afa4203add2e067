package cli

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/countersign/countersign"
)

type contextCommand struct {
	List   contextList   `cmd:"" help:"List the contexts."`
	Set    contextSet    `cmd:"" help:"Give a server a name."`
	Use    contextUse    `cmd:"" help:"Choose the server of the commands that name none."`
	Delete contextDelete `cmd:"" help:"Forget a name."`
}

type contextList struct{ output }

// Help implements kong.HelpProvider.
func (contextList) Help() string {
	return `Example:
  countersign context list`
}

// Run implements the command.
func (c *contextList) Run(p *Process) error {
	contexts, err := readContexts(p)
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(p.Stdout, contexts)
	}
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "IN USE\tNAME\tSERVER")
	for _, name := range slices.Sorted(maps.Keys(contexts.Contexts)) {
		mark, at := "", contexts.Contexts[name]
		if name == contexts.Current {
			mark = "*"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", mark, name, printable(at.Server+at.Data))
	}
	return table.Flush()
}

type contextSet struct {
	Name   string `arg:"" help:"The name of the context."`
	Server string `help:"The server's URL." placeholder:"URL" xor:"place" required:""`
	Data   string `help:"The server's data folder on this machine." placeholder:"FOLDER" type:"path" xor:"place" required:""`
}

// Help implements kong.HelpProvider.
func (contextSet) Help() string {
	return `Example:
  countersign context set production --server https://auth.example.com
  countersign context set here --data ./countersign-data`
}

// Run implements the command.
func (c *contextSet) Run(p *Process) error {
	if !countersign.ValidName(c.Name) {
		return usageError{"a context is named like a service: a-z, 0-9 and -"}
	}
	chosen := namedContext{Server: c.Server}
	if c.Server != "" {
		at, err := url.Parse(c.Server)
		if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
			return usageError{"--server is https://host[:port], without user, query and fragment"}
		}
	} else {
		folder, err := filepath.Abs(c.Data)
		if err != nil {
			return fmt.Errorf("find the data folder: %w", err)
		}
		chosen.Data = folder
	}
	return changeContexts(p, "set context "+c.Name, func(contexts *contextFile) error {
		contexts.Contexts[c.Name] = chosen
		return nil
	})
}

type contextUse struct {
	Name string `arg:"" help:"The name of the context."`
}

// Help implements kong.HelpProvider.
func (contextUse) Help() string {
	return `--server, COUNTERSIGN_SERVER, --data, COUNTERSIGN_DATA, --context and COUNTERSIGN_CONTEXT
come before it.

Example:
  countersign context use production`
}

// Run implements the command.
func (c *contextUse) Run(p *Process) error {
	return changeContexts(p, "using context "+c.Name, func(contexts *contextFile) error {
		if _, found := contexts.Contexts[c.Name]; !found {
			return unknownContext(c.Name)
		}
		contexts.Current = c.Name
		return nil
	})
}

type contextDelete struct {
	Name string `arg:"" help:"The name of the context."`
}

// Help implements kong.HelpProvider.
func (contextDelete) Help() string {
	return `The server itself is not touched. Where the context was in use, the default data folder
is next.

Example:
  countersign context delete production`
}

// Run implements the command.
func (c *contextDelete) Run(p *Process) error {
	return changeContexts(p, "deleted context "+c.Name, func(contexts *contextFile) error {
		if _, found := contexts.Contexts[c.Name]; !found {
			return unknownContext(c.Name)
		}
		delete(contexts.Contexts, c.Name)
		if contexts.Current == c.Name {
			contexts.Current = ""
		}
		return nil
	})
}

// changeContexts reads, changes and writes the contexts. Two at the same moment may lose
// one change; none leaves a broken file.
func changeContexts(p *Process, done string, change func(*contextFile) error) error {
	path := contextPath(p)
	if path == "" {
		return countersign.NewError(countersign.Unavailable, "", "there is no config folder: set HOME or XDG_CONFIG_HOME")
	}
	contexts, err := readContexts(p)
	if err != nil {
		return err
	}
	if err := change(&contexts); err != nil {
		return err
	}
	if err := writeContexts(path, contexts); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.Stderr, "%s in %s\n", done, path)
	return nil
}
