package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
)

// What a receiver could not compile is not saved, and the place is told.
func TestRoutePolicyThatDoesNotCompileIsRefused(t *testing.T) {
	t.Parallel()
	const head = "kind: RoutePolicy\nname: p\nservice: a\nrules:\n  - name: r\n"
	rule := func(from, to, when string) string {
		text := head + "    from: " + from + "\n    to: " + to + "\n"
		if when != "" {
			text += "    when: '" + when + "'\n"
		}
		return text
	}
	const from, to = "{services: [b]}", "{methods: [GET], paths: [/v1/**]}"
	tests := map[string]struct{ text, path string }{
		"good":                 {rule(from, to, `principal.tenant == "acme"`), ""},
		"no CEL":               {rule(from, to, `principal.tenant ==`), "rules[0].when"},
		"untyped":              {rule(from, to, `principal.tenant == 1`), "rules[0].when"},
		"no bool":              {rule(from, to, `principal.tenant`), "rules[0].when"},
		"unknown variable":     {rule(from, to, `request.headers.size() == 0`), "rules[0].when"},
		"too costly":           {rule(from, to, `principal.scopes.all(a, principal.scopes.all(b, principal.scopes.all(c, a != b || b != c)))`), "rules[0].when"},
		"unanchored regexp":    {rule(from, to, `principal.tenant.matches("(")`), "rules[0].when"},
		"star in the middle":   {rule(from, "{methods: [GET], paths: [/v1/**/x]}", ""), "rules[0].to.paths[0]"},
		"relative path":        {rule(from, "{methods: [GET], paths: [v1]}", ""), "rules[0].to.paths[0]"},
		"lower-case method":    {rule(from, "{methods: [get], paths: [/v1]}", ""), "rules[0].to.methods[0]"},
		"every service":        {rule(`{services: ["**"]}`, to, ""), "rules[0].from.services[0]"},
		"user without issuer":  {rule(`{services: [b], users: [alice]}`, to, ""), "rules[0].from.users[0]"},
		"a parameter it lacks": {rule(from, to, `request.path_params.tenant == "a"`), "rules[0].when"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.Apply(t.Context(), super(), request("kind: Service\nname: a\n---\n"+test.text))
			var problems *resource.Error
			switch {
			case test.path == "":
				must(t, err)
			case !errors.Is(err, countersign.Invalid) || !errors.As(err, &problems):
				t.Errorf("got %v, want a problem at %s", err, test.path)
			case !strings.HasPrefix(problems.Problems[0].Path, test.path) || problems.Problems[0].Line == 0:
				t.Errorf("at %+v, want %s", problems.Problems[0], test.path)
			case strings.Contains(err.Error(), "too many"):
				t.Errorf("it says that there are too many rules: %v", err)
			}
			if _, err := r.Object(t.Context(), "RoutePolicy", "p"); (err == nil) != (test.path == "") {
				t.Errorf("saved: %v", err)
			}
		})
	}
}

// manyRules is a policy of n rules with a path of that many bytes each.
func manyRules(name, tenant string, n, path int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "---\nkind: RoutePolicy\nname: %s\nservice: late\n", name)
	if tenant != "" {
		fmt.Fprintf(&text, "tenant: %s\n", tenant)
	}
	text.WriteString("rules:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - name: r-%d\n    from: {services: [b]}\n    to: {methods: [GET], paths: [/%0*d]}\n", i, path, i)
	}
	return text.String()
}

// Policies that receivers could not take together are not saved: a receiver would go on
// with those before.
func TestRoutePoliciesThatNoReceiverCouldTakeAreRefused(t *testing.T) {
	t.Parallel()
	one := func(r *rig, text string) error {
		_, err := r.Apply(t.Context(), super(), request(text))
		return err
	}
	r := newRig(t)
	full := ""
	for i := range 50 {
		full += manyRules(fmt.Sprintf("p-%d", i), "", 31, 1900)
	}
	must(t, one(r, full))
	// One more is too much, by itself or for a tenant beside the platform's.
	const more = "more"
	for _, tenant := range []string{"", "acme"} {
		err := one(r, manyRules(more, tenant, 31, 1900))
		wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
		if !strings.Contains(err.Error(), ": rules: are larger than") {
			t.Errorf("got %v", err)
		}
	}
	must(t, one(r, manyRules("p-0", "", 1, 1)))
	must(t, one(r, manyRules(more, "acme", 15, 1900)))
	// What another tenant says of the service takes nothing of acme's room.
	must(t, one(r, manyRules("others", "other", 31, 1900)))
}
