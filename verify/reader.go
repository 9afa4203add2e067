package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countersign/countersign"
)

// maxIdentity bounds, in bytes, what names somebody: subjects, names, ids.
const maxIdentity = 512

// reader reads typed claims and keeps the first error, so that a list of claims
// reads as a list.
type reader struct {
	claims *claims
	err    error
}

func (r *reader) fail(reason countersign.Reason, claim string, cause error) {
	if r.err == nil {
		r.err = refuseBecause(reason, fmt.Errorf("claim %s: %w", claim, cause))
	}
}

// optional returns a string claim, "" when it is missing. A null is no string.
func (r *reader) optional(name string) string {
	raw, ok := r.claims.find(name)
	if !ok {
		return ""
	}
	text, err := stringOf(raw)
	if err != nil {
		r.fail(countersign.ReasonClaimInvalid, name, err)
	}
	return text
}

// identity returns a string claim that names somebody: neither empty nor blank nor
// long, and without control characters. Missing is an error if required is set.
func (r *reader) identity(name string, required bool) string {
	raw, ok := r.claims.find(name)
	if !ok {
		if required {
			r.fail(countersign.ReasonClaimMissing, name, errors.New("missing"))
		}
		return ""
	}
	text, err := stringOf(raw)
	if err == nil {
		err = checkIdentity(text)
	}
	if err != nil {
		r.fail(countersign.ReasonClaimInvalid, name, err)
	}
	return text
}

func checkIdentity(text string) error {
	if strings.TrimSpace(text) == "" || len(text) > maxIdentity {
		return errors.New("empty or too long")
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == 0x7f {
			return errors.New("control character")
		}
	}
	return nil
}

// list returns a claim that is a string or an array of strings; nil when missing.
func (r *reader) list(name string) []string {
	raw, ok := r.claims.find(name)
	if !ok {
		return nil
	}
	list, err := stringsOf(raw)
	if err != nil {
		r.fail(countersign.ReasonClaimInvalid, name, err)
	}
	return list
}

// words returns a claim that is a space-delimited string or an array of strings.
func (r *reader) words(name string) []string {
	raw, ok := r.claims.find(name)
	if !ok {
		return nil
	}
	if raw[0] != '"' {
		return r.list(name)
	}
	return splitWords(r.optional(name))
}

// splitWords splits at spaces; empty words don't count.
func splitWords(text string) []string {
	if text == "" {
		return nil
	}
	words := make([]string, 0, strings.Count(text, " ")+1)
	for text != "" {
		var word string
		if word, text, _ = strings.Cut(text, " "); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// date returns a NumericDate claim.
func (r *reader) date(name string) (seconds int64, ok bool) {
	raw, ok := r.claims.find(name)
	if !ok {
		return 0, false
	}
	seconds, err := dateOf(raw)
	if err != nil {
		r.fail(countersign.ReasonClaimInvalid, name, err)
	}
	return seconds, true
}
