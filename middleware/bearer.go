package middleware

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// The headers that tokens come in, in the form that net/http keeps them.
const (
	userHeader    = "Authorization"
	serviceHeader = "Service-Authorization"
)

// credentials are the tokens of a request; nothing in them is verified.
type credentials struct {
	first  string // Authorization
	second string // Service-Authorization; "" = none came
}

// parseCredentials reads the tokens of a request. A second token without a first one
// is refused: it would be a caller that only some receivers see.
//
// Errors: [countersign.Unauthenticated] when no token came, [countersign.BadHeader].
// Source: RFC 6750 §2.1.
func parseCredentials(h http.Header) (credentials, error) {
	// Both are read before anything is decided, so that a doubled or malformed second
	// header is found whatever the first one is.
	second, err := parseServiceAuthorization(h[serviceHeader])
	if err != nil {
		return credentials{}, err
	}
	first, err := parseAuthorization(h[userHeader])
	if err != nil {
		return credentials{}, err
	}
	return credentials{first: first, second: second}, nil
}

func parseAuthorization(values []string) (string, error) {
	if len(values) == 0 {
		return "", errTokenMissing
	}
	if len(values) > 1 {
		return "", errHeaderDuplicated
	}
	token, isBearer, err := parseBearer(values[0])
	if err == nil && !isBearer {
		// RFC 6750 §3.1: another scheme counts as no authentication at all.
		err = errTokenMissing
	}
	return token, err
}

func parseServiceAuthorization(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errHeaderDuplicated
	}
	token, isBearer, err := parseBearer(values[0])
	if err == nil && !isBearer {
		err = errHeaderMalformed // the header is ours: it knows no other scheme
	}
	return token, err
}

// parseBearer reads one header value: the scheme in any case, exactly one space, one
// token. A comma may be two headers that something on the way joined.
func parseBearer(value string) (token string, isBearer bool, err error) {
	const scheme = "bearer"
	name, rest, found := strings.Cut(value, " ")
	if !strings.EqualFold(name, scheme) {
		if !found || name == "" || strings.IndexByte(value, ',') >= 0 {
			return "", false, errHeaderMalformed
		}
		return "", false, nil
	}
	if rest == "" || strings.IndexByte(rest, ' ') >= 0 || strings.IndexByte(rest, ',') >= 0 || strings.IndexByte(rest, '\t') >= 0 {
		return "", true, errHeaderMalformed
	}
	return rest, true, nil
}

var (
	errTokenMissing = countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing,
		"a bearer token is required")
	errHeaderDuplicated = countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated,
		"an authorization header came twice")
	errHeaderMalformed = countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderMalformed,
		"an authorization header can't be read")
)
