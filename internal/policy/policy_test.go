package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
		wantErr  countersign.Code
	}{
		{name: "none", in: ""},
		{name: "one", in: "s2s:internal", want: []string{"s2s:internal"}},
		{name: "order stays", in: "b a", want: []string{"b", "a"}},
		{name: "doubled", in: "a b a", want: []string{"a", "b"}},
		{name: "edges of NQCHAR", in: "! # [ ] ~", want: []string{"!", "#", "[", "]", "~"}},
		{name: "most", in: manyScopes(policy.MaxScopes), want: strings.Fields(manyScopes(policy.MaxScopes))},
		{name: "longest", in: strings.Repeat("a", policy.MaxScopeBytes), want: []string{strings.Repeat("a", policy.MaxScopeBytes)}},
		{name: "only a space", in: " ", wantErr: countersign.BadScope},
		{name: "leading space", in: " a", wantErr: countersign.BadScope},
		{name: "trailing space", in: "a ", wantErr: countersign.BadScope},
		{name: "double space", in: "a  b", wantErr: countersign.BadScope},
		{name: "tab", in: "a\tb", wantErr: countersign.BadScope},
		{name: "newline", in: "a\nb", wantErr: countersign.BadScope},
		{name: "NUL", in: "a\x00", wantErr: countersign.BadScope},
		{name: "quote", in: `a"b`, wantErr: countersign.BadScope},
		{name: "backslash", in: `a\b`, wantErr: countersign.BadScope},
		{name: "DEL", in: "a\x7f", wantErr: countersign.BadScope},
		{name: "not ASCII", in: "schlüssel", wantErr: countersign.BadScope},
		{name: "no-break space", in: "a\u00a0b", wantErr: countersign.BadScope},
		{name: "too many", in: manyScopes(policy.MaxScopes + 1), wantErr: countersign.BadScope},
		{name: "too long", in: strings.Repeat("a", policy.MaxScopeBytes+1), wantErr: countersign.BadScope},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := policy.ParseScope(tt.in)
			if code := countersign.CodeOf(err); code != tt.wantErr {
				t.Fatalf("ParseScope(%q) code = %q, want %q", tt.in, code, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseScope(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func manyScopes(n int) string {
	var all []string
	for i := range n {
		all = append(all, "s"+strings.Repeat("x", i%8)+string(rune('A'+i/8)))
	}
	return strings.Join(all, " ")
}

func TestGrantedIsExact(t *testing.T) {
	t.Parallel()
	granted := []string{"s2s:internal", "docs:read"}
	tests := []struct {
		name      string
		requested []string
		granted   []string
		want      countersign.Reason
	}{
		{name: "none of some", granted: granted},
		{name: "none of none"},
		{name: "one", requested: []string{"docs:read"}, granted: granted},
		{name: "all", requested: granted, granted: granted},
		{name: "unknown", requested: []string{"docs:write"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "one of two", requested: []string{"docs:read", "docs:write"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "prefix", requested: []string{"docs"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "extension", requested: []string{"docs:read:all"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "case", requested: []string{"S2S:internal"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "star granted is no pattern", requested: []string{"docs:read"}, granted: []string{"*"}, want: countersign.ReasonScopeNotGranted},
		{name: "star requested", requested: []string{"*"}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "empty", requested: []string{""}, granted: granted, want: countersign.ReasonScopeNotGranted},
		{name: "nothing granted", requested: []string{"docs:read"}, want: countersign.ReasonScopeNotGranted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := policy.Granted(tt.requested, tt.granted)
			if got := countersign.ReasonOf(err); got != tt.want {
				t.Errorf("Granted reason = %q, want %q", got, tt.want)
			}
			if err != nil && !errors.Is(err, countersign.BadScope) {
				t.Errorf("code = %q, want BadScope", countersign.CodeOf(err))
			}
		})
	}
}

func TestRuleB1OneAudience(t *testing.T) {
	t.Parallel()
	two := []string{"parse-service", "https://api.example.com/v1"}
	tests := []struct {
		name               string
		requested, allowed []string
		want               string
		reason             countersign.Reason
	}{
		{name: "requested", requested: []string{"parse-service"}, allowed: two, want: "parse-service"},
		{name: "resource, verbatim", requested: []string{"https://api.example.com/v1"}, allowed: two, want: "https://api.example.com/v1"},
		{name: "audience and resource agree", requested: []string{"parse-service", "parse-service"}, allowed: two, want: "parse-service"},
		{name: "single default", allowed: []string{"parse-service"}, want: "parse-service"},
		{name: "no default of two", allowed: two, reason: countersign.ReasonAudienceMissing},
		{name: "no default of none", reason: countersign.ReasonAudienceMissing},
		{name: "two", requested: two, allowed: two, reason: countersign.ReasonParameterInvalid},
		{name: "second differs late", requested: []string{"parse-service", "parse-service", "sts"}, allowed: two, reason: countersign.ReasonParameterInvalid},
		{name: "empty", requested: []string{""}, allowed: []string{"parse-service"}, reason: countersign.ReasonParameterInvalid},
		{name: "empty is no default", requested: []string{"", "parse-service"}, allowed: []string{"parse-service"}, reason: countersign.ReasonParameterInvalid},
		{name: "not granted", requested: []string{"sts"}, allowed: two, reason: countersign.ReasonAudienceNotGranted},
		{name: "nothing granted", requested: []string{"sts"}, reason: countersign.ReasonAudienceNotGranted},
		{name: "slash more", requested: []string{"https://api.example.com/v1/"}, allowed: two, reason: countersign.ReasonAudienceNotGranted},
		{name: "host in capitals", requested: []string{"https://API.example.com/v1"}, allowed: two, reason: countersign.ReasonAudienceNotGranted},
		{name: "star", requested: []string{"*"}, allowed: []string{"*"}, reason: countersign.ReasonParameterInvalid},
		{name: "two in one value", requested: []string{"parse-service sts"}, allowed: two, reason: countersign.ReasonParameterInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := policy.ChooseAudience(tt.requested, tt.allowed)
			if got != tt.want || countersign.ReasonOf(err) != tt.reason {
				t.Errorf("ChooseAudience = %q, %v; want %q, %q", got, err, tt.want, tt.reason)
			}
			if err != nil && !errors.Is(err, countersign.BadTarget) {
				t.Errorf("code = %q, want BadTarget", countersign.CodeOf(err))
			}
		})
	}
}

func TestParseAudience(t *testing.T) {
	t.Parallel()
	good := []string{"a", "parse-service", "sts", "https://api.example.com", "https://api.example.com:8443/x?y=z", "http://127.0.0.1:8440", "urn:acme:parse"}
	bad := []string{
		"", " ", "Parse", "-a", "a b", "a.b", "a/b", "/v1", "//host/x", "https:", "https://", "https:///x", "https:/x", "urn:",
		"https://a.example#f", "https://a.example#", "https://u@a.example", "https://u:p@a.example", "https://a.example/\x00",
		"https://a.example/ü", `https://a.example/"`, "https://a.example/%zz", "sts.amazonaws.com",
		"https://a.example/" + strings.Repeat("x", policy.MaxAudienceBytes),
	}
	for _, s := range good {
		if got, err := policy.ParseAudience(s); err != nil || got != s {
			t.Errorf("ParseAudience(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range bad {
		if got, err := policy.ParseAudience(s); !errors.Is(err, countersign.BadTarget) || got != "" {
			t.Errorf("ParseAudience(%q) = %q, %v; want BadTarget", s, got, err)
		}
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	good := []string{"a", "0", "document-service", "a--b", "a-", strings.Repeat("a", 63)}
	bad := []string{"", "-a", "A", "a_b", "a.b", "a b", "a/b", "a\n", "ä", "a\x00", "http://x", strings.Repeat("a", 64)}
	for _, s := range good {
		if got, err := policy.ParseName(s); err != nil || got != s {
			t.Errorf("ParseName(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range bad {
		if got, err := policy.ParseName(s); countersign.ReasonOf(err) != countersign.ReasonNameInvalid || got != "" {
			t.Errorf("ParseName(%q) = %q, %v; want name_invalid", s, got, err)
		}
	}
}

func TestRuleA7WhatOnlyASuperAdminGrants(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sts", "iam-service", "s3", "countersign", "sts.amazonaws.com"} {
		if !policy.Reserved(name) || !policy.SuperAdminAudience(name) {
			t.Errorf("%q: Reserved %v, SuperAdminAudience %v; want both", name, policy.Reserved(name), policy.SuperAdminAudience(name))
		}
	}
	for _, name := range []string{"", "parse-service", "sts2", "iam", "STS"} {
		if policy.Reserved(name) || policy.SuperAdminAudience(name) {
			t.Errorf("%q is reserved", name)
		}
	}
	if !policy.SuperAdminScope("s2s:internal") {
		t.Error("s2s:internal can be granted by anybody")
	}
	for _, scope := range []string{"", "docs:read", "s2s", "audit:write", "iam:apply"} {
		if policy.SuperAdminScope(scope) {
			t.Errorf("%q needs a super-admin", scope)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "a", "a b", " a", "a  b", "s2s:internal docs:read", "\x00", `"`, "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := policy.ParseScope(s)
		if err != nil {
			if !errors.Is(err, countersign.BadScope) || tokens != nil {
				t.Fatalf("ParseScope(%q) = %q, %v", s, tokens, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, token := range tokens {
			if !policy.ValidScope(token) || seen[token] {
				t.Fatalf("ParseScope(%q) = %q", s, tokens)
			}
			seen[token] = true
		}
		// What comes out is the canonical form: it parses to itself.
		again, err := policy.ParseScope(strings.Join(tokens, " "))
		if err != nil || cmp.Diff(tokens, again) != "" {
			t.Fatalf("second ParseScope = %q, %v; want %q", again, err, tokens)
		}
	})
}
