package policy

import (
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// Bounds of a scope parameter and of the scopes of a service.
const (
	MaxScopes     = 64
	MaxScopeBytes = 1024
)

// ScopeS2S marks machine-only calls. It is granted by a super-admin only.
const ScopeS2S = "s2s:internal"

// ParseScope splits a scope parameter: tokens of printable ASCII without " and \,
// with single spaces between them. Doubled tokens are collapsed; the order of first
// appearance stays. "" means none (RULES B1). It is at most [MaxScopeBytes] long and
// has at most [MaxScopes] tokens.
//
// Errors: countersign.BadScope with ReasonParameterInvalid.
// Source: RFC 6749 §3.3.
func ParseScope(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > MaxScopeBytes {
		return nil, badScope("the scope is too long")
	}
	tokens := make([]string, 0, min(strings.Count(s, " ")+1, MaxScopes))
	for token := range strings.SplitSeq(s, " ") {
		if !ValidScope(token) {
			return nil, badScope("the scope is malformed")
		}
		if slices.Contains(tokens, token) {
			continue
		}
		if len(tokens) == MaxScopes {
			return nil, badScope("the scope has too many parts")
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// ValidScope reports whether s is one scope token.
//
// Source: RFC 6749 §3.3.
func ValidScope(s string) bool {
	for i := range len(s) {
		if !isNQChar(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= MaxScopeBytes
}

// Granted checks that every requested scope is among the granted ones, compared byte
// by byte: no prefix, no pattern, no implied scope.
//
// Errors: countersign.BadScope with ReasonScopeNotGranted.
func Granted(requested, granted []string) error {
	for _, scope := range requested {
		if !slices.Contains(granted, scope) {
			return countersign.NewError(countersign.BadScope, countersign.ReasonScopeNotGranted,
				"a requested scope is not granted to this client")
		}
	}
	return nil
}

// SuperAdminScope reports whether only a super-admin may grant the scope (RULES A7).
func SuperAdminScope(scope string) bool { return scope == ScopeS2S }

func badScope(msg string) error {
	return countersign.NewError(countersign.BadScope, countersign.ReasonParameterInvalid, msg)
}

// isNQChar reports whether c is NQCHAR of RFC 6749 appendix A.
func isNQChar(c byte) bool { return c > 0x20 && c < 0x7f && c != '"' && c != '\\' }
