package routepolicy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// pattern is a text in which * stands for one or more bytes except / and :, and a ** at
// the end for any bytes or none. Nothing else is special (RULES D1).
type pattern struct {
	// literals are the texts around the stars: one more than there are stars.
	literals []string
	tail     bool // ends in **
}

var (
	errTail  = errors.New("** may stand at the end only, and not behind *")
	errText  = errors.New("must be text that can be printed")
	errEmpty = errors.New("must not be empty")
)

// compilePattern reads a pattern.
func compilePattern(text string) (pattern, error) {
	if text == "" {
		return pattern{}, errEmpty
	}
	if !printable(text) {
		return pattern{}, errText
	}
	var p pattern
	text, p.tail = strings.CutSuffix(text, "**")
	if strings.Contains(text, "**") || p.tail && strings.HasSuffix(text, "*") {
		return pattern{}, errTail
	}
	p.literals = strings.Split(text, "*")
	return p, nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0
	})
}

// literal reports whether the pattern is plain text.
func (p *pattern) literal() bool { return len(p.literals) == 1 && !p.tail }

// everything reports whether the pattern is * or ** alone.
func (p *pattern) everything() bool {
	return len(p.literals) == 1 && p.tail && p.literals[0] == "" ||
		len(p.literals) == 2 && !p.tail && p.literals[0] == "" && p.literals[1] == ""
}

// match reports whether all of text matches. Its time is at most the product of both
// lengths. That each literal is taken at its first place loses nothing: no star crosses
// a separator, so a later place leaves the next star less room and no new one.
func (p *pattern) match(text string) bool {
	if !strings.HasPrefix(text, p.literals[0]) {
		return false
	}
	text = text[len(p.literals[0]):]
	last := len(p.literals) - 1
	for i, literal := range p.literals[1:] {
		if i+1 == last && !p.tail {
			star, found := strings.CutSuffix(text, literal)
			return found && isStar(star)
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
	return p.tail || text == ""
}

func isSeparator(c byte) bool { return c == '/' || c == ':' }

// isStar reports whether * matches the text.
func isStar(text string) bool {
	for i := range len(text) {
		if isSeparator(text[i]) {
			return false
		}
	}
	return text != ""
}
