package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/countersign/countersign/internal/iamclient"
)

type diffCommand struct {
	target
	output
	documents
}

// Help implements kong.HelpProvider.
func (diffCommand) Help() string {
	return `Exit code 0 when apply would change nothing, 1 when it would, 2 on an error.

Example:
  countersign diff -f resources/
  countersign diff -f resources/ --owner deploy --prune`
}

// Run implements the command.
func (c *diffCommand) Run(ctx context.Context, p *Process) error {
	differs, err := c.show(ctx, p)
	switch {
	case err != nil:
		return exitError{ExitUsage, err}
	case differs:
		return silentError{}
	}
	return nil
}

func (c *diffCommand) show(ctx context.Context, p *Process) (differs bool, err error) {
	request, err := c.request(p)
	if err != nil {
		return false, err
	}
	client, err := c.admin(p)
	if err != nil {
		return false, err
	}
	defer client.Close()
	request.DryRun = true
	planned, err := client.Apply(ctx, request)
	if err != nil {
		return false, refusedDocuments(p.Stderr, err)
	}
	for _, a := range planned.Items {
		differs = differs || a.Action != iamclient.Unchanged
	}
	if c.json() {
		return differs, printJSON(p.Stdout, planned)
	}
	return differs, printDiff(p.Stdout, planned.Items)
}

// printDiff writes a unified diff that patch and editors understand.
func printDiff(w io.Writer, items []iamclient.Applied) error {
	for _, a := range items {
		if a.Action == iamclient.Unchanged {
			continue
		}
		name, before, after := objectName(a.Kind, a.Name), a.Before, a.After
		from, to := "server/"+name, a.File
		switch a.Action {
		case iamclient.Created:
			from = "/dev/null"
		case iamclient.Pruned:
			to, after = "/dev/null", ""
		}
		body := lineDiff(before, after)
		if body == "" { // the document holds, and gets an owner
			body = fmt.Sprintf("@@ the owner becomes %q @@\n", a.Owner)
		}
		if _, err := fmt.Fprintf(w, "--- %s\n+++ %s\n%s", from, printable(to), body); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}
