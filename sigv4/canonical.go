package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
)

// build writes the canonical request up to the hash of the payload.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", step 1.
func (q *Request) build(r *http.Request, query []parameter, a *authorization, o ParseOptions) error {
	method, err := methodOf(r)
	if err != nil {
		return err
	}
	encoded, err := pathOf(r)
	if err != nil {
		return err
	}
	var room [16][]string
	values, err := signedValues(r, q.SignedHeaders, room[:0], a)
	if err != nil {
		return err
	}
	form := o.Path.resolve(q.Scope.Service)
	path := form.canonical(encoded)
	if o.Path == PathAuto {
		if other := form.asSent(encoded); other != path {
			q.signed.otherPath = other
		}
	}
	out := make([]byte, 0, 256+len(path)+2*len(r.URL.RawQuery)+2*len(a.signedHeaders)+sizeOf(values))
	out = append(append(out, method...), '\n')
	q.signed.pathStart = len(out)
	out = append(out, path...)
	q.signed.pathEnd = len(out)
	out = appendQuery(append(out, '\n'), query)
	out = appendHeaders(append(out, '\n'), q.SignedHeaders, values)
	q.signed.canonical = append(append(append(out, '\n'), a.signedHeaders...), '\n')
	return nil
}

func methodOf(r *http.Request) (string, error) {
	if r.Method == "" {
		return http.MethodGet, nil
	}
	for i := range len(r.Method) {
		if i >= 32 || !tokenByte[r.Method[i]] {
			return "", invalid(countersign.ReasonMethod, "the method is malformed")
		}
	}
	return r.Method, nil
}

// pathOf returns the path as it was sent. It is read from the URL and not from the line
// of the request: what is verified is what a handler will look at.
func pathOf(r *http.Request) (string, error) {
	path := r.URL.EscapedPath()
	switch {
	case path == "":
		return "/", nil
	case len(path) > maxPathBytes:
		return "", invalid(countersign.ReasonParameterInvalid, "the path is too long")
	case path[0] != '/':
		return "", invalid(countersign.ReasonParameterInvalid, "the path does not start with a slash")
	}
	return path, nil
}

func hostOf(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

func sizeOf(values [][]string) (size int) {
	for _, list := range values {
		size += 2
		for _, text := range list {
			size += len(text) + 1
		}
	}
	return size
}

// signedValues finds the values of the signed headers, in their order. Every header that
// is signed is there, and every one of AWS's that is there is signed.
func signedValues(r *http.Request, names []string, values [][]string, a *authorization) ([][]string, error) {
	for range names {
		values = append(values, nil)
	}
	for key, list := range r.Header {
		if !isCanonicalKey(key) {
			return nil, invalid(countersign.ReasonHeaderMalformed, "the name of a header is malformed")
		}
		if i := find(names, key); i >= 0 {
			values[i] = list
		} else if strings.HasPrefix(key, "X-Amz-") {
			return nil, a.fail(countersign.ReasonHeaderUnsigned, "the header "+key+" is not signed")
		}
	}
	size := 0
	for i, name := range names {
		switch name {
		case "host":
			if values[i] != nil {
				return nil, invalid(countersign.ReasonHeaderDuplicated, "the host is there twice")
			}
			values[i] = []string{hostOf(r)}
		case "content-length":
			if err := contentLength(r, &values[i]); err != nil {
				return nil, err
			}
		case "transfer-encoding":
			if values[i] == nil {
				values[i] = r.TransferEncoding
			}
		}
		if len(values[i]) == 0 || name == "host" && values[i][0] == "" {
			return nil, a.fail(countersign.ReasonParameterMissing, "the header "+name+" is signed and not there")
		}
		for _, text := range values[i] {
			if size += len(text); size > maxValuesBytes {
				return nil, invalid(countersign.ReasonHeaderMalformed, "the signed headers are too long")
			}
			if !isHeaderValue(text) {
				return nil, invalid(countersign.ReasonHeaderMalformed, "the header "+name+" is malformed")
			}
		}
	}
	return values, nil
}

// contentLength: a server that knows the length may have taken the header away.
func contentLength(r *http.Request, values *[]string) error {
	switch {
	case *values == nil:
		if r.ContentLength >= 0 {
			*values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	case len(*values) != 1:
		return invalid(countersign.ReasonHeaderDuplicated, "the header Content-Length comes twice")
	case r.ContentLength >= 0 && strings.Trim((*values)[0], " \t") != strconv.FormatInt(r.ContentLength, 10):
		return invalid(countersign.ReasonHeaderMalformed, "the header Content-Length is not the length")
	}
	return nil
}

// find looks for a header's key among sorted names in lower case.
func find(names []string, key string) int {
	low, high := 0, len(names)
	for low < high {
		middle := (low + high) / 2
		if lessFold(names[middle], key) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low < len(names) && len(names[low]) == len(key) && strings.EqualFold(names[low], key) {
		return low
	}
	return -1
}

// lessFold compares name, in lower case, with key, in any.
func lessFold(name, key string) bool {
	for i := range min(len(name), len(key)) {
		if c := lower(key[i]); name[i] != c {
			return name[i] < c
		}
	}
	return len(name) < len(key)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// isCanonicalKey reports whether key is as net/http writes it. Two spellings of one
// header in a request that was made by hand would be two headers.
func isCanonicalKey(key string) bool {
	up := true
	for i := range len(key) {
		c := key[i]
		if !tokenByte[c] || up && c >= 'a' && c <= 'z' || !up && c >= 'A' && c <= 'Z' {
			return false
		}
		up = c == '-'
	}
	return key != ""
}

// isHeaderValue refuses what can't come over the wire, and would be another line of the
// canonical request.
func isHeaderValue(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// appendHeaders writes name:value lines.
func appendHeaders(out []byte, names []string, values [][]string) []byte {
	for i, name := range names {
		out = append(append(out, name...), ':')
		for j, text := range values[i] {
			if j > 0 {
				out = append(out, ',')
			}
			out = appendTrimmed(out, text)
		}
		out = append(out, '\n')
	}
	return out
}

// appendTrimmed writes text without spaces around it, and one where there are several.
func appendTrimmed(out []byte, text string) []byte {
	text = strings.Trim(text, " \t")
	if !strings.Contains(text, "  ") {
		return append(out, text...)
	}
	for i := range len(text) {
		if text[i] != ' ' || text[i-1] != ' ' {
			out = append(out, text[i])
		}
	}
	return out
}

// signature signs a canonical request.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", steps 2, 3 and 4.
func signature(key [sha256.Size]byte, scope Scope, date string, canonical []byte) [sha256.Size]byte {
	sum := sha256.Sum256(canonical)
	var digest [sha256.Size * 2]byte
	hex.Encode(digest[:], sum[:])
	var room [256]byte
	text := append(room[:0], algorithm...)
	text = append(append(append(text, '\n'), date...), '\n')
	text = append(append(append(text, scope.Date...), '/'), scope.Region...)
	text = append(append(append(text, '/'), scope.Service...), '/')
	text = append(append(append(text, terminator...), '\n'), digest[:]...)
	return mac(key[:], text)
}
