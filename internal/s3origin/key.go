package s3origin

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/s3api"
)

// maxKeyBytes is S3's limit, of the key that the store sees.
//
// Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
const maxKeyBytes = 1024

// unreserved are the bytes that SigV4 never encodes: RFC 3986 §2.3.
var unreserved = func() (table [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		table[c] = true
	}
	return table
}()

const upperHex = "0123456789ABCDEF"

// appendEscaped gives a key, or a value of the query, its one spelling: every byte that is
// not unreserved is encoded, but slashes where they are kept.
func appendEscaped(out []byte, text string, slashes bool) []byte {
	for i := range len(text) {
		if c := text[i]; unreserved[c] || slashes && c == '/' {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return out
}

func escapeKey(key string) string { return string(appendEscaped(nil, key, true)) }

// encodeQuery writes parameters in order of their names.
func encodeQuery(query url.Values) string {
	if len(query) == 0 {
		return ""
	}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]byte, 0, 128)
	for _, name := range names {
		for _, value := range query[name] {
			if len(out) > 0 {
				out = append(out, '&')
			}
			out = append(appendEscaped(out, name, false), '=')
			out = appendEscaped(out, value, false)
		}
	}
	return string(out)
}

// checkKey refuses what two stores could take for two different objects.
func checkKey(prefix, key string) error {
	switch {
	case len(prefix)+len(key) > maxKeyBytes:
		return &s3api.Error{Code: s3api.KeyTooLong, Message: "the key is too long"}
	case !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
		return &s3api.Error{Code: s3api.InvalidArgument, Message: "the key is no text in UTF-8"}
	case hasDots(key):
		return &s3api.Error{Code: s3api.InvalidArgument, Message: "the key has a segment . or .."}
	}
	return nil
}

// checkStart refuses the start of a key that has what checkKey refuses. Its last segment is
// not whole: .. may be the start of ..name.
func checkStart(prefix, start string) error {
	return checkKey(prefix, start[:strings.LastIndexByte(start, '/')+1]+strings.TrimLeft(start[strings.LastIndexByte(start, '/')+1:], "."))
}

func hasDots(key string) bool {
	if !strings.Contains(key, ".") {
		return false
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// checkPrefix holds the prefix of a configuration against what is a folder of keys.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if len(prefix) > maxKeyBytes/2 || !utf8.ValidString(prefix) || strings.ContainsRune(prefix, '\\') ||
		strings.ContainsFunc(prefix, func(c rune) bool { return c < ' ' || c == 0x7f }) ||
		!strings.HasSuffix(prefix, "/") || strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") || hasDots(prefix) {
		return invalid(`the prefix of an origin ends in / and does not start so, has at most 512 bytes, no segments that are empty, . or .., and no \ and control characters`)
	}
	return nil
}

// cutPrefix removes prefix from a key in an answer. That may be encoded or not: some stores
// do not do what encoding-type asks for, and those that do so say it after the first key.
// The rest stays as it is.
func cutPrefix(text, prefix string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(text, prefix); ok {
		return rest, true
	}
	at := 0
	for i := range len(prefix) {
		switch {
		case at+2 < len(text) && text[at] == '%' && unhex(text[at+1])<<4|unhex(text[at+2]) == int(prefix[i]):
			at += 3
		case at < len(text) && text[at] != '%' && (text[at] == prefix[i] || text[at] == '+' && prefix[i] == ' '):
			at++
		default:
			return "", false
		}
	}
	return text[at:], true
}

// unhex returns the value of a digit, and much where it is none.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return 1 << 16
}
