package authn

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// The headers that carry tokens, in canonical form.
const (
	authorization        = "Authorization"
	serviceAuthorization = "Service-Authorization"
)

// bearers are the tokens of a request as they came; the zero value = no header at all.
type bearers struct {
	first  string // Authorization
	second string // Service-Authorization
}

// parseBearers reads both headers. Each may come once; Service-Authorization only
// beside Authorization.
//
// Errors: countersign.BadHeader; countersign.Unauthenticated for another scheme than
// Bearer, which proves nobody here.
// Source: RFC 6750 §2.1.
func parseBearers(h http.Header) (bearers, error) {
	var found bearers
	var err error
	if found.second, err = parseHeader(h[serviceAuthorization]); err != nil {
		return bearers{}, err
	}
	if found.first, err = parseHeader(h[authorization]); err != nil {
		return bearers{}, err
	}
	if found.first == "" && found.second != "" {
		return bearers{}, errTokenMissing
	}
	return found, nil
}

// parseHeader returns the token, "" only where the header did not come.
func parseHeader(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", errHeaderDuplicated
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if found && scheme != "" && !strings.EqualFold(scheme, "Bearer") && !strings.Contains(scheme, ",") {
		return "", errTokenMissing
	}
	// A comma may be two headers that something on the way joined.
	if !found || scheme == "" || token == "" || strings.ContainsAny(token, " \t,") || strings.Contains(scheme, ",") {
		return "", errHeaderMalformed
	}
	return token, nil
}

var (
	errTokenMissing = countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing,
		"a bearer token is required")
	errHeaderDuplicated = countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated,
		"an authorization header came twice")
	errHeaderMalformed = countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderMalformed,
		"an authorization header can't be read")
)
