package routepolicy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/pattern"
)

// maxPathBytes bounds a path that is looked at, before decoding.
const maxPathBytes = 8 << 10

// canonical decodes a path as it was sent, without its query. ok is false for a path that
// somebody on the way could read in another way (RULES G5): one that does not start with
// /, has empty, "." or ".." segments, or %2f %5c %2e ; \ or control characters, also
// encoded, is not UTF-8, has a malformed escape, or has one below an encoded %, which
// somebody may decode once more. It allocates only for a path with escapes.
func canonical(escaped string) (path string, ok bool) {
	if len(escaped) > maxPathBytes || escaped == "" || escaped[0] != '/' {
		return "", false
	}
	ascii := true
	for i := range len(escaped) {
		switch c := escaped[i]; {
		case c == '%':
			return decode(escaped)
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ' || c == 0x7f || c == '\\' || c == ';' || c == '?' || c == '#':
			return "", false
		}
	}
	if !ascii && !utf8.ValidString(escaped) {
		return "", false
	}
	return escaped, plainSegments(escaped)
}

// decode is canonical for a path with escapes.
func decode(escaped string) (path string, ok bool) {
	out := make([]byte, 0, len(escaped))
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		switch c {
		case '%':
			if i+2 >= len(escaped) || !isHex(escaped[i+1]) || !isHex(escaped[i+2]) {
				return "", false
			}
			c = unhex(escaped[i+1])<<4 | unhex(escaped[i+2])
			i += 2
			if c == '/' || c == '.' {
				return "", false
			}
		case '?', '#':
			return "", false
		}
		if c < ' ' || c == 0x7f || c == '\\' || c == ';' {
			return "", false
		}
		out = append(out, c)
	}
	path = string(out)
	return path, utf8.ValidString(path) && plainSegments(path) && !decodable(path)
}

// plainSegments reports whether no segment is ".", ".." or, but for the last, empty.
func plainSegments(path string) bool {
	for i := 0; i < len(path); {
		next := strings.IndexByte(path[i+1:], '/')
		segment := path[i+1:]
		if next >= 0 {
			segment = segment[:next]
		}
		if segment == "." || segment == ".." || segment == "" && next >= 0 {
			return false
		}
		if next < 0 {
			break
		}
		i += next + 1
	}
	return true
}

// decodable reports whether the text still has an escape.
func decodable(text string) bool {
	for i := 0; i+2 < len(text); i++ {
		if text[i] == '%' && isHex(text[i+1]) && isHex(text[i+2]) {
			return true
		}
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// pathPattern is a pattern of a decoded path.
type pathPattern struct {
	text     string
	segments []string // as written, without a tail
	// tail is what a last segment that ends in ** matches of the rest; nil = none.
	tail   *pattern.Pattern
	params []param
}

// param is a {name}: the segment at an index.
type param struct {
	name  string
	index int
}

var (
	errSlash    = errors.New("must start with /")
	errSegments = errors.New(`must be canonical: without empty, "." and ".." segments`)
	errDecoded  = errors.New(`must be written decoded, without % ; \ ? and #`)
	errBraces   = errors.New("a {name} must be a whole segment, its name of a-z, 0-9 and _")
	errParams   = errors.New("a {name} comes twice")
	errDeep     = fmt.Errorf("must have at most %d segments", maxSegments)
)

// maxSegments bounds the depth of the index.
const maxSegments = 64

// compilePath reads the pattern of a path.
func compilePath(text string) (*pathPattern, error) {
	whole, err := compilePattern(text)
	if err != nil {
		return nil, err
	}
	switch {
	case text[0] != '/':
		return nil, errSlash
	case strings.ContainsAny(text, `%;\?#`):
		return nil, errDecoded
	case !plainSegments(text):
		return nil, errSegments
	}
	p := &pathPattern{text: text, segments: strings.Split(text[1:], "/")}
	if len(p.segments) > maxSegments {
		return nil, errDeep
	}
	if whole.Tail() {
		last := len(p.segments) - 1
		tail, err := compilePattern(p.segments[last])
		if err != nil {
			return nil, err
		}
		p.tail, p.segments = &tail, p.segments[:last]
		if strings.ContainsAny(tail.String(), "{}") {
			return nil, errBraces
		}
	}
	for i, segment := range p.segments {
		if !strings.ContainsAny(segment, "{}") {
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(segment, "{"), "}")
		if len(name) != len(segment)-2 || !validParam(name) {
			return nil, errBraces
		}
		for _, other := range p.params {
			if other.name == name {
				return nil, errParams
			}
		}
		p.params = append(p.params, param{name: name, index: i})
		p.segments[i] = "*"
	}
	return p, nil
}

func validParam(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// capture returns what the {name}s of the pattern stand for in a path that it matches.
func (p *pathPattern) capture(path string) map[string]string {
	found := make(map[string]string, len(p.params))
	if len(p.params) == 0 {
		return found
	}
	segments := strings.Split(path[1:], "/")
	for _, param := range p.params {
		found[param.name] = segments[param.index]
	}
	return found
}
