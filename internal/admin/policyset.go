package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/routepolicy"
)

// policySet are the route policies of one service as an apply leaves them.
type policySet struct {
	// first is the document of the apply that changes them.
	first *resource.Document
	all   []*resource.Document
}

// checkPolicies refuses policies that are good one by one and that no receiver could take
// together: it would go on with those before, also with a rule that was just taken away.
func (p *plan) checkPolicies(ctx context.Context) error {
	sets := make(map[string]*policySet) // by service
	for _, s := range p.steps {
		if d := s.document; d != nil && d.RoutePolicy != nil && s.told.Action != ApplyUnchanged && sets[d.RoutePolicy.Service] == nil {
			sets[d.RoutePolicy.Service] = &policySet{first: d}
		}
	}
	if len(sets) == 0 {
		return nil
	}
	add := func(d *resource.Document) {
		if set := sets[d.RoutePolicy.Service]; set != nil {
			set.all = append(set.all, d)
		}
	}
	err := all(ctx, p.in, resource.KindRoutePolicy, func(r *row) {
		name := r.document.Name
		if p.named[resource.KindRoutePolicy][name] == nil && !p.pruned[resource.KindRoutePolicy][name] {
			add(r.document)
		}
	})
	if err != nil {
		return describeObject(resource.KindRoutePolicy, err)
	}
	for i := range p.documents {
		if p.documents[i].RoutePolicy != nil {
			add(&p.documents[i])
		}
	}
	for i := range p.documents {
		d := &p.documents[i]
		if d.RoutePolicy == nil || sets[d.RoutePolicy.Service] == nil || sets[d.RoutePolicy.Service].first != d {
			continue
		}
		if err := p.checkSet(ctx, sets[d.RoutePolicy.Service]); err != nil {
			return err
		}
	}
	return nil
}

// checkSet checks what will reach the service. Of one that does not exist yet the tenant is
// not known: then each tenant's policies with the platform's.
func (p *plan) checkSet(ctx context.Context, set *policySet) error {
	tenants, known, err := p.referrers(ctx, set.first.RoutePolicy.Service)
	if err != nil {
		return err
	}
	if known {
		p.checkTogether(set, tenants)
		return nil
	}
	for _, d := range set.all {
		tenants = append(tenants, d.Tenant)
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		if !p.checkTogether(set, []string{tenant}) {
			break
		}
	}
	return nil
}

// referrers returns the tenants whose policies decide at a service; known = there is one.
func (p *plan) referrers(ctx context.Context, service string) (tenants []string, known bool, err error) {
	if beside := p.named[resource.KindService][service]; beside != nil {
		return append([]string{beside.Tenant}, beside.Service.SharedWith...), true, nil
	}
	if p.pruned[resource.KindService][service] {
		return nil, false, nil
	}
	s, err := p.in.Service(ctx, service)
	switch {
	case errors.Is(err, countersign.NotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, describe(err)
	}
	return append([]string{s.Tenant}, s.SharedWith...), true, nil
}

// checkTogether does what a receiver does with the policies of the platform and of tenants.
func (p *plan) checkTogether(set *policySet, tenants []string) bool {
	var documents []routepolicy.Document
	size := 0
	refuse := func(message string) bool {
		p.problems.Add(set.first.Problem("rules", message))
		return false
	}
	for _, d := range set.all {
		if d.Tenant != "" && !slices.Contains(tenants, d.Tenant) {
			continue
		}
		text, err := policyJSON(d)
		if err != nil {
			return refuse("can't be encoded")
		}
		parsed, err := routepolicy.Parse(text)
		if err != nil {
			return refuse("can't be read by the receivers")
		}
		size += len(text) + 1
		documents = append(documents, parsed...)
	}
	if size > routepolicy.MaxBytes {
		return refuse(fmt.Sprintf("are larger than %d bytes with those of the other policies of the service", routepolicy.MaxBytes))
	}
	if _, err := routepolicy.Compile(documents); err != nil {
		return refuse(fmt.Sprintf("are too many with those of the other policies of the service: it has %d rules at most", routepolicy.MaxRules))
	}
	return true
}
