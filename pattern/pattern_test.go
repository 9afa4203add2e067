package pattern_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/pattern"
)

func parse(t *testing.T, text string) pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return p
}

func TestRuleD1Pattern(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{"a", []string{"a"}, []string{"", "A", "aa", "a ", " a", "a\n", "a/b"}},
		{"*", []string{"a", "ab", "ä", "*"}, []string{"", "/", ":", "a/b", "a:b", "a/"}},
		{"**", []string{"", "a", "a/b:c", "\x00"}, nil},
		{"a*", []string{"ab", "a*"}, []string{"a", "b", "a/b", "a:", "Ab", "xab"}},
		{"*b", []string{"ab", "bb"}, []string{"b", "a/b", "abc"}},
		{"a**", []string{"a", "ab", "a/b:c"}, []string{"", "b", "ba"}},
		{"a*/b", []string{"ax/b"}, []string{"a/b", "ax/bc", "ax/y/b", "ax:b"}},
		{"a*b*c", []string{"axbxc", "abbbc", "axbbcc"}, []string{"abc", "abxc", "axbc", "axb/xc"}},
		{"*aab", []string{"aaab", "aabaab"}, []string{"aab", "aabx"}},
		{"repo:acme/*:**", []string{"repo:acme/docs:", "repo:acme/docs:ref:refs/heads/main"}, []string{"repo:acme/docs", "repo:acme/:x", "repo:acme/a/b:x", "repo:evil/docs:x"}},
		{"repo:acme/docs:*", []string{"repo:acme/docs:pull_request"}, []string{"repo:acme/docs:ref:refs/heads/main", "repo:acme/docs-evil:x"}},
		{"arn:aws:sts::1:assumed-role/R/*", []string{"arn:aws:sts::1:assumed-role/R/s"}, []string{"arn:aws:sts::1:assumed-role/R/", "arn:aws:sts::1:assumed-role/R/s/t", "arn:aws:sts::1:assumed-role/X/R/s"}},
		{"a.b", []string{"a.b"}, []string{"axb"}},
		{"[ab]", []string{"[ab]"}, []string{"a", "b"}},
		{"a?", []string{"a?"}, []string{"ab", "a"}},
		{"(a|b)", []string{"(a|b)"}, []string{"a"}},
		{`a\*`, []string{`a\x`}, []string{"a*"}},
		{"^a$", []string{"^a$"}, []string{"a"}},
	}
	for _, tt := range tests {
		p := parse(t, tt.pattern)
		if p.String() != tt.pattern {
			t.Errorf("%q is written as %q", tt.pattern, p)
		}
		for _, text := range tt.yes {
			if !p.Match(text) {
				t.Errorf("%q does not match %q", tt.pattern, text)
			}
		}
		for _, text := range tt.no {
			if p.Match(text) {
				t.Errorf("%q matches %q", tt.pattern, text)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "***", "****", "a***", "**a", "a**b", "a**b**", "**/x", "a\n", "a\x00", "\x7f", "a\xff", "\u0085",
		strings.Repeat("a", pattern.MaxBytes+1),
	} {
		if _, err := pattern.Parse(text); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
}

func TestZeroPattern(t *testing.T) {
	t.Parallel()
	var p pattern.Pattern
	if p.Match("a") || p.NearMiss("a") || p.Everything() || p.Tail() || p.Head() != "" || p.String() != "" {
		t.Error("the zero pattern says something")
	}
}

func TestEverythingAndLiteral(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		everything, literal, tail bool
		head                      string
	}{
		"*": {everything: true}, "**": {everything: true, tail: true},
		"a": {literal: true, head: "a"}, "a*": {head: "a"}, "a*b**": {tail: true, head: "a"},
		"*/*": {}, "*a": {},
	}
	for text, want := range tests {
		p := parse(t, text)
		if p.Everything() != want.everything || p.Literal() != want.literal || p.Tail() != want.tail || p.Head() != want.head {
			t.Errorf("%q: %t %t %t %q", text, p.Everything(), p.Literal(), p.Tail(), p.Head())
		}
	}
}

func TestNearMiss(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"repo:acme/docs:*", "repo:acme/docs:ref:refs/heads/main", true},
		{"repo:acme/docs:*", "repo:acme/docs:", true},
		{"repo:acme/docs:*", "repo:acme/docs:pull_request", false}, // it matches
		{"repo:acme/docs:*", "repo:acme/evil:x", false},
		{"repo:acme/docs:**", "repo:acme/evil:x", false},
		{"repo:acme/*", "repo:acme/docs:x", true},
		{"repo:*/docs:*", "repo:acme/docs:a:b", true},
		{"*", "a/b", true},
		{"a", "ab", false},
		{"a*b", "axby", false},
	}
	for _, tt := range tests {
		if got := parse(t, tt.pattern).NearMiss(tt.text); got != tt.want {
			t.Errorf("%q, %q: got %t", tt.pattern, tt.text, got)
		}
	}
}

// naive is the definition of RULES D1 word by word.
func naive(p, text string) bool {
	switch {
	case p == "":
		return text == ""
	case p == "**":
		return true
	case p[0] == '*':
		for k := 1; k <= len(text) && text[k-1] != '/' && text[k-1] != ':'; k++ {
			if naive(p[1:], text[k:]) {
				return true
			}
		}
		return false
	}
	return text != "" && p[0] == text[0] && naive(p[1:], text[1:])
}

func FuzzParse(f *testing.F) {
	for _, seed := range [][2]string{
		{"repo:acme/*:**", "repo:acme/docs:ref"}, {"a*b*c", "abbbc"}, {"**", ""}, {"*a*a*a", "aaaaaaa"}, {"***", "a"}, {"*aab", "aaab"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := pattern.Parse(text)
		if err != nil {
			return
		}
		if len(text) > 24 || len(name) > 24 {
			_ = p.Match(name)
			return
		}
		if got, want := p.Match(name), naive(text, name); got != want {
			t.Errorf("%q of %q: got %t", text, name, got)
		}
		if p.NearMiss(name) && (p.Match(name) || !naive(strings.TrimSuffix(text, "*")+"**", name)) {
			t.Errorf("%q nearly matches %q", text, name)
		}
	})
}
