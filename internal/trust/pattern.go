package trust

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// pattern is a text in which * stands for one or more bytes except / and :, and a ** at
// the end for any bytes or none. Nothing else is special (RULES D1).
type pattern struct {
	literals []string
	tail     bool
}

var errPattern = errors.New("is no pattern: ** may stand at the end only")

func compilePattern(text string) (pattern, error) {
	if text == "" || !utf8.ValidString(text) {
		return pattern{}, errPattern
	}
	var p pattern
	text, p.tail = strings.CutSuffix(text, "**")
	if strings.Contains(text, "**") || p.tail && strings.HasSuffix(text, "*") {
		return pattern{}, errPattern
	}
	p.literals = strings.Split(text, "*")
	return p, nil
}

func (p *pattern) Everything() bool {
	return len(p.literals) == 1 && p.tail && p.literals[0] == "" ||
		len(p.literals) == 2 && !p.tail && p.literals[0] == "" && p.literals[1] == ""
}

func (p *pattern) Match(text string) bool {
	if !strings.HasPrefix(text, p.literals[0]) {
		return false
	}
	text = text[len(p.literals[0]):]
	last := len(p.literals) - 1
	for i, literal := range p.literals[1:] {
		if i+1 == last && !p.tail {
			star, found := strings.CutSuffix(text, literal)
			return found && star != "" && !strings.ContainsAny(star, "/:")
		}
		next := 0
		for k := 1; k <= len(text) && text[k-1] != '/' && text[k-1] != ':'; k++ {
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
