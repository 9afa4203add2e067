package verify

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions here read values that a scanner has already found to be valid JSON.

// escapeLen returns the length of the escape at the start of text, 0 for a bad one.
// Half a surrogate pair is bad: parsers disagree about what it means.
func escapeLen(text string) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(text)
		if !ok || utf16.IsSurrogate(r) && !isPair(r, text[6:]) {
			return 0
		}
		if utf16.IsSurrogate(r) {
			return 12
		}
		return 6
	}
	return 0
}

func isPair(high rune, rest string) bool {
	low, ok := hex4(rest)
	return ok && utf16.DecodeRune(high, low) != utf8.RuneError
}

// hex4 reads \uXXXX at the start of text.
func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(text[2:6]) {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape resolves the escapes of what stands between the quotes of a JSON string.
func unescape(raw string) (string, error) {
	var b strings.Builder
	b.Grow(len(raw))
	for raw != "" {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			b.WriteString(raw)
			break
		}
		b.WriteString(raw[:i])
		raw = raw[i:]
		n := escapeLen(raw)
		switch n {
		case 0:
			return "", errSyntax
		case 2:
			b.WriteByte(simpleEscape(raw[1]))
		default:
			r, _ := hex4(raw)
			if n == 12 {
				low, _ := hex4(raw[6:])
				r = utf16.DecodeRune(r, low)
			}
			b.WriteRune(r)
		}
		raw = raw[n:]
	}
	return b.String(), nil
}

func simpleEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}

// stringOf returns the string that raw is.
func stringOf(raw string) (string, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", errType
	}
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, nil
	}
	return unescape(raw)
}

// elementsOf calls yield with each element of the array that raw is.
func elementsOf(raw string, yield func(element string) error) error {
	if raw == "" || raw[0] != '[' {
		return errType
	}
	s := scanner{text: raw, pos: 1}
	for {
		s.space()
		if s.take(']') {
			return nil
		}
		s.take(',')
		s.space()
		start := s.pos
		if err := s.value(); err != nil {
			return err
		}
		if err := yield(raw[start:s.pos]); err != nil {
			return err
		}
	}
}

// stringsOf returns the strings of the array that raw is, or the one string.
func stringsOf(raw string) ([]string, error) {
	if raw != "" && raw[0] == '"' {
		one, err := stringOf(raw)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	var list []string
	err := elementsOf(raw, func(element string) error {
		text, err := stringOf(element)
		if err != nil {
			return err
		}
		list = append(list, text)
		return nil
	})
	return list, err
}

// maxDate is the last second of the year 9999.
const maxDate = 253402300799

// dateOf returns the NumericDate that raw is, in whole seconds: a fraction is cut
// off. Exponents, signs and dates beyond the year 9999 are refused.
//
// Source: RFC 7519 §2.
func dateOf(raw string) (int64, error) {
	if raw == "" || !isDigit(raw[0]) {
		return 0, errType
	}
	var n int64
	for i := range len(raw) {
		c := raw[i]
		if c == '.' && !strings.ContainsAny(raw[i:], "eE") {
			break
		}
		if !isDigit(c) {
			return 0, errType
		}
		if n = n*10 + int64(c-'0'); n > maxDate {
			return 0, errType
		}
	}
	return n, nil
}
