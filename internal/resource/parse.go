package resource

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The bounds of what is parsed together. A document is parsed by itself, so that memory
// is a small multiple of MaxDocumentBytes and of what the documents hold. Its size,
// lines and nesting are bounded low because the parser's time grows faster than they.
const (
	MaxBytes         = 8 << 20
	MaxDocuments     = 20_000
	MaxDocumentBytes = 64 << 10
	maxLineBytes     = 16 << 10
	maxNesting       = 32
)

// File is one file of documents.
type File struct {
	// Name is what problems call it.
	Name    string
	Content []byte
}

// Parse reads all documents of the files, in their order: YAML, or JSON as far as it is
// YAML, with a line "---" between two documents. It refuses what it does not fully
// understand, and two documents of one kind and name.
//
// Errors: [*Error] with every problem up to [MaxProblems]: countersign.Invalid with
// ReasonResourceInvalid.
func Parse(files []File) ([]Document, error) {
	var problems Problems
	total := 0
	for _, f := range files {
		total += len(f.Content)
		if total > MaxBytes {
			problems.Add(Problem{File: f.Name, Message: fmt.Sprintf("all files together are larger than %d MiB: apply them in parts", MaxBytes>>20)})
			return nil, problems.Err()
		}
	}
	p := parse{problems: &problems, seen: make(map[[2]string]*Document)}
	for _, f := range files {
		if !p.file(f) {
			break
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	documents := make([]Document, len(p.documents))
	for i, d := range p.documents {
		documents[i] = *d
	}
	return documents, nil
}

// parse is a running Parse.
type parse struct {
	problems  *Problems
	documents []*Document
	seen      map[[2]string]*Document // by kind and name
	count     int
}

// file reads one file and reports whether it is worth to go on.
func (p *parse) file(f File) bool {
	switch {
	case bytes.HasPrefix(f.Content, []byte("\xef\xbb\xbf")):
		p.problems.Add(Problem{File: f.Name, Line: 1, Column: 1, Message: "begins with a byte order mark: save it as UTF-8 without one"})
		return true
	case !utf8.Valid(f.Content):
		line := 1 + bytes.Count(f.Content[:firstInvalid(f.Content)], []byte("\n"))
		p.problems.Add(Problem{File: f.Name, Line: line, Column: 1, Message: "is not UTF-8 text"})
		return true
	}
	for part := range split(f.Content) {
		if p.problems.full() {
			return false
		}
		if p.count++; p.count > MaxDocuments {
			p.problems.Add(Problem{File: f.Name, Line: part.line, Column: 1, Message: fmt.Sprintf("more than %d documents: apply them in parts", MaxDocuments)})
			return false
		}
		before := len(p.problems.list)
		p.part(f.Name, part)
		p.problems.sortFrom(before)
	}
	return true
}

func firstInvalid(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return len(text)
}

// part is the text of one document and the line at which it starts.
type part struct {
	text []byte
	line int
	// joined tells that there was something beside the "---" before it.
	joined bool
}

// split yields the documents of a file. "---" at the start of a line ends a document
// wherever it stands (YAML 1.2.2 §9.1.2); what comes before the first one is a document
// only if it says something.
func split(content []byte) func(yield func(part) bool) {
	return func(yield func(part) bool) {
		current := part{line: 1}
		start, at, line, marked := 0, 0, 0, false
		for at < len(content) {
			end := len(content)
			if newline := bytes.IndexByte(content[at:], '\n'); newline >= 0 {
				end = at + newline + 1
			}
			text := content[at:end]
			line++
			if isMarker(text) {
				current.text = content[start:at]
				if (marked || says(current.text)) && !yield(current) {
					return
				}
				marked, start = true, end
				current = part{line: line + 1, joined: says(text[3:])}
			}
			at = end
		}
		current.text = content[start:]
		yield(current)
	}
}

func isMarker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || bytes.IndexByte([]byte(" \t\r\n"), line[3]) >= 0)
}

// says reports whether there is more in the text than space and comments.
func says(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}

// part reads one document.
func (p *parse) part(file string, text part) {
	r := &reader{file: file, offset: text.line - 1, problems: p.problems, document: &Document{
		File: file, Line: text.line, places: make(map[string]place),
	}}
	if line, message := checkText(text); message != "" {
		p.problems.Add(Problem{File: file, Line: text.line + line, Column: 1, Message: message})
		return
	}
	node, problem := parseNode(text.text)
	if problem != nil {
		problem.File, problem.Line = file, problem.Line+r.offset
		p.problems.Add(*problem)
		return
	}
	before := len(p.problems.list)
	r.read(node)
	if len(p.problems.list) > before || p.problems.full() {
		return
	}
	d := r.document
	key := [2]string{d.Kind, d.Name}
	if first := p.seen[key]; first != nil {
		p.problems.Add(d.Problem("name", fmt.Sprintf("there is a %s of this name already at %s:%d", d.Kind, clip(first.File), first.Line)))
		return
	}
	p.seen[key] = d
	p.documents = append(p.documents, d)
}

// checkText refuses what would cost the parser too much, before it is parsed. line is
// counted from 0 within the part.
func checkText(p part) (line int, message string) {
	switch {
	case p.joined:
		return -1, `nothing may stand beside "---": write the document below it`
	case len(p.text) > MaxDocumentBytes:
		return 0, fmt.Sprintf("the document is larger than %d KiB", MaxDocumentBytes>>10)
	case !says(p.text):
		return 0, "the document is empty"
	}
	flow := 0
	for text := range bytes.Lines(p.text) {
		steps := 0
		for _, c := range text {
			switch c {
			case '[', '{':
				flow++
			case ']', '}':
				flow = max(0, flow-1)
			}
		}
		for rest := bytes.TrimLeft(text, " \t"); len(rest) > 1 && bytes.IndexByte([]byte("-?:"), rest[0]) >= 0 && rest[1] == ' '; rest = bytes.TrimLeft(rest[1:], " ") {
			steps++
		}
		switch {
		case len(text) > maxLineBytes:
			return line, fmt.Sprintf("a line is longer than %d KiB", maxLineBytes>>10)
		case flow > maxNesting || steps > maxNesting || len(text)-len(bytes.TrimLeft(text, " ")) > 8*maxNesting:
			return line, "the document is nested too deep"
		case bytes.ContainsFunc(text, isControl):
			return line, "a control character"
		}
		line++
	}
	return 0, ""
}

func isControl(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0
}

// parseNode returns the one node of a document. The problem's line counts within text.
func parseNode(text []byte) (node ast.Node, problem *Problem) {
	// A fault of the parser on hostile input must not end the server.
	defer func() {
		if recover() != nil {
			node, problem = nil, &Problem{Line: 1, Column: 1, Message: "is not YAML"}
		}
	}()
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		problem = &Problem{Line: 1, Column: 1, Message: "is not YAML"}
		var told yaml.Error
		if errors.As(err, &told) {
			problem.Message = "is not YAML: " + clip(strings.TrimSpace(told.GetMessage()))
			if t := told.GetToken(); t != nil && t.Position != nil {
				problem.Line, problem.Column = max(1, t.Position.Line), max(1, t.Position.Column)
			}
		}
		return nil, problem
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, &Problem{Line: 1, Column: 1, Message: `must be one document without directives, with "---" before the next one`}
	}
	return file.Docs[0].Body, nil
}
