package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/resource"
)

type checkCommand struct {
	target
	output
	File []string `short:"f" sep:"none" help:"A file or folder of resource documents, or - for stdin; may be repeated. Default: what the server has." placeholder:"FILE|FOLDER|-"`
}

// Help implements kong.HelpProvider.
func (checkCommand) Help() string {
	return `Holds documents against the rules that apply enforces: errors are refused there, warnings are
told. With --file no server is asked, and an issuer that is not among the files is missing.
Exit code 1 when there are errors.

Example:
  countersign check -f resources/
  countersign check --output json`
}

// Run implements the command.
func (c *checkCommand) Run(ctx context.Context, p *Process) error {
	check := c.stored
	if len(c.File) > 0 {
		check = c.files
	}
	findings, err := check(ctx, p)
	if err != nil {
		return err
	}
	list := make([]finding, 0, len(findings))
	failed := false
	for _, f := range findings {
		failed = failed || f.Severity == lint.Error
		list = append(list, finding(f))
	}
	if c.json() {
		err = printJSON(p.Stdout, map[string]any{"items": list})
	} else {
		err = printFindings(p.Stdout, list)
	}
	if err == nil && failed {
		return silentError{}
	}
	return err
}

// finding is a lint.Finding as JSON.
type finding struct {
	Rule     string        `json:"rule"`
	Severity lint.Severity `json:"severity"`
	// Allowed: it would be an error, if insecure_allow did not name the rule.
	Allowed bool   `json:"allowed,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Name    string `json:"name,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// files checks what the files say.
func (c *checkCommand) files(_ context.Context, p *Process) ([]lint.Finding, error) {
	read, err := readResources(p, c.File)
	if err != nil {
		return nil, err
	}
	files := make([]resource.File, 0, len(read))
	for _, f := range read {
		files = append(files, resource.File{Name: f.Name, Content: []byte(f.Content)})
	}
	documents, err := resource.Parse(files)
	if err != nil {
		return unread(err)
	}
	return lint.Check(documents, lint.Lookup{}), nil
}

// stored checks what the server has.
func (c *checkCommand) stored(ctx context.Context, p *Process) ([]lint.Finding, error) {
	client, err := c.admin(p)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var documents []resource.Document
	var findings []lint.Finding
	for _, kind := range resource.Kinds() {
		objects, err := allObjects(ctx, client, kind)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			read, err := resource.Parse([]resource.File{{Content: []byte(o.Document)}})
			if err != nil { // a server that knows more than we
				wrong, err := unread(err)
				if err != nil {
					return nil, err
				}
				for _, f := range wrong {
					f.Kind, f.Name = o.Kind, o.Name
					findings = append(findings, f)
				}
				continue
			}
			for _, d := range read {
				if d.Service == nil || len(d.Service.Trust) > 0 { // there may be very many others
					documents = append(documents, d)
				}
			}
		}
	}
	findings = append(findings, lint.Check(documents, lint.Lookup{Buckets: []*resource.Document{}})...) // all there are
	for i := range findings {
		findings[i].Line, findings[i].Column = 0, 0 // of no file that anybody has
	}
	return findings, nil
}

// unread is why documents could not be read, as findings.
func unread(err error) (findings []lint.Finding, _ error) {
	told, ok := errors.AsType[*resource.Error](err)
	if !ok {
		return nil, err
	}
	for _, problem := range told.Problems {
		findings = append(findings, lint.FindingOf(problem))
	}
	return findings, nil
}

func printFindings(w io.Writer, list []finding) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing found")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SEVERITY\tRULE\tOBJECT\tWHERE\tMESSAGE")
	for _, f := range list {
		object, where := "", f.Path
		if f.Kind != "" {
			object = objectName(f.Kind, f.Name)
		}
		if f.File != "" {
			where = f.File + ":" + strconv.Itoa(f.Line) + ":" + strconv.Itoa(f.Column) + " " + f.Path
		}
		severity := string(f.Severity)
		if f.Allowed {
			severity += " (allowed)"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", severity, f.Rule, object, printable(where), printable(f.Message))
	}
	return table.Flush()
}
