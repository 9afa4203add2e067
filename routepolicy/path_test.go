package routepolicy_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign"
)

func TestRuleG5NotCanonical(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, ruleOf("{services: [a]}", anyGet, ""))
	for path, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a/b.c": true, "/a/..b": true, "/a/...": true, "/a/b..": true,
		"/a:b": true, "/a%20b": true, "/a%25": true, "/100%25x": true, "/%C3%A9": true, "/é": true, "/a+b": true,
		"/a%3Fb": true, "/a%23": true, "/~a": true, "/a@b": true, "/a,b=c&d": true, "/a%41": true, "/.well-known/x": true,
		"": false, "a": false, "*": false, "http://x/a": false, "//": false, "//a": false, "/a//b": false, "/a//": false,
		"/.": false, "/..": false, "/./a": false, "/../a": false, "/a/.": false, "/a/..": false, "/a/./b": false, "/a/../b": false,
		"/a%2fb": false, "/a%2Fb": false, "/a%5cb": false, "/a%5Cb": false, "/%2e%2e/a": false, "/%2E/a": false, "/a%2eb": false,
		"/.%2e/a": false, "/a;b": false, "/a;/b": false, "/a%3bb": false, "/a%3B": false, `/a\b`: false, "/a\x00": false, "/a%00": false,
		"/a\n": false, "/a%0a": false, "/a%0D%0A": false, "/a\x7f": false, "/a%7f": false, "/a%": false, "/a%2": false, "/a%zz": false, "/%u002e": false,
		"/a%ff": false, "/a\xff": false, "/%c0%ae": false, "/%c0%af": false, "/%e0%80%af": false, "/%ed%a0%80": false,
		"/a%252fb": false, "/%252e%252e/": false, "/a%25zz": true, "/a%2541": false, "/a%25%32%66": false,
		"/a?b": false, "/a#b": false, "/" + strings.Repeat("a", 8<<10): false,
	} {
		got := decide(t, p, "GET", path, service("a"))
		wanted := denied(countersign.ReasonRouteNotCanonical)
		if want {
			wanted = countersign.RouteVerdict{Allowed: true, Policy: "p", Rule: "r", Reason: countersign.ReasonOK}
		}
		if got != wanted {
			t.Errorf("%q: %+v", path, got)
		}
	}
}

func TestRuleD1PathPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/", "/", true},
		{"/a", "/a", true},
		{"/a/", "/a/", true},
		{"/*", "/a", true},
		{"/a*", "/ab", true},
		{"/*b", "/ab", true},
		{"/a*c", "/abc", true},
		{"/*a*", "/xax", true},
		{"/*.json", "/a.json.json", true},
		{"/a/*/c", "/a/b/c", true},
		{"/a:*", "/a:b", true},
		{"/**", "/", true},
		{"/**", "/a/b:c/", true},
		{"/a**", "/a", true},
		{"/a**", "/ab/c", true},
		{"/a/b*c**", "/a/bxc/d:e", true},
		{"/{x}", "/a", true},
		{"/a/{x}/{y}/**", "/a/b/c/d", true},
		{"/a b", "/a%20b", true},
		{"/é", "/%C3%A9", true},
		{"/", "/a", false},
		{"/a", "/A", false},
		{"/a", "/ab", false},
		{"/a", "/a/", false},
		{"/a/", "/a", false},
		{"/*", "/", false},
		{"/*", "/a/", false},
		{"/*", "/a/b", false},
		{"/*", "/a:b", false},
		{"/a*", "/a", false},
		{"/a*c", "/ac", false},
		{"/a*c", "/ab:c", false},
		{"/a/*/c", "/a/b/x/c", false},
		{"/*a*", "/a", false},
		{"/*a*", "/aa", false},
		{"/a.c", "/abc", false},
		{"/a/**", "/a", false},
		{"/a/**", "/ab/c", false},
		{"/a**", "/b/a", false},
		{"/a/b*c**", "/a/bc/d", false},
		{"/{x}", "/", false},
		{"/{x}", "/a/b", false},
		{"/{x}", "/7:delete", false},
		{"/{x}/", "/a", false},
		{"/[ab]", "/a", false},
		{"/a.*", "/ab", false},
		{"/a+", "/aa", false},
	} {
		p := mustCompile(t, ruleOf("{services: [a]}", `{methods: [GET], paths: ["`+test.pattern+`"]}`, ""))
		if got := decide(t, p, "GET", test.path, service("a")); got.Allowed != test.want {
			t.Errorf("%q of %q: %+v", test.pattern, test.path, got)
		}
	}
}
