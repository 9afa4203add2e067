package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// Names of templates: verified values (RULES D3). Beside them there are raw claims, as
// {claims.NAME}.
var templateNames = []string{"tenant", "service", "subject", "issuer", "role"}

const claimsPrefix = "claims."

// maxValueBytes bounds what is put in for a template.
const maxValueBytes = 512

// piece is a part of a text: plain, or the name of a template.
type piece struct {
	text     string
	template bool
}

// pieces takes a text apart once; nothing inside a value is looked at again.
func pieces(text string) (list []piece, problem string) {
	for text != "" {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			return append(list, piece{text, false}), ""
		}
		if at > 0 {
			list = append(list, piece{text[:at], false})
		}
		if text[at] == '}' {
			return nil, "has a } without a {"
		}
		end := strings.IndexAny(text[at+1:], "{}")
		if end < 0 || text[at+1+end] != '}' {
			return nil, "has a { without a }"
		}
		name := text[at+1 : at+1+end]
		claim, isClaim := strings.CutPrefix(name, claimsPrefix)
		if !slices.Contains(templateNames, name) && (!isClaim || claim == "" || !utf8.ValidString(claim) || strings.ContainsFunc(claim, isControl)) {
			return nil, "has an unknown template: there are {tenant}, {service}, {subject}, {issuer}, {role} and {claims.NAME}"
		}
		list = append(list, piece{name, true})
		text = text[at+end+2:]
	}
	return list, ""
}

// closed returns the text with a letter for each template, which there must not be unless
// they may be open.
func closed(text string, open bool) (plain, problem string) {
	if len(text) > maxKeyBytes {
		return "", fmt.Sprintf("is longer than %d bytes", maxKeyBytes)
	}
	list, problem := pieces(text)
	for _, p := range list {
		switch {
		case !p.template:
			plain += p.text
		case !open:
			return "", "has an open template"
		default:
			plain += "x"
		}
	}
	return plain, problem
}

func isOpen(text string) bool { return strings.Contains(text, "{") }

// Templates returns the names of the templates, sorted, each once: tenant, claims.dept.
func (p Permissions) Templates() []string {
	var names []string
	visit := func(text string) {
		if !isOpen(text) {
			return
		}
		list, _ := pieces(text) // it was compiled
		for _, piece := range list {
			if piece.template {
				names = append(names, piece.text)
			}
		}
	}
	for i := range p {
		visit(p[i].Bucket)
		for _, prefix := range p[i].Prefixes {
			visit(prefix)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Resolve puts the values in for the templates, in a single pass: nothing that looks like
// a template in a value is one. The keys of values are the names that Templates returns;
// a claim that is no text must be left out of them.
//
// Errors: countersign.Denied with ReasonTemplateValue when a value is missing, empty, too
// long, or has characters that could reach beyond the prefix (RULES D3).
func (p Permissions) Resolve(values map[string]string) (Permissions, error) {
	made := make(Permissions, 0, len(p))
	for i := range p {
		bucket, err := substitute(p[i].Bucket, values)
		if err != nil {
			return nil, err
		}
		if checkBucket(bucket, false) != "" {
			return nil, unusable(nil)
		}
		prefixes := make([]string, 0, len(p[i].Prefixes))
		for _, text := range p[i].Prefixes {
			prefix, err := substitute(text, values)
			if err != nil {
				return nil, err
			}
			if checkPrefix(prefix, false) != "" || prefix == "" && text != "" {
				return nil, unusable(nil)
			}
			prefixes = append(prefixes, prefix)
		}
		made = append(made, Permission{bucket, prefixes, slices.Clone(p[i].Actions)})
	}
	return made, nil
}

func substitute(text string, values map[string]string) (string, error) {
	if !isOpen(text) {
		return text, nil
	}
	list, problem := pieces(text)
	if problem != "" {
		return "", unusable(nil)
	}
	var out strings.Builder
	for _, p := range list {
		value := p.text
		if p.template {
			if value = values[p.text]; !safeValue(value) {
				return "", unusable(nil)
			}
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

// safeValue reports whether a value can't reach beyond the place that it is put into.
func safeValue(value string) bool {
	return value != "" && len(value) <= maxValueBytes && utf8.ValidString(value) &&
		!strings.ContainsAny(value, `/*{}\`) && !strings.Contains(value, "..") && !strings.ContainsFunc(value, isControl)
}

func unusable(cause error) error {
	return countersign.WrapError(countersign.Denied, countersign.ReasonTemplateValue,
		"the role needs a value that the proof of identity does not have in a usable form", cause)
}
