package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by release builds: -ldflags "-X …/internal/cli.version=1.2.3".
var version = ""

// Version returns the version of this build: the release, or the commit it was
// built from, or "dev".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "dev-" + setting.Value[:12]
		}
	}
	return "dev"
}

type versionCommand struct {
	Output string `help:"text or json." default:"text" enum:"text,json"`
}

// Help implements kong.HelpProvider.
func (versionCommand) Help() string {
	return `Example:
  countersign version --output json`
}

// Run implements the command.
func (c *versionCommand) Run(p *Process) error {
	if c.Output == "json" {
		return printJSON(p.Stdout, map[string]string{"version": Version(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(p.Stdout, "countersign %s (%s)\n", Version(), runtime.Version())
	return err
}
