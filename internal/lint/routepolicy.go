package lint

import (
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/routepolicy"
)

// routePolicy refuses a route policy that its receivers could not compile.
func (c *checker) routePolicy() {
	_, err := routepolicy.Compile([]routepolicy.Document{routePolicyDocument(c.document)})
	if err == nil {
		return
	}
	told, ok := errors.AsType[*routepolicy.Error](err)
	if !ok || len(told.Problems) == 0 {
		c.add(ruleDocument, "rules", countersign.MessageOf(err))
		return
	}
	for _, p := range told.Problems {
		c.add(ruleDocument, p.Path, p.Message)
	}
}

// routePolicyDocument is a stored document in the words of its receivers.
func routePolicyDocument(d *resource.Document) routepolicy.Document {
	made := routepolicy.Document{
		Name: d.Name, Tenant: d.Tenant, Service: d.RoutePolicy.Service, ReportOnly: !d.RoutePolicy.Enforce,
		Rules: make([]routepolicy.Rule, 0, len(d.RoutePolicy.Rules)),
	}
	for _, r := range d.RoutePolicy.Rules {
		made.Rules = append(made.Rules, routepolicy.Rule{
			Name: r.Name, From: routepolicy.From(r.From), To: routepolicy.To(r.To), When: r.When,
		})
	}
	return made
}
