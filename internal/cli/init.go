package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/countersign/countersign"
)

// configTemplate has every key of the configuration at its default. A line that begins
// with "# " explains; the others become keys when their # is taken away.
//
//go:embed countersign.yaml
var configTemplate string

type initCommand struct {
	Output string `help:"The file to write; - for stdout. It never replaces one." default:"countersign.yaml" placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (initCommand) Help() string {
	return `Every key is commented out: what you uncomment and change is what differs from the
defaults.

Example:
  countersign init
  countersign init --output /etc/countersign/countersign.yaml`
}

// Run implements the command.
func (c *initCommand) Run(p *Process) error {
	if c.Output == "-" {
		_, err := fmt.Fprint(p.Stdout, configTemplate)
		return err
	}
	if c.Output == "" {
		return usageError{"--output names a file"}
	}
	file, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return countersign.NewError(countersign.Conflict, "", c.Output+" exists already and stays as it is")
	} else if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", c.Output+" can't be written", err)
	}
	_, err = file.WriteString(configTemplate)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return countersign.WrapError(countersign.Unavailable, "", c.Output+" can't be written", err)
	}
	_, _ = fmt.Fprintf(p.Stderr, "wrote %s; start with: countersign serve --config %s\n", c.Output, c.Output)
	return nil
}
