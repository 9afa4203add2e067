package verify

import (
	"errors"
	"sync"
	"unicode/utf8"
)

// Limits of the JSON that a token or a key set may hold.
const (
	maxDepth   = 16  // objects and arrays in each other
	maxMembers = 256 // members of one object
)

var (
	errSyntax    = errors.New("not valid JSON")
	errUTF8      = errors.New("not valid UTF-8")
	errDepth     = errors.New("nested too deeply")
	errMembers   = errors.New("too many members")
	errDuplicate = errors.New("a member name comes twice")
	errType      = errors.New("a value has the wrong type")
)

// member is one member of a JSON object. The raw value is text[start:end] of the
// scanned text.
type member struct {
	name       string // unescaped
	start, end int
}

// scanner checks JSON strictly (RFC 8259) in one pass and without building values.
// Names are compared after unescaping and a name that comes twice in one object is
// refused at every depth, so that no two parsers can read the same text differently.
type scanner struct {
	text  string
	pos   int
	depth int
	names []string // of all objects that are open
	// plainNames refuses names with escapes: a JOSE header has no use for them.
	plainNames bool
}

// openNames has room for the names of nearly every token; append moves to the heap.
var openNames = sync.Pool{New: func() any { return new([48]string) }}

// parseObject checks that text is one JSON object and nothing else, and appends its
// members to dst.
func parseObject(text string, plainNames bool, dst []member) ([]member, error) {
	if !utf8.ValidString(text) {
		return nil, errUTF8
	}
	open := openNames.Get().(*[48]string)
	defer func() {
		clear(open[:]) // the pool keeps nothing of a token
		openNames.Put(open)
	}()
	s := scanner{text: text, names: open[:0], plainNames: plainNames}
	s.space()
	dst, err := s.object(dst, true)
	if err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(text) {
		return nil, errSyntax
	}
	return dst, nil
}

// object scans an object; its members are appended to dst when collect is set.
func (s *scanner) object(dst []member, collect bool) ([]member, error) {
	if !s.take('{') {
		return nil, errSyntax
	}
	if s.depth++; s.depth > maxDepth {
		return nil, errDepth
	}
	base := len(s.names)
	for s.space(); !s.take('}'); s.space() {
		if len(s.names) > base && !s.take(',') {
			return nil, errSyntax
		}
		s.space()
		name, err := s.name(base)
		if err != nil {
			return nil, err
		}
		s.space()
		if !s.take(':') {
			return nil, errSyntax
		}
		s.space()
		start := s.pos
		if err := s.value(); err != nil {
			return nil, err
		}
		if collect {
			dst = append(dst, member{name: name, start: start, end: s.pos})
		}
	}
	s.names = s.names[:base]
	s.depth--
	return dst, nil
}

// name scans a member name of the object whose names begin at base.
func (s *scanner) name(base int) (string, error) {
	raw, escaped, err := s.str()
	if err != nil {
		return "", err
	}
	if escaped {
		if s.plainNames {
			return "", errSyntax
		}
		if raw, err = unescape(raw); err != nil {
			return "", err
		}
	}
	for _, other := range s.names[base:] {
		if other == raw {
			return "", errDuplicate
		}
	}
	if len(s.names)-base >= maxMembers {
		return "", errMembers
	}
	s.names = append(s.names, raw)
	return raw, nil
}

func (s *scanner) array() error {
	s.pos++ // the bracket that value saw
	if s.depth++; s.depth > maxDepth {
		return errDepth
	}
	s.space()
	if s.take(']') {
		s.depth--
		return nil
	}
	for {
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		if s.take(']') {
			s.depth--
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

func (s *scanner) value() error {
	if s.pos >= len(s.text) {
		return errSyntax
	}
	switch c := s.text[s.pos]; {
	case c == '"':
		_, _, err := s.str()
		return err
	case c == '{':
		_, err := s.object(nil, false)
		return err
	case c == '[':
		return s.array()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || isDigit(c):
		return s.number()
	}
	return errSyntax
}

func (s *scanner) word(word string) error {
	if len(s.text)-s.pos < len(word) || s.text[s.pos:s.pos+len(word)] != word {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// number scans -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return errSyntax
	}
	if s.take('.') && !s.digits() {
		return errSyntax
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return errSyntax
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.text) && isDigit(s.text[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

// str scans a string and returns what is between its quotes.
func (s *scanner) str() (raw string, escaped bool, err error) {
	if !s.take('"') {
		return "", false, errSyntax
	}
	for start := s.pos; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], escaped, nil
		case c < 0x20:
			return "", false, errSyntax
		case c == '\\':
			escaped = true
			n := escapeLen(s.text[s.pos:])
			if n == 0 {
				return "", false, errSyntax
			}
			s.pos += n - 1
		}
	}
	return "", false, errSyntax
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
