package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/resource"
)

type getCommand struct {
	target
	Kind   string `arg:"" help:"The kind: service, role, bucket, access-key and so on."`
	Name   string `arg:"" optional:"" help:"The name; without one, all are listed."`
	Output string `help:"yaml, json or table. Default: yaml for one, table for all." default:"" enum:",yaml,json,table"`
}

// Help implements kong.HelpProvider.
func (getCommand) Help() string {
	return `YAML is what apply takes; comments before it tell what no document holds.

Example:
  countersign get service
  countersign get service document-service --output json
  countersign get route-policies --output yaml >policies.yaml`
}

// Run implements the command.
func (c *getCommand) Run(ctx context.Context, p *Process) error {
	kind, err := kindOf(c.Kind)
	if err != nil {
		return err
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.Name == "" {
		return c.list(ctx, p.Stdout, client, kind)
	}
	if kind == resource.KindService && c.Output != "table" {
		return c.service(ctx, p.Stdout, client)
	}
	object, err := client.Object(ctx, kind, c.Name)
	if err != nil {
		return err
	}
	switch c.Output {
	case "json":
		return printJSON(p.Stdout, object)
	case "table":
		return printObjects(p.Stdout, []iamclient.Object{object})
	}
	return printDocument(p.Stdout, object, [][2]string{{"state", object.State}})
}

// service shows one service with its state and its secrets, which no document holds.
func (c *getCommand) service(ctx context.Context, w io.Writer, client *iamclient.Client) error {
	service, err := client.Service(ctx, c.Name)
	if err != nil {
		return err
	}
	object, err := client.Object(ctx, resource.KindService, c.Name)
	if errors.Is(err, countersign.NotFound) && countersign.ReasonOf(err) != countersign.ReasonObjectUnknown {
		// A server from before there were documents: all but the document is known.
		object = iamclient.Object{
			Kind: resource.KindService, Name: service.Name, UID: service.UID, Tenant: service.Tenant, Owner: service.Owner,
			Revision: service.Revision, CreatedAt: service.CreatedAt, UpdatedAt: service.UpdatedAt,
			Document: "# document  not shown by this server for " + printable(service.Name) + "\n",
		}
	} else if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(w, serviceObject{service, object.Kind, object.Document})
	}
	return printDocument(w, object, describeService(service))
}

// serviceObject is a service with what every object has.
type serviceObject struct {
	iamclient.Service
	Kind     string `json:"kind"`
	Document string `json:"document"`
}

func (c *getCommand) list(ctx context.Context, w io.Writer, client *iamclient.Client, kind string) error {
	if kind == resource.KindService && c.Output != "yaml" {
		services, err := allServices(ctx, client)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(w, map[string]any{"items": services})
		}
		return printServices(w, services)
	}
	objects, err := allObjects(ctx, client, kind)
	if err != nil {
		return err
	}
	switch c.Output {
	case "json":
		return printJSON(w, map[string]any{"items": objects})
	case "yaml":
		for _, object := range objects {
			if _, err := fmt.Fprintf(w, "---\n%s", object.Document); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		return nil
	}
	if kind == resource.KindAccessKey {
		return printAccessKeys(w, objects)
	}
	return printObjects(w, objects)
}

func printServices(w io.Writer, services []iamclient.Service) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tSTATE\tSCOPES\tAUDIENCES\tTENANT\tOWNER\tREVISION")
	for _, s := range services {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.Name, state(s), strings.Join(s.Scopes, " "),
			strings.Join(s.Audiences, " "), s.Tenant, s.Owner, s.Revision)
	}
	return table.Flush()
}

func printObjects(w io.Writer, objects []iamclient.Object) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tTENANT\tOWNER\tREVISION\tCHANGED")
	for _, o := range objects {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", o.Name, o.Tenant, o.Owner, o.Revision, formatTime(o.UpdatedAt))
	}
	return table.Flush()
}

// printAccessKeys shows by what keys are revoked, and what has become of them.
func printAccessKeys(w io.Writer, objects []iamclient.Object) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tACCESS KEY ID\tSTATE\tSERVICE\tROLE\tEXPIRES\tTENANT")
	for _, o := range objects {
		var key struct {
			ID      string `json:"access_key_id"`
			Service string `json:"service"`
			Role    string `json:"role"`
			Expires string `json:"expires_at"`
		}
		if err := yaml.Unmarshal([]byte(o.Document), &key); err != nil {
			return fmt.Errorf("read the document of %s: %w", o.Name, err)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Name, key.ID, o.State, key.Service, key.Role, key.Expires, o.Tenant)
	}
	return table.Flush()
}

// printDocument prints an object as it can be applied again, behind comments about it.
func printDocument(w io.Writer, o iamclient.Object, notes [][2]string) error {
	notes = append([][2]string{
		{"uid", o.UID}, {"owner", o.Owner}, {"revision", strconv.FormatInt(o.Revision, 10)},
		{"created", formatTime(o.CreatedAt)}, {"changed", formatTime(o.UpdatedAt)},
	}, notes...)
	var comments strings.Builder
	if err := printFields(&comments, notes...); err != nil {
		return err
	}
	for line := range strings.Lines(comments.String()) {
		if _, err := fmt.Fprint(w, "# ", line); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if _, err := fmt.Fprint(w, o.Document); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func allObjects(ctx context.Context, client *iamclient.Client, kind string) ([]iamclient.Object, error) {
	objects := []iamclient.Object{}
	for page := (iamclient.ServicePage{Limit: 500}); ; {
		list, err := client.Objects(ctx, kind, page)
		if err != nil {
			return nil, err
		}
		objects = append(objects, list.Items...)
		if page.After = list.Next; page.After == "" {
			return objects, nil
		}
	}
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

// describeService tells what no document holds: the state and the secrets.
func describeService(s iamclient.Service) [][2]string {
	rows := [][2]string{{"state", state(s)}}
	for _, secret := range s.Secrets {
		rows = append(rows, [2]string{"secret " + secret.ID, describeSecret(secret)})
	}
	return rows
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
	Kind       string `arg:"" help:"The kind: service, role, bucket, access-key and so on."`
	Name       string `arg:"" help:"The name."`
	IfRevision int64  `help:"Delete this revision only; another one is a conflict. Default: whatever it is now." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (deleteCommand) Help() string {
	return `A service that is created again under the same name is another one: nothing of the old
one comes back.

Example:
  countersign delete service document-service
  countersign delete route-policy parse-service-defaults --if-revision 3`
}

// Run implements the command.
func (c *deleteCommand) Run(ctx context.Context, p *Process) error {
	kind, err := kindOf(c.Kind)
	if err != nil {
		return err
	}
	if c.Name == "" {
		return countersign.NewError(countersign.Invalid, "", "name the "+kindWord(kind)+" to delete")
	}
	revision := iamclient.AnyRevision
	if c.IfRevision < 0 {
		return usageError{"--if-revision is a number from 1 on"}
	} else if c.IfRevision > 0 {
		revision = c.IfRevision
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	if kind == resource.KindService {
		err = client.DeleteService(ctx, c.Name, revision)
	} else {
		err = client.DeleteObject(ctx, kind, c.Name, revision)
	}
	if err != nil {
		return err
	}
	wrote(p, client, "deleted "+kindWord(kind)+" "+c.Name)
	return nil
}
