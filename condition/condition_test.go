package condition_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/condition"
)

func newSchema(t testing.TB) *condition.Schema {
	t.Helper()
	s, err := condition.NewSchema(
		condition.Variable{Name: "principal.tenant", Type: condition.String},
		condition.Variable{Name: "principal.scopes", Type: condition.Strings},
		condition.Variable{Name: "big", Type: condition.Strings, MaxItems: 100_000},
		condition.Variable{Name: "request.path", Type: condition.String, MaxLength: 8 << 10},
		condition.Variable{Name: "request.path_params", Type: condition.StringMap},
		condition.Variable{Name: "request.time", Type: condition.Time},
		condition.Variable{Name: "depth", Type: condition.Int},
		condition.Variable{Name: "mfa", Type: condition.Bool},
		condition.Variable{Name: "claims", Type: condition.Claims},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func input() condition.Input {
	return condition.Input{
		"principal.tenant": "acme", "principal.scopes": []string{"a", "b"}, "request.path": "/v1/parse",
		"request.path_params": map[string]string{"tenant": "acme"}, "request.time": time.Unix(1_800_000_000, 0),
		"depth": int64(3), "mfa": true, "big": []string{"x"},
		"claims": map[string]any{"custom:service_id": "document-service", "groups": []any{"g"}, "n": 1.0},
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	for text, want := range map[string]bool{
		`principal.tenant == request.path_params.tenant`:    true,
		`principal.tenant == request.path_params["tenant"]`: true,
		`claims["custom:service_id"] == "document-service"`: true,
		`claims.groups.exists(g, g == "g")`:                 true,
		`"a" in principal.scopes`:                           true,
		`principal.scopes.all(s, s.size() == 1)`:            true,
		`principal.scopes.exists_one(s, s == "a")`:          true,
		`has(request.path_params.tenant)`:                   true,
		`request.path.startsWith("/v1/")`:                   true,
		`request.time < timestamp("2030-01-01T00:00:00Z")`:  true,
		`request.time.getHours() == 8`:                      true,
		`depth > 2 && mfa`:                                  true,
		`request.path_params.other == "x" || mfa`:           true, // what is true whatever the rest is
		`request.time > timestamp("2030-01-01T00:00:00Z")`:  false,
		`"A" in principal.scopes`:                           false,
		`has(request.path_params.other)`:                    false,
		`principal.tenant != "acme"`:                        false,
		`claims.n == "1"`:                                   false,
		`principal.scopes.exists(s, s == "c")`:              false,
		`!mfa`:                                              false,
	} {
		p, err := condition.Compile(text, schema)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := p.Match(t.Context(), input()); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestRuleD4RefusedAtSave(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	for name, text := range map[string]string{
		"empty":                   "",
		"blank":                   " \n",
		"syntax":                  `principal.tenant ==`,
		"undeclared":              `user == "x"`,
		"undeclared field":        `principal.name == "x"`,
		"the whole of a name":     `principal == "x"`,
		"other types":             `principal.tenant == 7`,
		"a number":                `depth`,
		"a text":                  `principal.tenant`,
		"not known to be a bool":  `claims.admin`,
		"no clock":                `now() > request.time`,
		"dyn":                     `dyn(principal.tenant) == 7`,
		"type":                    `type(principal.tenant) == string`,
		"mixed list":              `principal.tenant in ["a", 1]`,
		"map builds":              `principal.scopes.map(s, s).size() > 0`,
		"filter builds":           `principal.scopes.filter(s, s == "a").size() > 0`,
		"big list":                `big.exists(b, b == "x")`,
		"nested loops":            `principal.scopes.all(a, principal.scopes.all(b, a != b))`,
		"deep loops":              `principal.scopes.all(a, principal.scopes.all(b, principal.scopes.all(c, true)))`,
		"loop over a literal":     `[` + strings.Repeat("1,", 900) + `1].all(a, [` + strings.Repeat("1,", 900) + `1].all(b, a == b))`,
		"too long":                `mfa` + strings.Repeat(" && mfa", 600),
		"too deep":                strings.Repeat("(", 500) + "mfa" + strings.Repeat(")", 500),
		"pattern is a variable":   `request.path.matches(principal.tenant)`,
		"pattern is made":         `request.path.matches("a" + "b")`,
		"pattern, as a function":  `matches(request.path, principal.tenant)`,
		"pattern, absolute name":  `.matches(request.path, principal.tenant)`,
		"pattern is a choice":     `request.path.matches(mfa ? "a" : "b")`,
		"pattern without sense":   `request.path.matches("(")`,
		"pattern leaves its cage": `request.path.matches("a)|(?:.*")`,
		"pattern is not RE2":      `request.path.matches("(?=a)a")`,
		"pattern is too large":    `request.path.matches("\\pL{1000}")`,
		"bad timestamp":           `request.time > timestamp("yesterday")`,
		"struct":                  `google.protobuf.Timestamp{seconds: 1} == request.time`,
	} {
		_, err := condition.Compile(text, schema)
		if !errors.Is(err, countersign.BadPolicy) || countersign.MessageOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := condition.Compile("true", nil); !errors.Is(err, countersign.BadPolicy) {
		t.Errorf("no schema: %v", err)
	}
}

func TestRuleD4MatchesIsWholeString(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/v1/parse", "/v1/parse", true},
		{"/v1/.*", "/v1/parse", true},
		{"a|b", "b", true},
		{"(?i)A", "a", true},
		{"", "", true},
		{"/v1", "/v1/parse", false},
		{"parse", "/v1/parse", false},
		{"a|b", "ab", false},
		{"a|b", "xb", false},
		{"(?m)^a$", "a\nb", false},
		{"(?m)^b$", "a\nb", false},
		{"a$", "a\n", false},
		{"a.b", "a\nb", false},
		{"", "a", false},
	} {
		for _, text := range []string{"request.path.matches(%)", "matches(request.path, %)", ".matches(request.path, %)"} {
			quoted := `r"` + test.pattern + `"`
			p, err := condition.Compile(strings.Replace(text, "%", quoted, 1), schema)
			if err != nil {
				t.Errorf("%s with %q: %v", text, test.pattern, err)
				continue
			}
			if got, err := p.Match(t.Context(), condition.Input{"request.path": test.path}); err != nil || got != test.want {
				t.Errorf("%s with %q of %q: %v, %v", text, test.pattern, test.path, got, err)
			}
		}
	}
}

func TestRuleD4ErrorIsNoMatch(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	large, many := strings.Repeat("a", condition.MaxInput+1), make([]string, 3000)
	for i := range many {
		many[i] = "s"
	}
	deep := any("x")
	for range 20 {
		deep = []any{deep}
	}
	for name, test := range map[string]struct {
		text  string
		input condition.Input
	}{
		"missing key":        {`request.path_params.other == ""`, input()},
		"negated":            {`!(request.path_params.other == "")`, input()},
		"missing claim":      {`claims.other != "x"`, input()},
		"missing variable":   {`principal.tenant != "x"`, condition.Input{}},
		"nil input":          {`mfa`, nil},
		"division by zero":   {`1 / (depth - 3) == 0`, input()},
		"wrong type":         {`mfa`, condition.Input{"mfa": "true"}},
		"wrong type, Claims": {`claims.a == "b"`, condition.Input{"claims": map[string]string{"a": "b"}}},
		"claim of no type":   {`claims.a == "b" || true`, condition.Input{"claims": map[string]any{"a": struct{}{}}}},
		"undeclared":         {`true`, condition.Input{"other": "x"}},
		"too large":          {`true`, condition.Input{"principal.tenant": large}},
		"too large together": {`true`, condition.Input{"principal.tenant": large[:40<<10], "request.path": large[:40<<10]}},
		"too large claims":   {`true`, condition.Input{"claims": map[string]any{"a": []any{large}}}},
		"too deep":           {`true`, condition.Input{"claims": map[string]any{"a": deep}}},
		"costs too much":     {`principal.scopes.all(s, s == "s" || s == "t" || s == "u")`, condition.Input{"principal.scopes": many}},
		"long text, pattern": {`request.path.matches("[ab]{50}c*")`, condition.Input{"request.path": large[:60<<10]}},
		"many patterns":      {strings.Repeat(`principal.tenant.matches("([a-c]{40}|d)*x") || `, 60) + "true", condition.Input{"principal.tenant": large[:300]}},
		"not a claim's kind": {`claims.groups.exists(g, g == "x")`, condition.Input{"claims": map[string]any{"groups": 7.0}}},
	} {
		p, err := condition.Compile(test.text, schema)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ok, err := p.Match(t.Context(), test.input); ok || !errors.Is(err, countersign.BadPolicy) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func TestRuleD4TimeLimit(t *testing.T) {
	t.Parallel()
	p, err := condition.Compile(`principal.scopes.all(s, s == "s") || true`, newSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := p.Match(ended, condition.Input{"principal.scopes": make([]string, 100)}); ok || !errors.Is(err, countersign.BadPolicy) {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestProgramTellsWhatItUses(t *testing.T) {
	t.Parallel()
	p, err := condition.Compile(`request.path_params.a == request.path_params["b"] && has(request.path_params.c)`, newSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	keys := p.Keys("request.path_params")
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"a", "b", "c"}) || !p.Uses("request.path_params") || p.Uses("mfa") || p.Keys("claims") != nil {
		t.Errorf("%v", keys)
	}
	if p.String() == "" {
		t.Error("no text")
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	ok := condition.Variable{Name: "a", Type: condition.String}
	for name, variables := range map[string][]condition.Variable{
		"twice":     {ok, ok},
		"no type":   {{Name: "a"}},
		"bad type":  {{Name: "a", Type: 99}},
		"no name":   {{Type: condition.String}},
		"bad name":  {{Name: "a-b", Type: condition.String}},
		"empty dot": {{Name: "a..b", Type: condition.String}},
		"digit":     {{Name: "a.1", Type: condition.String}},
	} {
		if _, err := condition.NewSchema(variables...); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	p, err := condition.Compile(`principal.tenant == request.path_params.tenant`, newSchema(b))
	if err != nil {
		b.Fatal(err)
	}
	in := input()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Match(b.Context(), in); !ok {
			b.Fatal(err)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`principal.tenant == "a"`, `request.path.matches("a|b")`, `principal.scopes.exists(s, s in ["a"])`} {
		f.Add(seed)
	}
	schema := newSchema(f)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := condition.Compile(text, schema)
		if err != nil {
			return
		}
		if ok, err := p.Match(t.Context(), input()); ok && err != nil {
			t.Errorf("a match with %v", err)
		}
	})
}
