package policy

import (
	"slices"

	"github.com/countersign/countersign"
)

// MaxNameBytes is the longest name of an object.
const MaxNameBytes = 63

// reserved are names that mean Countersign itself, or AWS, as an audience (RULES A7).
var reserved = []string{"countersign", "iam-service", "s3", "sts", "sts.amazonaws.com"}

// ParseName returns s if it is the name of an object: [a-z0-9][a-z0-9-]{0,62}.
//
// Errors: countersign.Invalid with ReasonNameInvalid.
func ParseName(s string) (string, error) {
	if !isName(s) {
		return "", countersign.NewError(countersign.Invalid, countersign.ReasonNameInvalid,
			"a name has 1 to 63 characters, a-z, 0-9 and -, and does not start with -")
	}
	return s, nil
}

// Reserved reports whether nobody may register an object of that name.
func Reserved(name string) bool { return slices.Contains(reserved, name) }

func isName(s string) bool {
	if s == "" || len(s) > MaxNameBytes || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
