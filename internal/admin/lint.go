package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/resource"
)

// linted is what package lint said of documents, and of what beside them it knew.
type linted struct {
	beside   string // of issuers name, uid and revision; of others all that they say
	findings []lint.Finding
}

// lint holds documents against the rules of package lint. Compiling takes a while, so what
// was said before the transaction is taken over if the same objects are still beside them.
func (a *Admin) lint(ctx context.Context, in reads, documents []resource.Document, isGone func(kind, name string) bool, before *linted) (*linted, error) {
	var known strings.Builder
	named := make(map[[2]string]bool, len(documents))
	for i := range documents {
		named[[2]string{documents[i].Kind, documents[i].Name}] = true
	}
	beside := func(kind, name string) bool { return !named[[2]string{kind, name}] && !isGone(kind, name) }
	lookup := lint.Lookup{OwnIssuer: a.issuer}
	if slices.ContainsFunc(documents, func(d resource.Document) bool { return d.Issuer != nil || len(d.Trust()) > 0 }) {
		err := all(ctx, in, resource.KindIssuer, func(r *row) {
			if name := r.document.Name; beside(resource.KindIssuer, name) {
				lookup.Issuers = append(lookup.Issuers, r.document)
				// The uid: one of the same name that was made anew has the same revisions.
				_, _ = fmt.Fprintf(&known, "%s %s %d\n", name, r.uid, r.revision)
			}
		})
		if err != nil {
			return nil, describe(err)
		}
	}
	if err := lintBuckets(ctx, in, documents, beside, &lookup); err != nil {
		return nil, describe(err)
	}
	for _, d := range slices.Concat(lookup.Buckets, lookup.Roles) {
		text, err := d.Spec()
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(&known, "%s %s %s %s\n", d.Kind, d.Name, d.Tenant, text)
	}
	if before != nil && before.beside == known.String() {
		return before, nil
	}
	return &linted{known.String(), lint.Check(documents, lookup)}, nil
}

// lintBuckets looks up what the rules about buckets need: every other one where a bucket is
// among the documents, which may lie over it, else those that roles name; and the roles that
// the buckets let in.
func lintBuckets(ctx context.Context, in reads, documents []resource.Document, beside func(kind, name string) bool, lookup *lint.Lookup) error {
	lookup.Buckets = []*resource.Document{} // known, also when there is none
	wanted := make(map[[2]string]bool)
	for i := range documents {
		switch d := &documents[i]; {
		case d.Role != nil:
			for _, p := range d.Role.Permissions {
				wanted[[2]string{resource.KindBucket, p.Bucket}] = true
			}
		case d.Bucket != nil:
			for _, name := range d.Bucket.AllowedRoles {
				wanted[[2]string{resource.KindRole, name}] = true
			}
		}
	}
	every := slices.ContainsFunc(documents, func(d resource.Document) bool { return d.Bucket != nil })
	if every {
		err := all(ctx, in, resource.KindBucket, func(r *row) {
			if beside(resource.KindBucket, r.document.Name) {
				lookup.Buckets = append(lookup.Buckets, r.document)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, object := range slices.SortedFunc(maps.Keys(wanted), func(a, b [2]string) int { return strings.Compare(a[0]+" "+a[1], b[0]+" "+b[1]) }) {
		kind, name := object[0], object[1]
		if kind == resource.KindBucket && every || !countersign.ValidName(name) || !beside(kind, name) {
			continue
		}
		r, err := find(ctx, in, kind, name)
		switch {
		case errors.Is(err, countersign.NotFound):
		case err != nil:
			return err
		case kind == resource.KindBucket:
			lookup.Buckets = append(lookup.Buckets, r.document)
		default:
			lookup.Roles = append(lookup.Roles, r.document)
		}
	}
	return nil
}

// lint adds what may not be saved to the problems, and tells the steps of the rest.
func (p *plan) lint(ctx context.Context) (err error) {
	isGone := func(kind, name string) bool { return p.pruned[kind][name] }
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
