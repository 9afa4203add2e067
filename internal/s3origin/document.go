package s3origin

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxAnswer bounds a document of the store: 1,000 entries, with keys of 1,024 bytes.
	maxAnswer = 16 << 20
	// maxDepth and maxAttributes bound its shape; S3's own go to 6 and 3.
	maxDepth      = 16
	maxAttributes = 16
)

var (
	errXML      = errors.New("the document is no XML, or more of it than is taken")
	errRoot     = errors.New("the document is another one")
	errTooLarge = errors.New("the document is too large")
)

// change returns what an element's text becomes.
type change func(text string) (string, error)

// editor copies an XML document and changes the text of some elements. What it does not
// know stays as it is; comments, document types and processing instructions are not passed.
type editor struct {
	// changes by path below the root: Contents/Key. The root of another name is refused.
	changes map[string]change
	root    string

	out   *bytes.Buffer
	limit int
	path  []string // raw names, of the root too
	// where is the path below the root, without prefixes of namespaces; ends are the lengths
	// that it had.
	where []byte
	ends  []int
	// at is the change of the element that is open; text is what it has said.
	at   change
	text []byte
	done bool
}

// edit writes the document that src yields to a buffer.
func (e *editor) edit(src io.Reader) (*bytes.Buffer, error) {
	limited := &io.LimitedReader{R: src, N: int64(e.limit) + 1}
	decoder := xml.NewDecoder(limited)
	e.out = bytes.NewBuffer(make([]byte, 0, 4<<10))
	for {
		token, err := decoder.RawToken()
		switch {
		case errors.Is(err, io.EOF) && e.done:
			return e.out, nil
		case limited.N <= 0 || e.out.Len() > 2*e.limit:
			return nil, errTooLarge
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errXML, err)
		}
		if err := e.token(token); err != nil {
			return nil, err
		}
	}
}

func (e *editor) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return e.start(t)
	case xml.EndElement:
		return e.close(t)
	case xml.CharData:
		switch {
		case e.at != nil:
			e.text = append(e.text, t...)
		case len(e.path) > 0:
			appendText(e.out, t)
		case len(bytes.TrimSpace(t)) > 0:
			return errXML
		}
	case xml.ProcInst:
		if t.Target != "xml" || e.out.Len() > 0 {
			return errXML
		}
		e.out.WriteString(xml.Header)
	case xml.Comment:
	default: // a document type could define entities
		return errXML
	}
	return nil
}

func (e *editor) start(t xml.StartElement) error {
	name := rawName(t.Name)
	switch {
	case e.done || e.at != nil || len(e.path) >= maxDepth || len(t.Attr) > maxAttributes:
		return errXML
	case len(e.path) == 0 && !e.isRoot(t.Name.Local):
		return fmt.Errorf("%w: %.64q", errRoot, t.Name.Local)
	}
	e.path = append(e.path, name)
	e.out.WriteByte('<')
	e.out.WriteString(name)
	for _, attribute := range t.Attr {
		e.out.WriteByte(' ')
		e.out.WriteString(rawName(attribute.Name))
		e.out.WriteString(`="`)
		appendText(e.out, []byte(attribute.Value))
		e.out.WriteByte('"')
	}
	e.out.WriteByte('>')
	e.ends = append(e.ends, len(e.where))
	if len(e.path) == 1 {
		return nil
	}
	if len(e.where) > 0 {
		e.where = append(e.where, '/')
	}
	e.where = append(e.where, t.Name.Local...)
	e.at, e.text = e.changes[string(e.where)], e.text[:0]
	return nil
}

// isRoot: some stores say Response where S3 says Result, and no client looks.
func (e *editor) isRoot(name string) bool {
	stem, ok := strings.CutSuffix(e.root, "Result")
	return name == e.root || ok && name == stem+"Response"
}

func (e *editor) close(t xml.EndElement) error {
	name := rawName(t.Name)
	if len(e.path) == 0 || e.path[len(e.path)-1] != name {
		return errXML
	}
	if e.at != nil {
		text, err := e.at(string(e.text))
		if err != nil {
			return err
		}
		appendText(e.out, []byte(text))
		e.at = nil
	}
	last := len(e.path) - 1
	e.path, e.where, e.ends = e.path[:last], e.where[:e.ends[last]], e.ends[:last]
	e.done = len(e.path) == 0
	e.out.WriteString("</")
	e.out.WriteString(name)
	e.out.WriteByte('>')
	return nil
}

func rawName(name xml.Name) string {
	if name.Space == "" {
		return name.Local
	}
	return name.Space + ":" + name.Local
}

// appendText escapes what is XML's own. A line feed stays, and a carriage return would not
// survive a parser.
func appendText(out *bytes.Buffer, text []byte) {
	from := 0
	for i, c := range text {
		var escaped string
		switch c {
		case '&':
			escaped = "&amp;"
		case '<':
			escaped = "&lt;"
		case '>':
			escaped = "&gt;"
		case '"':
			escaped = "&quot;"
		case '\r':
			escaped = "&#xD;"
		default:
			continue
		}
		out.Write(text[from:i])
		out.WriteString(escaped)
		from = i + 1
	}
	out.Write(text[from:])
}
