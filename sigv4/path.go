package sigv4

import (
	"bytes"
	"strings"
)

// PathForm says how the path of a URL becomes canonical.
type PathForm uint8

const (
	// PathAuto is PathObject for the services of S3 and PathService for all others. In
	// [Parse] it also takes a signature over the path as it was sent.
	PathAuto PathForm = iota
	// PathObject: not normalised, encoded once: //a/../b is the key of an object.
	PathObject
	// PathService: normalised and encoded twice.
	PathService
	// What only the test suite of AWS knows: it sends paths that are not encoded.
	pathOnceNormalized
	pathAsIs
)

func (f PathForm) resolve(service string) PathForm {
	if f != PathAuto {
		return f
	}
	switch service {
	case "s3", "s3-object-lambda", "s3-outposts", "s3express":
		return PathObject
	}
	return PathService
}

// canonical returns the canonical path of an encoded one.
func (f PathForm) canonical(encoded string) string {
	switch f {
	case PathObject:
		return reencode(encoded)
	case pathOnceNormalized:
		return normalizePath(encoded)
	case pathAsIs:
		return encoded
	default:
		return encodePath(normalizePath(encoded))
	}
}

// asSent returns the other path that a client may have signed: the one that it sent.
func (f PathForm) asSent(encoded string) string {
	if f == PathObject {
		return encoded
	}
	return encodePath(encoded)
}

// normalizePath removes empty, . and .. segments and keeps a slash at the end.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", step 1; RFC 3986 §5.2.4.
func normalizePath(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	out := make([]byte, 0, len(path))
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
		default:
			out = append(append(out, '/'), segment...)
		}
	}
	if len(out) == 0 || path[len(path)-1] == '/' {
		out = append(out, '/')
	}
	return string(out)
}

// unreserved are the bytes that SigV4 never encodes: RFC 3986 §2.3.
var unreserved = func() (table [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		table[c] = true
	}
	return table
}()

const upperHex = "0123456789ABCDEF"

// encodePath encodes all but unreserved bytes and slashes.
func encodePath(path string) string { return encode(path, '/') }

// encodeQuery encodes all but unreserved bytes.
func encodeQuery(text string) string { return encode(text, 'a') }

func encode(text string, keep byte) string {
	count := 0
	for i := range len(text) {
		if c := text[i]; !unreserved[c] && c != keep {
			count++
		}
	}
	if count == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+2*count)
	for i := range len(text) {
		if c := text[i]; unreserved[c] || c == keep {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

// reencode gives an encoded path the one spelling that SigV4 knows. A slash that came
// encoded stays so: it is another path than one with a plain slash, and who decides by
// the path must not meet one that was not signed.
func reencode(encoded string) string {
	clean := true
	for i := range len(encoded) {
		if c := encoded[i]; !unreserved[c] && c != '/' {
			clean = false
			break
		}
	}
	if clean {
		return encoded
	}
	out := make([]byte, 0, len(encoded)+16)
	for i := 0; i < len(encoded); i++ {
		c := encoded[i]
		if c == '/' {
			out = append(out, '/')
			continue
		}
		if c == '%' {
			if decoded, ok := unescape(encoded, i); ok {
				c = decoded
				i += 2
			}
		}
		if unreserved[c] {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

// unescape reads the two digits behind a %.
func unescape(text string, at int) (c byte, ok bool) {
	if at+2 >= len(text) {
		return 0, false
	}
	high, low := hexValue[text[at+1]], hexValue[text[at+2]]
	return (high-1)<<4 | (low - 1), high > 0 && low > 0
}

// hexValue has one more than the value of a digit, and 0 for all else.
var hexValue = func() (table [256]byte) {
	for i := range byte(16) {
		table[upperHex[i]] = i + 1
		table["0123456789abcdef"[i]] = i + 1
	}
	return table
}()
