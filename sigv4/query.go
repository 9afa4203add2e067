package sigv4

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

const (
	maxQueryBytes  = 16 << 10
	maxQueryKeys   = 128
	maxTokenBytes  = 12 << 10 // of a session token
	maxHeaderBytes = 8 << 10  // of Authorization
	maxSigned      = 128      // signed headers
	maxValuesBytes = 64 << 10 // of the signed headers
)

// parameter is one pair of a query: as it was meant, and as it is signed.
type parameter struct {
	key, value               string
	canonicalKey, canonValue string
}

// The parameters of a presigned URL. Case matters: who else reads the query may know one
// spelling only, so no other is taken.
const (
	queryAlgorithm     = "X-Amz-Algorithm"
	queryCredential    = "X-Amz-Credential" //nolint:gosec // a name
	queryDate          = "X-Amz-Date"
	queryExpires       = "X-Amz-Expires"
	querySignedHeaders = "X-Amz-SignedHeaders"
	querySignature     = "X-Amz-Signature"
	queryToken         = "X-Amz-Security-Token" //nolint:gosec // a name
	queryContent       = "X-Amz-Content-Sha256"
)

// authParameters are those that authenticate; in any spelling they make a request one
// that tries to.
var authParameters = []string{
	queryAlgorithm, queryCredential, queryDate, queryExpires, querySignedHeaders, querySignature, queryToken,
}

// oldParameters are those of signature version 2.
var oldParameters = []string{"AWSAccessKeyId", "Signature"}

// parseQuery splits and decodes a query: as net/url does, but what that would skip or
// guess at is an error here. The result is in canonical order.
func parseQuery(raw string) ([]parameter, error) {
	if raw == "" {
		return nil, nil
	}
	if len(raw) > maxQueryBytes {
		return nil, invalid(countersign.ReasonParameterInvalid, "the query is too long")
	}
	count := strings.Count(raw, "&") + 1
	if count > maxQueryKeys {
		return nil, invalid(countersign.ReasonParameterInvalid, "the query has too many parameters")
	}
	list := make([]parameter, 0, count)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if strings.Contains(pair, ";") {
			return nil, invalid(countersign.ReasonParameterInvalid, "the query has a semicolon")
		}
		key, value, _ := strings.Cut(pair, "=")
		var p parameter
		var okKey, okValue bool
		p.key, okKey = decodeQuery(key)
		p.value, okValue = decodeQuery(value)
		if !okKey || !okValue {
			return nil, invalid(countersign.ReasonParameterInvalid, "the query is not encoded correctly")
		}
		p.canonicalKey, p.canonValue = encodeQuery(p.key), encodeQuery(p.value)
		list = append(list, p)
	}
	slices.SortFunc(list, compareParameters)
	return list, nil
}

// compareParameters is the canonical order: that of the encoded forms.
func compareParameters(a, b parameter) int {
	return cmp.Or(cmp.Compare(a.canonicalKey, b.canonicalKey), cmp.Compare(a.canonValue, b.canonValue))
}

// decodeQuery reads + as a space, as everybody does who will read the query later.
func decodeQuery(text string) (string, bool) {
	if !strings.ContainsAny(text, "%+") {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			decoded, ok := unescape(text, i)
			if !ok {
				return "", false
			}
			out = append(out, decoded)
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

// appendQuery writes the canonical query, without the signature.
func appendQuery(out []byte, list []parameter) []byte {
	start := len(out)
	for _, p := range list {
		if p.key == querySignature {
			continue
		}
		if len(out) > start {
			out = append(out, '&')
		}
		out = append(append(append(out, p.canonicalKey...), '='), p.canonValue...)
	}
	return out
}

// checkKeys refuses keys that come twice or in two spellings: the one who checks and the
// one who acts would read different ones (CVE-2022-2385). Those that authenticate come
// once and in one spelling in any case.
func checkKeys(list []parameter, allowRepeated bool) error {
	for i := range list {
		key := list[i].key
		for _, name := range authParameters {
			if len(key) == len(name) && key != name && strings.EqualFold(key, name) {
				return invalid(countersign.ReasonParameterInvalid, "the query writes "+name+" in another way")
			}
		}
		if len(key) == len(queryContent) && key != queryContent && strings.EqualFold(key, queryContent) {
			return invalid(countersign.ReasonParameterInvalid, "the query writes "+queryContent+" in another way")
		}
		if allowRepeated && !slices.Contains(authParameters, key) && key != queryContent {
			continue
		}
		for j := range i {
			if other := list[j].key; len(key) == len(other) && strings.EqualFold(key, other) {
				return invalid(countersign.ReasonParameterDuplicated, "the query has a parameter twice")
			}
		}
	}
	return nil
}

func value(list []parameter, key string) (string, bool) {
	for i := range list {
		if list[i].key == key {
			return list[i].value, true
		}
	}
	return "", false
}

// attempt is how a request tries to authenticate.
type attempt struct {
	header, query, old, token bool
	// tokenOnly: of the query's parameters only the session token is there.
	tokenOnly bool
}

// attempts looks for anything that claims to authenticate, even when it is empty: a
// request with a broken claim must not pass as one without (RULES F2).
func attempts(r *http.Request, list []parameter) (a attempt) {
	_, a.header = r.Header["Authorization"]
	_, a.token = r.Header[queryToken]
	for i := range list {
		for _, name := range authParameters {
			if len(list[i].key) == len(name) && strings.EqualFold(list[i].key, name) {
				a.tokenOnly = name == queryToken && (a.tokenOnly || !a.query)
				a.query = true
			}
		}
		for _, name := range oldParameters {
			a.old = a.old || len(list[i].key) == len(name) && strings.EqualFold(list[i].key, name)
		}
	}
	return a
}

// invalid is what is wrong with a request other than its Authorization header.
func invalid(reason countersign.Reason, msg string) *countersign.Error {
	return countersign.NewError(countersign.Invalid, reason, msg)
}
