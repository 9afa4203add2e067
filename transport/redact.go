package transport

import (
	"net/http"
	"net/http/httputil"
	"strings"
)

const redacted = "REDACTED"

// secretHeaders are never shown, in requests and in answers, besides the headers that
// isTokenHeader recognises.
var secretHeaders = []string{"Cookie", "Set-Cookie", "Proxy-Authorization"}

// Redact returns a copy of h in which tokens and cookies are replaced by REDACTED, for
// logs and dumps. nil stays nil.
func Redact(h http.Header) http.Header {
	clean := h.Clone()
	for name, values := range clean {
		if !isSecretHeader(name) {
			continue
		}
		for i := range values {
			values[i] = redacted
		}
	}
	return clean
}

// DumpRequest returns the request line and the headers of req as they look on the wire,
// redacted. The body is neither shown nor read, the query is shown.
//
// Errors: those of httputil.DumpRequest.
func DumpRequest(req *http.Request) ([]byte, error) {
	clean := req.WithContext(req.Context()) // a shallow copy
	clean.Header = Redact(req.Header)
	return httputil.DumpRequest(clean, false)
}

func isSecretHeader(name string) bool {
	if isTokenHeader(name) {
		return true
	}
	for _, secret := range secretHeaders {
		if strings.EqualFold(name, secret) {
			return true
		}
	}
	return false
}
