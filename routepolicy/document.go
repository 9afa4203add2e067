package routepolicy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
)

// Document is one route policy: it says who may call which routes of a service. The zero
// value of every field is the strict one.
type Document struct {
	Name string
	// Tenant is "" for the platform. It says who owns the policy and decides nothing.
	Tenant string
	// Service is the receiving one.
	Service string
	// ReportOnly is "enforce: false": calls that no rule allows are let pass, and told.
	ReportOnly bool
	Rules      []Rule

	// File and Line are where it starts; empty when it comes from no file.
	File string
	Line int

	lines map[string]int // of fields, by path
}

// Rule lets calls pass: what matches From, To and When.
type Rule struct {
	Name string
	From From
	To   To
	// When is a condition; "" = none.
	When string
}

// From is who calls: AND between the fields that are given, OR inside of one.
type From struct {
	// Services are patterns of the calling service's name.
	Services []string
	// Users are ISSUER|SUBJECT, where SUBJECT is a pattern, or "**" for every user.
	Users []string
	// UserRoles are roles of the user.
	UserRoles []string
	// Scopes are those of the service's token or, without a service, of the user's.
	Scopes []string
	// Roles are roles that temporary credentials were taken for.
	Roles []string
	// WithoutService is required where there are no Services: the rule then does not look
	// at the service at all, so that callers with and without one match.
	WithoutService bool
}

// To is what is called.
type To struct {
	// Methods are literal: GET does not imply HEAD.
	Methods []string
	// Paths are patterns of the decoded path.
	Paths []string
}

// Problem is one mistake in a document.
type Problem struct {
	// File and Line, from 1, where known.
	File string
	Line int
	// Policy is the name of the document, where known.
	Policy string
	// Path of the field, such as rules[0].to.paths[1]; "" = the document as a whole.
	Path string
	// Message says what was expected; it never repeats a value.
	Message string
}

// String returns "file:line: policy: path: message", as far as known.
func (p Problem) String() string {
	var parts []string
	if p.File != "" {
		parts = append(parts, p.File)
	}
	if p.Line > 0 {
		if p.File == "" {
			parts = append(parts, "line "+strconv.Itoa(p.Line))
		} else {
			parts[0] += ":" + strconv.Itoa(p.Line)
		}
	}
	for _, part := range []string{p.Policy, p.Path} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// maxProblems is how many problems are told at once.
const maxProblems = 20

// Error says why documents are refused. It wraps a countersign.Error with BadPolicy and
// ReasonResourceInvalid.
type Error struct {
	// Problems are the first 20.
	Problems []Problem
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error for the caller.
func (e *Error) Unwrap() error {
	return countersign.NewError(countersign.BadPolicy, countersign.ReasonResourceInvalid, e.Error())
}

// problems collects mistakes.
type problems struct{ list []Problem }

func (p *problems) add(problem Problem) {
	if len(p.list) < maxProblems {
		problem.File, problem.Policy, problem.Path = clip(problem.File), clip(problem.Policy), clip(problem.Path)
		p.list = append(p.list, problem)
	}
}

func (p *problems) full() bool { return len(p.list) >= maxProblems }

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: p.list}
}

// clip bounds what a problem repeats of a document, on one line.
func clip(text string) string {
	const limit = 200
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// problem makes a problem of a field, at its line where that is known.
func (d *Document) problem(path, message string) Problem {
	p := Problem{File: d.File, Line: d.Line, Policy: d.Name, Path: path, Message: message}
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if line := d.lines[at]; line > 0 {
			p.Line = line
			break
		}
	}
	return p
}

func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
