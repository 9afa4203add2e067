package s3api

import (
	"strings"
	"unicode/utf8"
)

// MaxKeyBytes is S3's bound of a key.
const MaxKeyBytes = 1024

// CheckKey refuses keys that another program could read as other ones. A key that passes is
// authorised and forwarded with exactly these bytes, for every origin.
//
//	a/b, a/b/                  taken; a slash at the end is a part of the key
//	%2F of a path              is a slash: a%2Fb is a/b, at S3 too
//	%252F                      is the three characters %2F, and no slash
//	+                          is a plus in a path
//	//, /a, a//b               refused: proxies and file systems merge slashes
//	., .., a/../b, %2e%2e      refused: proxies, clients and file systems resolve them
//	backslash                  refused: a slash to some
//	NUL, control characters    refused
//	what is not UTF-8          refused
//	over 1024 bytes            refused with KeyTooLongError
//
// Errors: *Error: InvalidArgument, KeyTooLongError.
// Source: Amazon S3 User Guide, "Naming Amazon S3 objects"; RULES D2, F6.
func CheckKey(key string) error {
	switch {
	case len(key) > MaxKeyBytes:
		return &Error{Code: KeyTooLong, Message: "Your key is too long"}
	case !utf8.ValidString(key) || strings.ContainsFunc(key, IsControl):
		return &Error{Code: InvalidArgument, Message: "The key has control characters or is not UTF-8"}
	case strings.Contains(key, `\`):
		return &Error{Code: InvalidArgument, Message: "The key has a backslash"}
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if segment == "" || isDots(segment) {
			return &Error{Code: InvalidArgument, Message: `The key starts with a slash or has an empty, "." or ".." segment`}
		}
	}
	return nil
}

// CheckKeyStart is CheckKey for the start of keys, which may be empty: its last segment may
// be the start of one.
//
// Errors: as CheckKey.
func CheckKeyStart(start string) error {
	last := strings.LastIndexByte(start, '/') + 1
	if last > 0 {
		if err := CheckKey(start[:last]); err != nil {
			return err
		}
	}
	if rest := start[last:]; rest != "" && strings.Trim(rest, ".") != "" || len(start) > MaxKeyBytes {
		return CheckKey(start)
	}
	return nil
}

// CheckMarker refuses what no list can go on behind. A store may hold keys that we refuse,
// from before, and a page may end with one: a//b and a\b are passed on here, and only here.
//
// Errors: as CheckKey.
func CheckMarker(marker string) error {
	switch {
	case len(marker) > MaxKeyBytes:
		return &Error{Code: KeyTooLong, Message: "The marker is too long"}
	case !utf8.ValidString(marker) || strings.ContainsFunc(marker, IsControl):
		return &Error{Code: InvalidArgument, Message: "The marker has control characters or is not UTF-8"}
	}
	for rest := marker; ; {
		segment, after, more := strings.Cut(rest, "/")
		if !more {
			return nil // it may be the start of one
		}
		if isDots(segment) {
			return &Error{Code: InvalidArgument, Message: `The marker has a "." or ".." segment`}
		}
		rest = after
	}
}

// IsControl reports whether a character is none that is written.
func IsControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func isDots(segment string) bool { return segment == "." || segment == ".." }

// unreserved are the bytes that are never encoded: RFC 3986 §2.3.
var unreserved = func() (table [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		table[c] = true
	}
	return table
}()

// EscapeKey gives a key the one spelling that it has in a path, and with encoding-type=url.
func EscapeKey(key string) string {
	return string(AppendEscaped(make([]byte, 0, len(key)+16), key, true))
}

// AppendEscaped appends a key, or a value of the query, in its one spelling: every byte that
// is not unreserved is encoded, but slashes where they are kept. It is the spelling that
// SigV4 signs; package sigv4 has it too, being public and below this one.
func AppendEscaped(out []byte, text string, slashes bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; unreserved[c] || slashes && c == '/' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}
