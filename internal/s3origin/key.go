package s3origin

import (
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

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
			out = append(s3api.AppendEscaped(out, name, false), '=')
			out = s3api.AppendEscaped(out, value, false)
		}
	}
	return string(out)
}

// checkKey is [s3api.CheckKey] for the key that the store sees.
func checkKey(prefix, key string) error {
	if len(prefix)+len(key) > s3api.MaxKeyBytes {
		return &s3api.Error{Code: s3api.KeyTooLong, Message: "the key is too long"}
	}
	return s3api.CheckKey(key) //nolint:wrapcheck // it is in S3's words
}

// checkStarts holds what a list starts with, and goes on behind, against the rules of keys.
func checkStarts(prefix string, query url.Values) error {
	if err := s3api.CheckKeyStart(query.Get("prefix")); err != nil {
		return err //nolint:wrapcheck // it is in S3's words
	}
	for _, name := range append([]string{"prefix"}, prefixed...) {
		value := query.Get(name)
		if len(prefix)+len(value) > s3api.MaxKeyBytes {
			return &s3api.Error{Code: s3api.KeyTooLong, Message: "the " + name + " is too long"}
		}
		if err := s3api.CheckMarker(value); err != nil {
			return err //nolint:wrapcheck // it is in S3's words
		}
	}
	return nil
}

// checkPrefix holds the prefix of a configuration against what is a folder of keys.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if len(prefix) > s3api.MaxKeyBytes/2 || !strings.HasSuffix(prefix, "/") || s3api.CheckKey(prefix) != nil {
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
