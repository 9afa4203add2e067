package trust

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// algorithm is the only one that is served.
const algorithm = "AWS4-HMAC-SHA256"

const (
	amzTime = "20060102T150405Z"
	amzDay  = "20060102"

	maxSigned  = 20
	maxExpires = 7 * 24 * time.Hour
)

// credential is who signed, and for what.
type credential struct{ accessKeyID, day, region string }

// scope is the text of the credential in a request.
func (c *credential) scope() string {
	return c.accessKeyID + "/" + c.day + "/" + c.region + "/sts/aws4_request"
}

// parseAuthorization reads an Authorization header.
//
// Source: AWS SigV4, "Create a signed request", step 5.
func (r *awsRequest) parseAuthorization(text string) error {
	rest, found := strings.CutPrefix(text, algorithm+" ")
	if !found {
		return refuseProof("no Authorization of SigV4")
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 {
		return refuseProof("the Authorization has not exactly three parts")
	}
	for i, part := range []struct {
		name  string
		parse func(string) error
	}{
		{"Credential=", r.parseCredential},
		{"SignedHeaders=", r.parseSigned},
		{"Signature=", r.parseSignature},
	} {
		value, found := strings.CutPrefix(strings.TrimPrefix(parts[i], " "), part.name)
		if !found {
			return refuseProof("the Authorization has other parts, or in another order")
		}
		if err := part.parse(value); err != nil {
			return err
		}
	}
	return nil
}

// parseCredential reads KEY/DAY/REGION/sts/aws4_request.
func (r *awsRequest) parseCredential(text string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 5 || parts[3] != "sts" || parts[4] != "aws4_request" {
		return refuseProof("the credential's scope is not one for the STS")
	}
	r.credential = credential{parts[0], parts[1], parts[2]}
	switch {
	case len(r.accessKeyID) < 16 || len(r.accessKeyID) > 128 || !isWord(r.accessKeyID, "_"):
		return refuseProof("the access key id is none")
	case len(r.day) != len(amzDay):
		return refuseProof("the credential has no day")
	case r.region == "" || len(r.region) > 32 || !isWord(r.region, "-"):
		return refuseProof("the credential has no region")
	}
	return nil
}

// parseSigned reads the names of the signed headers: sorted, each once, in lower case.
func (r *awsRequest) parseSigned(text string) error {
	names := strings.Split(text, ";")
	if len(names) > maxSigned {
		return refuseProof("too many signed headers")
	}
	for i, name := range names {
		lower, err := headerName(name)
		if err != nil || lower != name || i > 0 && names[i-1] >= name {
			return refuseProof("the signed headers are not a sorted list of names")
		}
	}
	r.signed = names
	return nil
}

// parseSignature reads 64 digits in lower case: one spelling, since single use goes by it.
func (r *awsRequest) parseSignature(text string) error {
	if len(text) != 64 || strings.ContainsFunc(text, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) {
		return refuseProof("the signature is not one of SigV4")
	}
	r.signature = text
	return nil
}

// parseDate reads X-Amz-Date, which must be of the credential's day.
func (r *awsRequest) parseDate(text string) error {
	at, err := time.Parse(amzTime, text)
	if err != nil || at.Format(amzTime) != text || text[:len(amzDay)] != r.day {
		return refuseProof("X-Amz-Date is missing, malformed, or of another day than the credential")
	}
	r.time = at
	return nil
}

func (r *awsRequest) parseExpires(text string) error {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxExpires || strconv.Itoa(seconds) != text {
		return refuseProof("X-Amz-Expires is missing or out of range")
	}
	r.expires = time.Duration(seconds) * time.Second
	return nil
}

// presignedKeys are the keys of a presigned query, in the order in which they are sent:
// that of SigV4. The token may be missing.
var presignedKeys = []string{
	"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
	"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
}

// parseQuery reads a query that has exactly the presigned keys, each once and in their
// own case and spelling. Values are unreserved characters and %XX.
func parseQuery(query string) (map[string]string, error) {
	values := make(map[string]string, len(presignedKeys))
	for pair := range strings.SplitSeq(query, "&") {
		key, raw, found := strings.Cut(pair, "=")
		if _, twice := values[key]; !found || twice || !slices.Contains(presignedKeys, key) {
			return nil, refuseProof("the query has a key that is not known, or one twice")
		}
		value, ok := unescapeQuery(raw)
		if !ok || value == "" {
			return nil, refuseProof("the query has a value that is malformed or empty")
		}
		values[key] = value
	}
	for _, key := range presignedKeys {
		if _, there := values[key]; !there && key != "X-Amz-Security-Token" {
			return nil, refuseProof("the query lacks a key")
		}
	}
	return values, nil
}

// unescapeQuery reads a value; what it holds is printable ASCII.
func unescapeQuery(raw string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case isUnreserved(c):
		case c == '%' && i+2 < len(raw):
			n, err := strconv.ParseUint(raw[i+1:i+3], 16, 8)
			if err != nil || n < ' ' || n > '~' {
				return "", false
			}
			c, i = byte(n), i+2
		default:
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// escapeQuery is the one spelling that is sent.
//
// Source: RFC 3986 §2.3; AWS SigV4, UriEncode.
func escapeQuery(b *strings.Builder, value string) {
	const digits = "0123456789ABCDEF"
	for _, c := range []byte(value) {
		if isUnreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
}

func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '.' || c == '_' || c == '~'
}

// isWord reports whether text has nothing but letters, digits and extra.
func isWord(text, extra string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune(extra, c)
	})
}
