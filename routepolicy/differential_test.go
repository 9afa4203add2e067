package routepolicy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

// naive is D1 as it is written: try everything.
func naive(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern == "**":
		return true
	case pattern[0] == '*':
		for n := 1; n <= len(text) && text[n-1] != '/' && text[n-1] != ':'; n++ {
			if naive(pattern[1:], text[n:]) {
				return true
			}
		}
		return false
	}
	return text != "" && pattern[0] == text[0] && naive(pattern[1:], text[1:])
}

// naiveDecide goes through all rules of sorted documents in their order.
func naiveDecide(documents []routepolicy.Document, method, path string, p *countersign.Principal) (policy, rule string) {
	for _, d := range documents {
		for _, r := range d.Rules {
			called := slices.Contains(r.To.Methods, method) && slices.ContainsFunc(r.To.Paths, func(pattern string) bool {
				return naive(strings.NewReplacer("{x}", "*", "{y}", "*").Replace(pattern), path)
			})
			caller := r.From.WithoutService || slices.ContainsFunc(r.From.Services, func(pattern string) bool {
				return p.Service.Name != "" && naive(pattern, p.Service.Name)
			})
			user := r.From.UserRoles == nil || slices.ContainsFunc(r.From.UserRoles, p.User.HasRole)
			if called && caller && user {
				return d.Name, r.Name
			}
		}
	}
	return "", ""
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomPath(r *rand.Rand, parts []string, last bool) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString("/" + pick(r, parts...))
	}
	if last && r.IntN(3) == 0 {
		b.WriteString(pick(r, "/**", "/a**", "/*b**"))
	} else if r.IntN(4) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

// The index and a linear search say the same, also about which rule it was.
func TestDifferentialIndex(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	patterns := []string{"a", "b", "ab", "*", "a*", "*b", "a*b", "*a*", "a:*", "*:b"}
	for round := range 60 {
		var documents []routepolicy.Document
		for i := range 1 + r.IntN(3) {
			d := routepolicy.Document{Name: fmt.Sprintf("p%d", i), Service: "s"}
			for j := range 1 + r.IntN(40) {
				rule := routepolicy.Rule{Name: fmt.Sprintf("r%d", j)}
				rule.To.Methods = []string{pick(r, "GET", "PUT")}
				for range 1 + r.IntN(2) {
					rule.To.Paths = append(rule.To.Paths, pick(r, "", "/{x}", "/{x}/{y}")+randomPath(r, patterns, true))
				}
				switch r.IntN(4) {
				case 0:
					rule.From.WithoutService, rule.From.UserRoles = true, []string{pick(r, "u", "v")}
				case 1:
					rule.From.Services = []string{pick(r, "s-*", "s**", "*-1")}
				default:
					rule.From.Services = []string{pick(r, "s-1", "s-2", "x"), pick(r, "s-2", "s-3")}
				}
				d.Rules = append(d.Rules, rule)
			}
			documents = append(documents, d)
		}
		p, err := routepolicy.Compile(documents)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			method, path := pick(r, "GET", "PUT", "POST"), randomPath(r, []string{"a", "b", "ab", "aab", "xb", "a:b", "ba"}, false)
			caller := &countersign.Principal{Service: countersign.Service{Name: pick(r, "", "s-1", "s-2", "s-9", "x", "y")}}
			if r.IntN(2) == 0 || caller.Service.Name == "" {
				caller.User = countersign.User{Issuer: idp, Subject: "a", Roles: []string{pick(r, "u", "w")}}
			}
			got := decide(t, p, method, path, caller)
			policy, rule := naiveDecide(documents, method, path, caller)
			if got.Policy != policy || got.Rule != rule || got.Allowed != (rule != "") {
				t.Fatalf("round %d, %s %s by %+v: %+v, want %s/%s", round, method, path, caller, got, policy, rule)
			}
		}
	}
}

// large is 10,000 rules: a route each for many services, and many for the same route.
func large(t testing.TB) *routepolicy.Policy {
	t.Helper()
	var documents []routepolicy.Document
	for i := range 50 {
		d := routepolicy.Document{Name: fmt.Sprintf("p%d", i), Service: "s"}
		for j := range 200 {
			n := i*200 + j
			path := fmt.Sprintf("/v1/things-%d/{id}/**", n)
			if n%2 == 0 {
				path = "/v1/shared/**"
			}
			d.Rules = append(d.Rules, routepolicy.Rule{
				Name: fmt.Sprintf("r%d", j),
				From: routepolicy.From{Services: []string{fmt.Sprintf("service-%d", n)}},
				To:   routepolicy.To{Methods: []string{"GET", "POST"}, Paths: []string{path}},
			})
		}
		documents = append(documents, d)
	}
	p, err := routepolicy.Compile(documents)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecideAllocatesNothing(t *testing.T) {
	p := large(t)
	caller := service("service-9998")
	for _, path := range []string{"/v1/shared/a", "/v1/other"} {
		if n := testing.AllocsPerRun(100, func() {
			p.Decide(t.Context(), routepolicy.Request{Method: "GET", Path: path, Principal: caller, Time: noon})
		}); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkDecide10000Rules(b *testing.B) {
	p := large(b)
	for name, test := range map[string]struct{ path, caller string }{
		"own":    {"/v1/things-9999/7/a", "service-9999"},
		"shared": {"/v1/shared/a/b", "service-9998"},
		"denied": {"/v1/shared/a/b", "service-9999"},
	} {
		b.Run(name, func(b *testing.B) {
			caller, ctx := service(test.caller), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(ctx, routepolicy.Request{Method: "GET", Path: test.path, Principal: caller, Time: noon})
			}
		})
	}
}

func BenchmarkDecideWhen(b *testing.B) {
	p, caller := mustCompile(b, fromInterface), userBy("backend-actor", "acme", "admin")
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decide(b.Context(), routepolicy.Request{Method: "GET", Path: "/v1/tenants/acme/a", Principal: caller, Time: noon}).Allowed {
			b.Fatal("denied")
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"a*b*c", "axbxc"}, {"/a/*b**", "/a/xb/c"}, {"*a*", "aaa"}, {"*:b*", "a:bc"}, {"*aab**", "aaab"}, {"*ab*b", "xabab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Count(pattern, "*") > 6 || len(name) > 60 || name == "" || len(pattern) > 60 {
			return
		}
		p, err := routepolicy.Compile([]routepolicy.Document{{Name: "p", Service: "s", Rules: []routepolicy.Rule{{
			Name: "r", From: routepolicy.From{Services: []string{pattern}}, To: routepolicy.To{Methods: []string{"GET"}, Paths: []string{"/"}}, When: "true",
		}}}})
		if err != nil {
			return
		}
		want := naive(pattern, name)
		literal, _, _ := strings.Cut(pattern, "*")
		if strings.Contains(name, "/") && pattern != name && !strings.Contains(literal, "/") {
			want = false // RULES A2
		}
		if got := decide(t, p, "GET", "/", service(name)); got.Allowed != want {
			t.Errorf("%q of %q: %+v", pattern, name, got)
		}
	})
}
