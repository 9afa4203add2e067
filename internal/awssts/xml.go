package awssts

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Namespace is that of every answer of the STS.
const Namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

const (
	maxElements = 64
	maxDepth    = 8
)

// Element is an element of an answer: it has either children or text.
type Element struct {
	Name     string
	Text     string
	Children []*Element
}

// One returns the text of the only child of that name, which must have no children.
func (e *Element) One(name string) (string, bool) {
	c, ok := e.Child(name)
	if !ok || len(c.Children) > 0 {
		return "", false
	}
	return c.Text, true
}

// Child returns the only child of that name.
func (e *Element) Child(name string) (*Element, bool) {
	var found *Element
	for _, c := range e.Children {
		if c.Name != name {
			continue
		}
		if found != nil {
			return nil, false
		}
		found = c
	}
	return found, found != nil
}

// Only reports whether every child has one of these names, each once at most.
func (e *Element) Only(names ...string) bool {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		seen[name] = false
	}
	for _, c := range e.Children {
		if twice, known := seen[c.Name]; !known || twice {
			return false
		}
		seen[c.Name] = true
	}
	return true
}

var (
	errOutside   = errors.New("something stands before or after the document")
	errNamespace = errors.New("an element of another namespace")
	errAttribute = errors.New("an attribute")
	errToken     = errors.New("a comment, a directive, CDATA or an instruction")
	errMixed     = errors.New("text beside elements")
	errBounds    = errors.New("too many elements or too deep")
	errText      = errors.New("not printable UTF-8")
)

// Parse reads an answer: one document with that root in the [Namespace], an XML declaration
// at most before it and blanks at most around it. There are no attributes but the root's
// xmlns, no prefixes, comments, directives, CDATA or instructions, and no text beside
// elements: what two parsers could read in two ways is an error.
func Parse(document []byte, root string) (*Element, error) {
	return parse(document, root, false)
}

// parse takes elements without a namespace too if lax is set: of refusals, which emulators
// write so, and in which there is nothing to be believed.
func parse(document []byte, root string, lax bool) (*Element, error) {
	if !utf8.Valid(document) || bytes.IndexByte(document, 0) >= 0 {
		return nil, errText
	}
	if bytes.Contains(document, []byte("<![")) {
		return nil, errToken // encoding/xml would show CDATA as text
	}
	p := parser{d: xml.NewDecoder(bytes.NewReader(document)), lax: lax}
	p.d.Strict = true
	e, err := p.document(root)
	if err != nil {
		return nil, fmt.Errorf("read the answer of an STS: %w", err)
	}
	return e, nil
}

type parser struct {
	d     *xml.Decoder
	lax   bool
	count int
}

func (p *parser) document(root string) (*Element, error) {
	var found *Element
	for first := true; ; first = false {
		t, err := p.d.Token()
		if errors.Is(err, io.EOF) && found != nil {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not XML: %w", err)
		}
		switch t := t.(type) {
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errToken
			}
		case xml.CharData:
			if !blank(t) {
				return nil, errOutside
			}
		case xml.StartElement:
			if found != nil {
				return nil, errOutside
			}
			if t.Name.Local != root {
				return nil, errors.New("another root")
			}
			if found, err = p.element(t, 0); err != nil {
				return nil, err
			}
		default:
			return nil, errToken
		}
	}
}

// element reads an element whose start has been read.
func (p *parser) element(start xml.StartElement, depth int) (*Element, error) {
	if p.count++; p.count > maxElements || depth > maxDepth {
		return nil, errBounds
	}
	if start.Name.Space != Namespace && (!p.lax || start.Name.Space != "") {
		return nil, errNamespace
	}
	for _, a := range start.Attr {
		if depth > 0 || len(start.Attr) > 1 || a.Name.Space != "" || a.Name.Local != "xmlns" {
			return nil, errAttribute
		}
	}
	e := &Element{Name: start.Name.Local}
	var text strings.Builder
	for {
		t, err := p.d.Token()
		if err != nil {
			return nil, fmt.Errorf("not XML: %w", err)
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			child, err := p.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			e.Children = append(e.Children, child)
		case xml.EndElement:
			if len(e.Children) == 0 {
				e.Text = text.String()
				return e, nil
			}
			if !blank([]byte(text.String())) {
				return nil, errMixed
			}
			return e, nil
		default:
			return nil, errToken
		}
	}
}

func blank(text []byte) bool { return len(bytes.Trim(text, " \t\r\n")) == 0 }
