package resource

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// MaxProblems is how many problems of one request are told.
const MaxProblems = 20

// Problem is one mistake in a file.
type Problem struct {
	File string
	// Line and Column count from 1; 0 = the file as a whole.
	Line, Column int
	// Path of the field, such as rules[0].to.paths; "" = the document as a whole.
	Path string
	// Message says what was expected. It never repeats a value.
	Message string
	// Nearest is the known name that was probably meant; "" = none is near.
	Nearest string
}

// String returns "file:line:col: path: message".
func (p Problem) String() string {
	text := p.File
	if p.Line > 0 {
		text += ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	}
	if p.Path != "" {
		text += ": " + p.Path
	}
	text += ": " + p.Message
	if p.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", p.Nearest)
	}
	return text
}

// Error says why documents are refused. It wraps a countersign.Error with Invalid and
// ReasonResourceInvalid, whose message is the same text.
type Error struct {
	// Problems are at most [MaxProblems], in the order of the files.
	Problems []Problem
	// More tells that there were further ones.
	More bool
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More {
		lines = append(lines, "and more")
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error for the caller.
func (e *Error) Unwrap() error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonResourceInvalid, e.Error())
}

// Problems collects problems. The zero value is ready.
type Problems struct {
	list []Problem
	more bool
}

// Add takes a problem, unless there are enough.
func (p *Problems) Add(problem Problem) {
	if len(p.list) >= MaxProblems {
		p.more = true
		return
	}
	problem.File, problem.Path = clip(problem.File), clip(problem.Path)
	p.list = append(p.list, problem)
}

// Err returns nil or an [*Error].
//
// Errors: countersign.Invalid with ReasonResourceInvalid when there are problems.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: slices.Clone(p.list), More: p.more}
}

// full reports whether further problems would not be told.
func (p *Problems) full() bool { return p.more }

// sortFrom brings the problems of one document, which start at index from, into the
// order of the file.
func (p *Problems) sortFrom(from int) {
	slices.SortStableFunc(p.list[from:], func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// clip bounds what a problem repeats of a file, on one line.
func clip(text string) string {
	const limit = 200
	cut := text
	if len(cut) > limit {
		cut = strings.ToValidUTF8(cut[:limit], "") + "…"
	}
	if utf8.ValidString(cut) && !strings.ContainsFunc(cut, unicode.IsControl) {
		return cut
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(cut, "?"))
}
