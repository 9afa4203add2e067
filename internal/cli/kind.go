package cli

import (
	"strings"

	"github.com/countersign/countersign/internal/resource"
)

// kindOf finds a kind by what a person types: service, Services, route-policy,
// RoutePolicies.
//
// Errors: usageError.
func kindOf(name string) (string, error) {
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "")
	var known []string
	for _, kind := range resource.Kinds() {
		one := strings.ToLower(kind)
		many := one + "s"
		if stem, found := strings.CutSuffix(one, "y"); found && !strings.HasSuffix(stem, "e") { // policies, but keys
			many = stem + "ies"
		}
		if plain == one || plain == many {
			return kind, nil
		}
		known = append(known, kindWord(kind))
	}
	return "", usageError{"unknown kind \"" + printable(name) + "\"; there are: " + strings.Join(known, ", ")}
}

// kindWord writes a kind as the command line does: RoutePolicy as route-policy.
func kindWord(kind string) string {
	var b strings.Builder
	for i, r := range kind {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return printable(strings.ToLower(b.String()))
}

// objectName is how an object is called in lines: service/document-service.
func objectName(kind, name string) string { return kindWord(kind) + "/" + printable(name) }

// printable takes out of a word what could steer a terminal.
func printable(word string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return -1
		}
		return r
	}, word)
}
