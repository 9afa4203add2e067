package policy

import (
	"slices"

	"github.com/countersign/countersign"
)

// reserved are names that mean Countersign itself, or AWS, as an audience (RULES A7).
var reserved = []string{"countersign", "iam-service", "s3", "sts", "sts.amazonaws.com"}

// ParseName returns s if it is the name of an object, as [countersign.ValidName] says.
//
// Errors: countersign.Invalid with ReasonNameInvalid.
func ParseName(s string) (string, error) {
	if !countersign.ValidName(s) {
		return "", countersign.NewError(countersign.Invalid, countersign.ReasonNameInvalid,
			"a name has 1 to 63 characters, a-z, 0-9 and -, and does not start with -")
	}
	return s, nil
}

// Reserved reports whether nobody may register an object of that name.
func Reserved(name string) bool { return slices.Contains(reserved, name) }
