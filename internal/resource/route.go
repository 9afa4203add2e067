package resource

import (
	"fmt"

	"github.com/countersign/countersign"
)

// The bounds of a route policy.
const (
	maxRules     = 200
	maxWhenBytes = 4 << 10
)

// readRoutePolicy reads the fields; what patterns and conditions mean is for the one
// who compiles the policy.
func readRoutePolicy(f *fields) *RoutePolicy {
	p := &RoutePolicy{Service: f.text("service"), Enforce: f.boolean("enforce", true)}
	if f.required("service") && p.Service != "" && !countersign.ValidName(p.Service) {
		f.wrong("service", nameForm)
	}
	f.required("rules")
	names := make(map[string]bool)
	p.Rules = []Rule{}
	for _, item := range f.items("rules", maxRules) {
		rule := readRule(item)
		if rule.Name != "" && names[rule.Name] {
			item.wrong("name", "there is a rule of this name already")
		}
		names[rule.Name] = true
		p.Rules = append(p.Rules, rule)
	}
	return p
}

func readRule(f *fields) Rule {
	rule := Rule{Name: f.text("name"), When: f.text("when")}
	if f.required("name") && rule.Name != "" && !countersign.ValidName(rule.Name) {
		f.wrong("name", nameForm)
	}
	if len(rule.When) > maxWhenBytes {
		f.wrong("when", fmt.Sprintf("is longer than %d bytes", maxWhenBytes))
	}
	f.required("from")
	if from := f.inner("from"); from != nil {
		rule.From = RuleFrom{
			Services: from.some("services"), Users: from.some("users"), UserRoles: from.some("user_roles"),
			Scopes: from.some("scopes"), Roles: from.some("roles"), WithoutService: from.boolean("without_service", false),
		}
		switch {
		case len(rule.From.Services) == 0 && !rule.From.WithoutService:
			from.wrong("services", "is missing: without services say without_service: true")
		case len(rule.From.Services) > 0 && rule.From.WithoutService:
			from.wrong("without_service", "is given beside services: use one of them")
		}
		from.done()
	}
	f.required("to")
	if to := f.inner("to"); to != nil {
		rule.To = RuleTo{Methods: to.some("methods"), Paths: to.some("paths")}
		to.required("methods")
		to.required("paths")
		to.done()
	}
	f.done()
	return rule
}

// some returns a list that must not be empty where it is given: an empty one could be
// read as "nobody" and as "anybody".
func (f *fields) some(key string) []string {
	list := f.texts(key, maxItems)
	if f.has(key) && len(list) == 0 {
		f.wrong(key, "must not be empty")
	}
	return list
}
