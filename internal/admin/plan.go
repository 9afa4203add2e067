package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// plan is what an apply does to the state that it has read.
type plan struct {
	admin     *Admin
	actor     Actor
	request   ApplyRequest
	documents []resource.Document

	in       reads
	steps    []step
	named    map[string]map[string]*resource.Document // by kind and name
	pruned   map[string]map[string]bool
	linted   *linted // nil = not yet
	problems resource.Problems
}

// step is what becomes of one object.
type step struct {
	told Applied
	// document is nil for what is pruned or kept; old is nil for what is created.
	document *resource.Document
	old      *row
}

// make reads the state and decides; nothing is written.
func (p *plan) make(ctx context.Context, in reads) error {
	p.in = in
	p.named, p.pruned = make(map[string]map[string]*resource.Document), make(map[string]map[string]bool)
	for _, kind := range resource.Kinds() {
		p.named[kind], p.pruned[kind] = make(map[string]*resource.Document), make(map[string]bool)
	}
	for i := range p.documents {
		d := &p.documents[i]
		p.named[d.Kind][d.Name] = d
	}
	for i := range p.documents {
		s, err := p.decide(ctx, &p.documents[i])
		if err != nil {
			return err
		}
		p.steps = append(p.steps, s)
	}
	if p.request.Prune {
		if err := p.prune(ctx); err != nil {
			return err
		}
	}
	if err := p.checkGrants(ctx); err != nil {
		return err
	}
	for i := range p.documents {
		if err := p.checkReferences(ctx, &p.documents[i]); err != nil {
			return err
		}
	}
	if err := p.lint(ctx); err != nil {
		return err
	}
	// What is wrong by itself does not compile with the others either, and that would be told
	// as if there were too many of them.
	if err := p.problems.Err(); err != nil {
		return err
	}
	if err := p.checkPolicies(ctx); err != nil {
		return err
	}
	return p.problems.Err()
}

// decide holds a document against what is stored.
func (p *plan) decide(ctx context.Context, d *resource.Document) (step, error) {
	after, err := d.YAML()
	if err != nil {
		return step{}, err
	}
	if d.AccessKey != nil {
		return p.decideAccessKey(ctx, d)
	}
	s := step{document: d, told: Applied{
		Kind: d.Kind, Name: d.Name, Tenant: d.Tenant, Owner: p.request.Owner,
		Action: ApplyCreated, Revision: 1, File: d.File, Line: d.Line, After: after,
	}}
	s.old, err = find(ctx, p.in, d.Kind, d.Name)
	if errors.Is(err, countersign.NotFound) {
		return s, p.mayCreate(ctx, d)
	}
	if err != nil {
		return step{}, describe(err)
	}
	if err := p.mayChange(d, s.old); err != nil {
		return step{}, err
	}
	owner := p.request.Owner
	if owner == "" && p.request.DryRun {
		owner = s.old.owner // who only looks is told what the documents would change
	}
	if s.old.owner != p.request.Owner {
		if err := notOfConfig(s.old.owner); err != nil {
			return step{}, err
		}
		if s.old.owner != "" && s.old.owner != owner {
			return step{}, countersign.NewError(countersign.Conflict, countersign.ReasonOwnerMismatch,
				d.Problem("name", "this "+d.Kind+" belongs to the owner "+s.old.owner).String())
		}
	}
	if s.old.document.Tenant != d.Tenant {
		p.problems.Add(d.Problem("tenant", "the tenant of an object can't change"))
	}
	if s.told.Before, err = s.old.document.YAML(); err != nil {
		return step{}, err
	}
	if s.old.owner == owner && bytes.Equal(s.told.Before, after) {
		s.told.Action, s.told.Revision = ApplyUnchanged, s.old.revision
		return s, nil
	}
	s.told.Action, s.told.Revision = ApplyChanged, s.old.revision+1
	return s, nil
}

// mayCreate decides about a document of what is not there.
func (p *plan) mayCreate(ctx context.Context, d *resource.Document) error {
	if p.request.FromConfig {
		return nil
	}
	if err := p.actor.mayCreate(target{d.Kind, d.Name, d.Tenant, p.request.Owner}); err != nil {
		return err
	}
	err := tenantThere(ctx, p.in, p.actor, d.Tenant)
	if errors.Is(err, countersign.NotFound) {
		return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, d.Problem("tenant", "there is no such tenant").String(), err)
	}
	return describe(err)
}

// decideAccessKey: a document can neither make an access key, whose secret nobody would see,
// nor change one. It may say what is there, and is no owner of it.
func (p *plan) decideAccessKey(ctx context.Context, d *resource.Document) (step, error) {
	s := step{document: d, told: Applied{Kind: d.Kind, Name: d.Name, Tenant: d.Tenant, Action: ApplyUnchanged, File: d.File, Line: d.Line}}
	var err error
	s.old, err = find(ctx, p.in, d.Kind, d.Name)
	if errors.Is(err, countersign.NotFound) {
		p.problems.Add(d.Problem("name", fmt.Sprintf("no document makes an access key, because its secret is shown once: "+
			"countersign access-key create %s --service %s --role %s", d.Name, d.AccessKey.Service, d.AccessKey.Role)))
		return s, nil
	}
	if err != nil {
		return step{}, describe(err)
	}
	if err := p.mayChange(d, s.old); err != nil {
		return step{}, err
	}
	if s.old.document.Tenant != d.Tenant || !s.old.document.AccessKey.Covers(d.AccessKey) {
		p.problems.Add(d.Problem("name", "the access key is another one: it does not change, so delete it and make a new one"))
	}
	s.told.Revision = s.old.revision
	s.told.Before, err = s.old.document.YAML()
	s.told.After = s.told.Before
	return s, err
}

// mayChange decides about a document of what is there. Of another tenant's object nobody
// learns more than that the name is taken, which names are across tenants (RULES A6).
func (p *plan) mayChange(d *resource.Document, old *row) error {
	if p.request.FromConfig || p.actor.SuperAdmin {
		return nil
	}
	if !p.actor.MayRead(d.Kind, old.document.Name, old.document.Tenant) {
		return countersign.NewError(countersign.Conflict, countersign.ReasonNameTaken, d.Problem("name", "the name is taken").String())
	}
	return p.actor.mayWrite(target{d.Kind, d.Name, old.document.Tenant, old.owner})
}

// prune looks for the owner's objects that no document names.
func (p *plan) prune(ctx context.Context) error {
	for _, kind := range slices.Backward(resource.Kinds()) { // who refers goes before what is referred to
		var failed error
		err := p.prunable(ctx, kind, func(r *row) {
			if r.owner != p.request.Owner || p.named[kind][r.document.Name] != nil {
				return
			}
			if !p.request.FromConfig && (p.actor.mayDelete(r.target()) != nil || p.actor.mayTake(r) != nil) {
				return // another tenant's, of a kind that is not the actor's, or more than it holds
			}
			before, err := r.document.YAML()
			if err != nil {
				failed = err
				return
			}
			s := step{old: r, told: Applied{
				Kind: kind, Name: r.document.Name, Tenant: r.document.Tenant, Owner: r.owner,
				Action: ApplyPruned, Revision: r.revision, Before: before,
			}}
			if r.service != nil && r.service.Disabled { // an operator's lock: RULES A9
				s.told.Action, s.told.After = ApplyUnchanged, before
			} else {
				p.pruned[kind][r.document.Name] = true
			}
			p.steps = append(p.steps, s)
		})
		if err = errors.Join(err, failed); err != nil {
			return describe(err)
		}
	}
	return nil
}

// prunable visits the objects of a kind in the tenants in which the actor may write it, and no
// others: everybody else who changes something waits meanwhile.
func (p *plan) prunable(ctx context.Context, kind string, visit func(*row)) error {
	tenants, everywhere := p.actor.Rights.Tenants(policy.Write(Collections[kind]))
	if p.request.FromConfig || p.actor.SuperAdmin || everywhere {
		return all(ctx, p.in, kind, visit)
	}
	for _, tenant := range tenants {
		if kind == resource.KindTenant {
			break // super-admins alone delete them
		}
		if err := within(ctx, p.in, kind, store.Page{Tenant: tenant, Platform: tenant == ""}, visit); err != nil {
			return err
		}
	}
	return nil
}

// checkPrune refuses to delete more than was expected.
func (p *plan) checkPrune() error {
	most := p.request.MaxPrune
	if most == 0 {
		most = defaultMaxPrune
	}
	count := 0
	for _, pruned := range p.pruned {
		count += len(pruned)
	}
	if most < 0 || count <= most {
		return nil
	}
	return countersign.NewError(countersign.Conflict, countersign.ReasonParameterInvalid,
		fmt.Sprintf("this would delete %d objects, and at most %d may be: say so if that is meant", count, most))
}

func (p *plan) applied() []Applied {
	told := make([]Applied, 0, len(p.steps))
	for _, s := range p.steps {
		told = append(told, s.told)
	}
	return told
}
