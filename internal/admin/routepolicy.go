package admin

import (
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/routepolicy"
)

// compileRoutePolicy refuses a route policy that receivers could not compile: the first
// problem is told, at its field.
func compileRoutePolicy(d *resource.Document) (problem resource.Problem, bad bool) {
	_, err := routepolicy.Compile([]routepolicy.Document{routePolicyDocument(d)})
	if err == nil {
		return resource.Problem{}, false
	}
	var told *routepolicy.Error
	if !errors.As(err, &told) || len(told.Problems) == 0 {
		return d.Problem("rules", countersign.MessageOf(err)), true
	}
	return d.Problem(told.Problems[0].Path, told.Problems[0].Message), true
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
