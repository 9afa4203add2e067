package sigv4

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// parseHeader reads the Authorization header. The parts may stand in any order, with or
// without spaces behind the commas; each is there once, and nothing else is.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", step 5.
func parseHeader(r *http.Request) (a authorization, err error) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return a, countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated, "the Authorization header comes twice")
	}
	if len(values[0]) > maxHeaderBytes {
		return a, a.fail(countersign.ReasonHeaderMalformed, "the Authorization header is too long")
	}
	scheme, rest, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	switch {
	case scheme == algorithm:
	case scheme == "AWS" || strings.HasPrefix(scheme, "AWS4-"):
		return a, invalid(countersign.ReasonAlgNotAllowed, unsupported)
	default:
		return a, a.fail(countersign.ReasonHeaderMalformed, "the Authorization header is not a signature")
	}
	for parts := 0; ; parts++ {
		part, more, found := strings.Cut(rest, ",")
		name, text, _ := strings.Cut(strings.Trim(part, " \t"), "=")
		var into *string
		switch name {
		case "Credential":
			into = &a.credential
		case "SignedHeaders":
			into = &a.signedHeaders
		case "Signature":
			into = &a.signature
		}
		if into == nil || *into != "" || text == "" {
			return a, a.fail(countersign.ReasonHeaderMalformed, "the Authorization header is not Credential, SignedHeaders and Signature, once each")
		}
		*into = text
		if !found {
			break
		}
		rest = more
	}
	if a.credential == "" || a.signedHeaders == "" || a.signature == "" {
		return a, a.fail(countersign.ReasonParameterMissing, "the Authorization header lacks Credential, SignedHeaders or Signature")
	}
	if dates := r.Header[queryDate]; len(dates) == 1 {
		a.date = strings.Trim(dates[0], " \t")
	} else if len(dates) > 1 {
		return a, a.fail(countersign.ReasonHeaderDuplicated, "the header X-Amz-Date comes twice")
	}
	return a, nil
}

// parsePresigned reads the query of a presigned URL. checkKeys sees to it that nothing
// is there twice. The SDKs' presigned requests to the STS say nothing of an expiry: they are
// as good as a signed header, 15 minutes. At S3 it is required.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", "Query string parameters".
func parsePresigned(query []parameter) (authorization, error) {
	a := authorization{presigned: true}
	var name string
	for _, p := range []struct {
		key  string
		into *string
	}{
		{queryAlgorithm, &name}, {queryCredential, &a.credential}, {queryDate, &a.date},
		{queryExpires, &a.expires}, {querySignedHeaders, &a.signedHeaders}, {querySignature, &a.signature},
	} {
		var found bool
		if *p.into, found = value(query, p.key); *p.into == "" && (found || p.key != queryExpires) {
			return a, a.fail(countersign.ReasonParameterMissing, "the query lacks "+p.key)
		}
	}
	if name != algorithm {
		return a, a.fail(countersign.ReasonAlgNotAllowed, unsupported)
	}
	return a, nil
}

// parseSignedHeaders reads host;x-amz-date: in lower case and sorted, so that nothing is
// there twice.
func parseSignedHeaders(text string) ([]string, bool) {
	count := strings.Count(text, ";") + 1
	if len(text) > maxHeaderBytes || count > maxSigned {
		return nil, false
	}
	names := make([]string, 0, count)
	last, host := "", false
	for name := range strings.SplitSeq(text, ";") {
		if name <= last {
			return nil, false
		}
		for i := range len(name) {
			if c := name[i]; c >= 'A' && c <= 'Z' || !tokenByte[c] {
				return nil, false
			}
		}
		last, host = name, host || name == "host"
		names = append(names, name)
	}
	return names, host
}

// tokenByte are the bytes of the name of a header: RFC 9110 §5.6.2.
var tokenByte = func() (table [256]bool) {
	for c := range table {
		table[c] = c > ' ' && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
	}
	return table
}()
