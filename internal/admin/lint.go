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
	return p.lintRoles(ctx)
}

// lintRoles refuses an issuer that makes an error of what a stored role says of it: a
// role's rules depend on whose tokens anybody can get.
func (p *plan) lintRoles(ctx context.Context) error {
	changed := make(map[string]*resource.Document)
	for _, s := range p.steps {
		if d := s.document; d != nil && d.Issuer != nil && s.told.Action != ApplyUnchanged {
			changed[d.Name] = d
		}
	}
	if len(changed) == 0 {
		return nil
	}
	var roles []resource.Document
	err := all(ctx, p.in, resource.KindRole, func(r *row) {
		if name := r.document.Name; p.named[resource.KindRole][name] != nil || p.pruned[resource.KindRole][name] {
			return
		}
		for i := range r.document.Role.Trust {
			if name, _ := r.document.Role.Trust[i].IssuerName(); changed[name] != nil {
				roles = append(roles, *r.document)
				return
			}
		}
	})
	if err != nil {
		return describe(err)
	}
	lookup := lint.Lookup{OwnIssuer: p.admin.issuer}
	err = all(ctx, p.in, resource.KindIssuer, func(r *row) {
		if name := r.document.Name; p.named[resource.KindIssuer][name] == nil && !p.pruned[resource.KindIssuer][name] {
			lookup.Issuers = append(lookup.Issuers, r.document)
		}
	})
	if err != nil {
		return describe(err)
	}
	for _, d := range p.named[resource.KindIssuer] {
		lookup.Issuers = append(lookup.Issuers, d)
	}
	for _, f := range lint.Check(roles, lookup) {
		if f.Severity == lint.Error {
			p.blame(changed, roles, f)
		}
	}
	return nil
}

// blame tells of a stored role's error at the issuer that makes it one.
func (p *plan) blame(changed map[string]*resource.Document, roles []resource.Document, f lint.Finding) {
	for i := range roles {
		if roles[i].Name != f.Name {
			continue
		}
		for k := range roles[i].Role.Trust {
			name, _ := roles[i].Role.Trust[k].IssuerName()
			if d := changed[name]; d != nil && strings.HasPrefix(f.Path, fmt.Sprintf("trust[%d].", k)) {
				p.problems.Add(d.Problem("url", "the Role "+f.Name+" trusts this issuer: "+f.Path+": "+f.Problem().Message))
			}
		}
	}
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
