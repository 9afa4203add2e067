package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/countersign/countersign/internal/iamclient"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the signing keys."`
	Rotate keysRotate `cmd:"" help:"Make a new signing key; drop a compromised one."`
	Rewrap keysRewrap `cmd:"" help:"Seal everything under the current master key."`
}

type keysList struct {
	target
	output
}

// Help implements kong.HelpProvider.
func (keysList) Help() string {
	return `next: published, not used yet; active: signs; retired: still published for what it
signed; ended: published no more.

Example:
  countersign keys list`
}

// Run implements the command.
func (c *keysList) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	list, err := client.Keys(ctx)
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(p.Stdout, list)
	}
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KID\tPURPOSE\tALGORITHM\tSTATE\tUSED FROM\tUSED UNTIL\tKEPT UNTIL")
	for _, k := range list.Items {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.KID, k.Purpose, k.Algorithm, k.State,
			formatTime(k.UseFrom), formatTime(k.UseUntil), formatTime(k.KeepUntil))
	}
	return table.Flush()
}

type keysRotate struct {
	target
	output
	Purpose     string `help:"Only the keys of this purpose, as keys list shows it. Default: the tokens'." placeholder:"PURPOSE"`
	Compromised string `help:"Drop this key at once, everywhere, with all that it signed." placeholder:"KID"`
}

// Help implements kong.HelpProvider.
func (keysRotate) Help() string {
	return `The new key is published first and used when every verifier has had the time to fetch it.
A compromised key is not waited for: what it signed is refused from now on.

Example:
  countersign keys rotate
  countersign keys rotate --compromised KID`
}

// Run implements the command.
func (c *keysRotate) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	rotated, err := client.RotateKeys(ctx, iamclient.RotateKeys{Purpose: c.Purpose, Compromised: c.Compromised})
	if err != nil {
		return err
	}
	what := "rotated keys"
	if len(rotated.Created) == 0 {
		what = "a rotation is under way already, and nothing was made"
	}
	if c.Compromised != "" {
		what = "dropped key " + printable(c.Compromised) + " and all that it signed"
	}
	wrote(p, client, what)
	if c.json() {
		return printJSON(p.Stdout, rotated)
	}
	for _, k := range rotated.Created {
		if _, err := fmt.Fprintf(p.Stdout, "key/%s created (%s, %s, used from %s)\n", k.KID, k.Purpose, k.Algorithm, formatTime(k.UseFrom)); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

type keysRewrap struct {
	target
	output
}

// Help implements kong.HelpProvider.
func (keysRewrap) Help() string {
	return `To change the master key: start the server with the new one as keys.master.file and the
old one as keys.master.previous_file, rewrap, and take the old one away.

Example:
  countersign keys rewrap`
}

// Run implements the command.
func (c *keysRewrap) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	rewrapped, err := client.RewrapKeys(ctx)
	if err != nil {
		return err
	}
	wrote(p, client, fmt.Sprintf("sealed %d records under the current master key", rewrapped.Count))
	if c.json() {
		return printJSON(p.Stdout, rewrapped)
	}
	return nil
}
