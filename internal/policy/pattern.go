package policy

import "github.com/countersign/countersign/pattern"

// Pattern is what names are compared with (RULES D1).
type Pattern = pattern.Pattern

// ParsePattern compiles a pattern.
//
// Errors: as [pattern.Parse].
func ParsePattern(text string) (Pattern, error) { return pattern.Parse(text) }
