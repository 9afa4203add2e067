package pattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// MaxBytes bounds the text of a pattern.
const MaxBytes = 8 << 10

// What [Parse] refuses, as the causes of its errors.
var (
	errTail  = errors.New("** may stand at the end only, and not behind *")
	errText  = errors.New("must be text that can be printed")
	errEmpty = errors.New("must not be empty")
	errLong  = fmt.Errorf("is longer than %d bytes", MaxBytes)
)

// Pattern is a compiled pattern. The zero value matches the empty text only, and is
// what no text compiles to. Safe for concurrent use.
type Pattern struct {
	text string
	// literals are the texts around the stars: one more than there are stars.
	literals []string
	tail     bool // ends in **
}

// Parse compiles a pattern.
//
// Errors: countersign.Invalid with ReasonParameterInvalid; its message says what is wrong
// and repeats nothing of the text.
func Parse(text string) (Pattern, error) {
	switch {
	case text == "":
		return refused(errEmpty)
	case len(text) > MaxBytes:
		return refused(errLong)
	case !Printable(text):
		return refused(errText)
	}
	p := Pattern{text: text}
	rest, tail := strings.CutSuffix(text, "**")
	if strings.Contains(rest, "**") || tail && strings.HasSuffix(rest, "*") {
		return refused(errTail)
	}
	p.literals, p.tail = strings.Split(rest, "*"), tail
	return p, nil
}

func refused(why error) (Pattern, error) {
	return Pattern{}, countersign.WrapError(countersign.Invalid, countersign.ReasonParameterInvalid, why.Error(), why)
}

// Printable reports whether the text is UTF-8 without control characters, as every
// pattern must be.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0
	})
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Literal reports whether the pattern is plain text, which matches itself only.
func (p Pattern) Literal() bool { return len(p.literals) <= 1 && !p.tail }

// Tail reports whether the pattern ends in **.
func (p Pattern) Tail() bool { return p.tail }

// Head returns the text before the first star.
func (p Pattern) Head() string {
	if len(p.literals) == 0 {
		return ""
	}
	return p.literals[0]
}

// Everything reports whether the pattern is * or ** alone: it says nothing about who it
// matches (RULES D1).
func (p Pattern) Everything() bool { return p.text == "*" || p.text == "**" }

// Match reports whether the whole text matches. Its time is at most the product of both
// lengths.
func (p Pattern) Match(text string) bool { return p.match(text, p.tail) }

// NearMiss reports whether the text does not match and would if the pattern, which ends
// in *, ended in **: whoever wrote it may have meant that (RULES D1).
func (p Pattern) NearMiss(text string) bool {
	last := len(p.literals) - 1
	if p.tail || last < 1 || p.literals[last] != "" || p.Match(text) {
		return false
	}
	return Pattern{literals: p.literals[:last]}.match(text, true)
}

// match takes each literal at its first place. That loses nothing: no star crosses a
// separator, so a later place leaves the next star less room and no new one.
func (p Pattern) match(text string, tail bool) bool {
	if len(p.literals) == 0 {
		return text == ""
	}
	if !strings.HasPrefix(text, p.literals[0]) {
		return false
	}
	text = text[len(p.literals[0]):]
	last := len(p.literals) - 1
	for i, literal := range p.literals[1:] {
		if i+1 == last && !tail {
			star, found := strings.CutSuffix(text, literal)
			return found && IsStar(star)
		}
		next := 0
		for k := 1; k <= len(text) && !isSeparator(text[k-1]); k++ {
			if strings.HasPrefix(text[k:], literal) {
				next = k
				break
			}
		}
		if next == 0 {
			return false
		}
		text = text[next+len(literal):]
	}
	return tail || text == ""
}

func isSeparator(c byte) bool { return c == '/' || c == ':' }

// IsStar reports whether one * matches the whole text: one or more bytes without a
// separator.
func IsStar(text string) bool {
	for i := range len(text) {
		if isSeparator(text[i]) {
			return false
		}
	}
	return text != ""
}
