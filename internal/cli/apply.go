package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// documents is embedded in the commands that take resource documents.
type documents struct {
	File  []string `short:"f" required:"" sep:"none" help:"A file or folder of resource documents, or - for stdin; may be repeated." placeholder:"FILE|FOLDER|-"`
	Owner string   `help:"The label of the pipeline that owns them." placeholder:"LABEL"`
	Prune bool     `help:"Delete the owner's objects that the documents don't name."`
}

// request reads the documents.
func (d documents) request(p *Process) (iamclient.Apply, error) {
	if d.Prune && d.Owner == "" {
		return iamclient.Apply{}, usageError{"--prune needs --owner: only objects of the same owner are deleted"}
	}
	files, err := readResources(p, d.File)
	return iamclient.Apply{Files: files, Owner: d.Owner, Prune: d.Prune}, err
}

// defaultMaxPrune is how many objects may be deleted without a word (RULES A9).
const defaultMaxPrune = 10

type applyCommand struct {
	target
	output
	documents
	DryRun   bool `help:"Say what would be done, and do nothing."`
	Yes      bool `help:"Prune any number of objects without being asked." xor:"prune"`
	MaxPrune *int `help:"Prune so many objects at most without being asked. Default: 10." xor:"prune" placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (applyCommand) Help() string {
	return `Makes the documents hold: all of them, or none when one is refused. Of a folder it takes
the files that end in .yaml, .yml or .json, and leaves out hidden ones. Services that an
operator disabled stay disabled.

Example:
  countersign apply -f resources/
  countersign apply -f resources/ --owner deploy --prune --dry-run`
}

// Run implements the command.
func (c *applyCommand) Run(ctx context.Context, p *Process) error {
	if c.MaxPrune != nil && *c.MaxPrune < 0 {
		return usageError{"--max-prune is a number from 0 on; --yes prunes any number"}
	}
	request, err := c.request(p)
	if err != nil {
		return err
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.Prune && !c.DryRun {
		if err := c.agreeToPrune(ctx, p, client, &request); err != nil {
			return err
		}
	}
	request.DryRun = c.DryRun
	applied, err := client.Apply(ctx, request)
	if err != nil {
		return refusedDocuments(p.Stderr, err)
	}
	if c.DryRun {
		_, _ = fmt.Fprintf(p.Stderr, "dry run, nothing was done: %s at %s\n", summary(applied.Items), client.Where())
	} else {
		wrote(p, client, "applied: "+summary(applied.Items))
	}
	printWarnings(p.Stderr, applied.Items)
	if c.json() {
		return printJSON(p.Stdout, applied)
	}
	return printApplied(p.Stdout, applied.Items)
}

// agreeToPrune finds out what would be pruned and whether so many may be (RULES A9), and
// puts into the request how many the server may delete: no more than were agreed to,
// whatever happens in between.
func (c *applyCommand) agreeToPrune(ctx context.Context, p *Process, client *iamclient.Client, request *iamclient.Apply) error {
	if c.Yes {
		request.MaxPrune = -1
		return nil
	}
	dry := *request
	dry.DryRun = true
	planned, err := client.Apply(ctx, dry)
	if err != nil {
		return refusedDocuments(p.Stderr, err)
	}
	pruned := slices.DeleteFunc(planned.Items, func(a iamclient.Applied) bool { return a.Action != iamclient.Pruned })
	request.MaxPrune = defaultMaxPrune
	if c.MaxPrune != nil {
		request.MaxPrune = *c.MaxPrune
	}
	if len(pruned) <= request.MaxPrune {
		request.Prune = request.MaxPrune > 0 // 0 would mean ten to the server
		return nil
	}
	for _, a := range pruned {
		_, _ = fmt.Fprintf(p.Stderr, "  %s would be deleted\n", objectName(a.Kind, a.Name))
	}
	// Documents from stdin leave nobody there to answer.
	if !slices.Contains(c.File, "-") && confirm(ctx, p, fmt.Sprintf("Delete these %d objects at %s?", len(pruned), client.Where())) {
		request.MaxPrune = len(pruned)
		return nil
	}
	return countersign.NewError(countersign.Precondition, "", fmt.Sprintf(
		"nothing was done: %d objects would be deleted, more than %d; if that is meant, use --max-prune %d or --yes",
		len(pruned), request.MaxPrune, len(pruned)))
}

func printApplied(w io.Writer, items []iamclient.Applied) error {
	for _, a := range items {
		line := objectName(a.Kind, a.Name) + " " + a.Action
		if a.Action == iamclient.Unchanged && a.File == "" {
			line += " (not pruned: it is disabled)"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// printWarnings tells what is dangerous in documents, or can't work.
func printWarnings(w io.Writer, items []iamclient.Applied) {
	for _, a := range items {
		for _, f := range a.Warnings {
			_, _ = fmt.Fprintf(w, "warning: %s (%s)\n", f.String(), printable(f.Rule))
		}
	}
}

// summary counts: "2 created, 1 unchanged".
func summary(items []iamclient.Applied) string {
	count := map[string]int{}
	for _, a := range items {
		count[a.Action]++
	}
	var parts []string
	for _, action := range []string{iamclient.Created, iamclient.Changed, iamclient.Unchanged, iamclient.Pruned} {
		if count[action] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[action], action))
		}
	}
	if len(parts) == 0 {
		return "no objects"
	}
	return strings.Join(parts, ", ")
}

// refusedDocuments prints what is wrong with documents, one problem a line, as
// file:line:col: path: message. Any other error is left to be told as usual.
func refusedDocuments(w io.Writer, err error) error {
	problems, ok := errors.AsType[*iamclient.ProblemsError](err)
	if !ok {
		return err
	}
	_, _ = fmt.Fprintln(w, problems.Error())
	return countersign.NewError(countersign.Invalid, countersign.ReasonResourceInvalid, "nothing was applied")
}
