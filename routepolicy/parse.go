package routepolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The bounds of a file. A document's size, lines and nesting are bounded low because the
// parser's time grows faster than they.
const (
	MaxFileBytes     = 8 << 20
	MaxDocumentBytes = 64 << 10
	MaxDocuments     = 10_000

	// Escapes make the JSON of a document up to six times as long as its YAML.
	maxJSONBytes = 6 * MaxDocumentBytes
	maxLineBytes = 16 << 10
	maxFlow      = 32
)

// Parse reads the route policies of a file: YAML or JSON, with a line
// "---" between two documents. It refuses what it does not fully understand: unknown keys,
// keys that come twice, documents of another kind, anchors, aliases and tags. What the
// patterns and conditions mean is for [Compile].
//
// Errors: [*Error] with the line of every problem up to 20: countersign.BadPolicy with
// ReasonResourceInvalid.
func Parse(text []byte) ([]Document, error) { return parse("", text) }

func parse(file string, text []byte) ([]Document, error) {
	var found problems
	var documents []Document
	refuse := func(line int, message string) {
		found.add(Problem{File: file, Line: line, Message: message})
	}
	switch {
	case len(text) > MaxFileBytes:
		refuse(0, fmt.Sprintf("is larger than %d MiB", MaxFileBytes>>20))
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		refuse(1, "begins with a byte order mark: save it as UTF-8 without one")
	case !utf8.Valid(text):
		refuse(0, "is not UTF-8 text")
	default:
		for _, p := range split(text) {
			if found.full() {
				break
			}
			if len(documents) == MaxDocuments {
				refuse(p.line, fmt.Sprintf("more than %d documents", MaxDocuments))
				break
			}
			d := Document{File: file, Line: p.line}
			v, line, message := readPart(p)
			if message != "" {
				refuse(line, message)
				continue
			}
			readDocument(v, &d, &found)
			documents = append(documents, d)
		}
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return documents, nil
}

// readPart reads one document. JSON is read as such: a server sends a whole document on
// one line, which is longer than the lines that the YAML parser gets.
func readPart(p part) (v value, line int, message string) {
	if text := bytes.TrimSpace(p.text); !p.joined && len(text) <= maxJSONBytes && bytes.HasPrefix(text, []byte("{")) && json.Valid(text) {
		v, err := fromJSON(text)
		if err != nil {
			return value{}, p.line, err.Error()
		}
		return v, 0, ""
	}
	if line, message = checkText(p); message != "" {
		return value{}, line, message
	}
	n, line, message := parseNode(p.text)
	if message != "" {
		return value{}, line + p.line - 1, message
	}
	return fromYAML(n, p.line-1, 0), 0, ""
}

// part is the text of one document and the line at which it starts, from 1.
type part struct {
	text   []byte
	line   int
	joined bool // there was something beside the "---" before it
}

// split returns the documents of a file. "---" at the start of a line ends a document
// wherever it stands; what comes before the first one is a document only if it says
// something.
//
// Source: YAML 1.2.2 §9.1.2.
func split(text []byte) []part {
	var parts []part
	current, start, position, line, marked := part{line: 1}, 0, 0, 0, false
	for l := range bytes.Lines(text) {
		line++
		if bytes.HasPrefix(l, []byte("---")) && (len(l) == 3 || bytes.IndexByte([]byte(" \t\r\n"), l[3]) >= 0) {
			current.text = text[start:position]
			if marked || says(current.text) {
				parts = append(parts, current)
			}
			marked, start = true, position+len(l)
			current = part{line: line + 1, joined: says(l[3:])}
		}
		position += len(l)
	}
	current.text = text[start:]
	return append(parts, current)
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

// checkText refuses what would cost the parser too much, before it is parsed.
func checkText(p part) (line int, message string) {
	switch {
	case p.joined:
		return p.line - 1, `nothing may stand beside "---": write the document below it`
	case len(p.text) > MaxDocumentBytes:
		return p.line, fmt.Sprintf("the document is larger than %d KiB", MaxDocumentBytes>>10)
	case !says(p.text):
		return p.line, "the document is empty"
	}
	line = p.line - 1
	flow := 0
	for text := range bytes.Lines(p.text) {
		line++
		steps := 0
		for _, c := range text {
			switch c {
			case '[', '{':
				flow++
			case ']', '}':
				flow = max(0, flow-1)
			}
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
				return line, "a control character"
			}
			if flow > maxFlow {
				return line, "the document is nested too deep"
			}
		}
		for rest := bytes.TrimLeft(text, " \t"); len(rest) > 1 && bytes.IndexByte([]byte("-?:"), rest[0]) >= 0 && rest[1] == ' '; rest = bytes.TrimLeft(rest[1:], " ") {
			steps++
		}
		switch {
		case len(text) > maxLineBytes:
			return line, fmt.Sprintf("a line is longer than %d KiB", maxLineBytes>>10)
		case steps > maxFlow || len(text)-len(bytes.TrimLeft(text, " ")) > 8*maxFlow:
			return line, "the document is nested too deep"
		}
	}
	return 0, ""
}

// parseNode returns the one node of a document. The line counts within text.
func parseNode(text []byte) (n ast.Node, line int, message string) {
	// A fault of the parser on hostile input must not end the program.
	defer func() {
		if recover() != nil {
			n, line, message = nil, 1, "is not YAML"
		}
	}()
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, message = 1, "is not YAML"
		var told yaml.Error
		if errors.As(err, &told) {
			message += ": " + clip(strings.TrimSpace(told.GetMessage()))
			if t := told.GetToken(); t != nil && t.Position != nil {
				line = max(1, t.Position.Line)
			}
		}
		return nil, line, message
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, 1, `must be one document without directives, with "---" before the next one`
	}
	return file.Docs[0].Body, 0, ""
}
