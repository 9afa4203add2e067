package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/resource"
)

// linted is what package lint said of documents, and of which issuers beside them it knew.
type linted struct {
	beside   string // names and revisions
	findings []lint.Finding
}

// lint holds documents against the rules of package lint. Compiling takes a while, so what
// was said before the transaction is taken over if the same issuers are still beside them.
func (a *Admin) lint(ctx context.Context, in reads, documents []resource.Document, isGone func(name string) bool, before *linted) (*linted, error) {
	var beside strings.Builder
	lookup := lint.Lookup{OwnIssuer: a.issuer}
	if slices.ContainsFunc(documents, func(d resource.Document) bool { return d.Issuer != nil || len(d.Trust()) > 0 }) {
		named := make(map[string]bool)
		for i := range documents {
			if documents[i].Issuer != nil {
				named[documents[i].Name] = true
			}
		}
		err := all(ctx, in, resource.KindIssuer, func(r *row) {
			if name := r.document.Name; !named[name] && !isGone(name) {
				lookup.Issuers = append(lookup.Issuers, r.document)
				_, _ = fmt.Fprintf(&beside, "%s %d\n", name, r.revision)
			}
		})
		if err != nil {
			return nil, describe(err)
		}
	}
	if before != nil && before.beside == beside.String() {
		return before, nil
	}
	return &linted{beside.String(), lint.Check(documents, lookup)}, nil
}

// lint adds what may not be saved to the problems, and tells the steps of the rest.
func (p *plan) lint(ctx context.Context) (err error) {
	isGone := func(name string) bool { return p.pruned[resource.KindIssuer][name] }
	if p.linted, err = p.admin.lint(ctx, p.in, p.documents, isGone, p.linted); err != nil {
		return err
	}
	warnings := make(map[[2]string][]lint.Finding)
	for _, f := range p.linted.findings {
		if f.Severity == lint.Error {
			p.problems.Add(f.Problem())
			continue
		}
		key := [2]string{f.Kind, f.Name}
		warnings[key] = append(warnings[key], f)
	}
	for i := range p.steps {
		told := &p.steps[i].told
		told.Warnings = warnings[[2]string{told.Kind, told.Name}]
	}
	return nil
}

// overrides are the rules that an object breaks and is allowed to, for the audit event.
func overrides(findings []lint.Finding) (detail string) {
	var rules []string
	for _, f := range findings {
		if f.Allowed && !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	if rules == nil {
		return ""
	}
	return " insecure_allow=" + strings.Join(rules, ",")
}
