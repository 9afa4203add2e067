package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// kinds are the kinds of object that this version keeps, by the names that the
// command line takes.
var kinds = map[string]string{"service": "service", "services": "service"}

func kindOf(name string) (string, error) {
	if kind, ok := kinds[strings.ToLower(name)]; ok {
		return kind, nil
	}
	return "", usageError{fmt.Sprintf("unknown kind %q; there is: service", name)}
}

type getCommand struct {
	target
	output
	Kind string `arg:"" help:"The kind: service."`
	Name string `arg:"" optional:"" help:"The name; without one, all are listed."`
}

// Help implements kong.HelpProvider.
func (getCommand) Help() string {
	return `Example:
  countersign get service
  countersign get service document-service --output json`
}

// Run implements the command.
func (c *getCommand) Run(ctx context.Context, p *Process) error {
	if _, err := kindOf(c.Kind); err != nil {
		return err
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.Name != "" {
		service, err := client.Service(ctx, c.Name)
		if err != nil {
			return err
		}
		return c.printService(p.Stdout, service)
	}
	services, err := allServices(ctx, client)
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(p.Stdout, map[string]any{"items": services})
	}
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tSTATE\tSCOPES\tAUDIENCES\tTENANT")
	for _, s := range services {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Name, state(s), strings.Join(s.Scopes, " "), strings.Join(s.Audiences, " "), s.Tenant)
	}
	return table.Flush()
}

func allServices(ctx context.Context, client *iamclient.Client) ([]iamclient.Service, error) {
	services := []iamclient.Service{}
	for page := (iamclient.ServicePage{Limit: 500}); ; {
		list, err := client.Services(ctx, page)
		if err != nil {
			return nil, err
		}
		services = append(services, list.Items...)
		if page.After = list.Next; page.After == "" {
			return services, nil
		}
	}
}

func (c *getCommand) printService(w io.Writer, s iamclient.Service) error {
	if c.json() {
		return printJSON(w, s)
	}
	lifetime := "the server's default"
	if s.TokenLifetime != 0 {
		lifetime = s.TokenLifetime.String()
	}
	rows := [][2]string{
		{"name", s.Name}, {"uid", s.UID}, {"state", state(s)}, {"tenant", s.Tenant}, {"owner", s.Owner},
		{"scopes", strings.Join(s.Scopes, " ")}, {"audiences", strings.Join(s.Audiences, " ")},
		{"token lifetime", lifetime}, {"created", formatTime(s.CreatedAt)}, {"changed", formatTime(s.UpdatedAt)},
	}
	for _, secret := range s.Secrets {
		rows = append(rows, [2]string{"secret " + secret.ID, describeSecret(secret)})
	}
	return printFields(w, rows...)
}

func describeSecret(s iamclient.ServiceSecret) string {
	words := []string{"live"}
	if !s.Live {
		words[0] = "ended"
	}
	words = append(words, "made "+formatTime(s.CreatedAt))
	if !s.ExpiresAt.IsZero() {
		words = append(words, "ends "+formatTime(s.ExpiresAt))
	}
	if s.LastUsedAt.IsZero() {
		words = append(words, "never used")
	} else {
		words = append(words, "last used "+formatTime(s.LastUsedAt))
	}
	return strings.Join(words, ", ")
}

func state(s iamclient.Service) string {
	if s.Disabled {
		return "disabled"
	}
	return "enabled"
}

type deleteCommand struct {
	target
	Kind string `arg:"" help:"The kind: service."`
	Name string `arg:"" help:"The name."`
}

// Help implements kong.HelpProvider.
func (deleteCommand) Help() string {
	return `A service that is created again under the same name is another one: nothing of the old
one comes back.

Example:
  countersign delete service document-service`
}

// Run implements the command.
func (c *deleteCommand) Run(ctx context.Context, p *Process) error {
	kind, err := kindOf(c.Kind)
	if err != nil {
		return err
	}
	if c.Name == "" {
		return countersign.NewError(countersign.Invalid, "", "name the "+kind+" to delete")
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.DeleteService(ctx, c.Name, iamclient.AnyRevision); err != nil {
		return err
	}
	wrote(p, client, "deleted "+kind+" "+c.Name)
	return nil
}
