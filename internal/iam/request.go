package iam

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/web"
)

// maxDocument bounds the body of an administrative request, in bytes.
const maxDocument = 128 << 10

func invalid(reason countersign.Reason, msg string) error {
	return countersign.NewError(countersign.Invalid, reason, msg)
}

// query returns the query parameters of r. It refuses those that are not in allowed,
// those that come twice and a query that can't be parsed.
func query(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid(countersign.ReasonParameterInvalid, "the query can't be parsed")
	}
	for name, all := range values {
		if !slices.Contains(allowed, name) {
			return nil, invalid(countersign.ReasonFieldUnknown, "there is a query parameter that is not known here")
		}
		if len(all) > 1 {
			return nil, invalid(countersign.ReasonParameterDuplicated, "the query parameter "+name+" comes twice")
		}
	}
	return values, nil
}

// limit reads a limit of 1 to most; fallback when there is none.
func limit(values url.Values, fallback, most int) (int, error) {
	return number(values, "limit", fallback, most)
}

// number reads a parameter that is a number of 1 to most; fallback when there is none.
func number(values url.Values, name string, fallback, most int) (int, error) {
	if !values.Has(name) {
		return fallback, nil
	}
	n, err := strconv.Atoi(values.Get(name))
	if err != nil || n < 1 || n > most {
		return 0, invalid(countersign.ReasonParameterInvalid, name+" is a number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// document reads the JSON body of r, strictly, into into.
func document(r *http.Request, into any) error {
	if _, err := query(r); err != nil {
		return err
	}
	return web.ReadJSON(r, maxDocument, into)
}

// nothing refuses a query and a body: what is said there would be ignored.
func nothing(r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var first [1]byte
	if n, _ := r.Body.Read(first[:]); n > 0 {
		return invalid(countersign.ReasonBodyInvalid, "this takes no body")
	}
	return nil
}

// revision reads If-Match: the ETag that GET gave, or "*" for "whatever it is now"
// (RULES G4).
//
// Source: RFC 9110 §13.1.1, RFC 6585 §3.
func revision(r *http.Request) (int64, error) {
	values := r.Header.Values("If-Match")
	switch {
	case len(values) == 0:
		return 0, countersign.NewError(countersign.Precondition, countersign.ReasonRevisionMissing,
			`say which revision this changes: If-Match with the ETag, or "*"`)
	case len(values) > 1:
		return 0, invalid(countersign.ReasonHeaderDuplicated, "If-Match comes twice")
	case values[0] == "*":
		return admin.AnyRevision, nil
	}
	refused := invalid(countersign.ReasonHeaderMalformed, `If-Match is one ETag of ours, or "*"`)
	tag := values[0]
	if len(tag) < 3 || len(tag) > 21 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, refused
	}
	number := tag[1 : len(tag)-1]
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != number {
		return 0, refused
	}
	return n, nil
}

// changeRequest is a change of one service at a revision.
type changeRequest struct {
	name     string
	revision int64
}

func parseChangeService(r *http.Request) (changeRequest, error) {
	rev, err := revision(r)
	if err != nil {
		return changeRequest{}, err
	}
	return changeRequest{r.PathValue("name"), rev}, nothing(r)
}

// parseTime reads an RFC 3339 time; the zero time when there is none.
func parseTime(values url.Values, name string) (time.Time, error) {
	if !values.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, values.Get(name))
	if err != nil {
		return time.Time{}, invalid(countersign.ReasonParameterInvalid, name+" is a time like 2026-01-02T15:04:05Z")
	}
	return at.UTC(), nil
}

// parseWait reads how long a query may wait; more than [maxWait] is maxWait.
func parseWait(values url.Values) (time.Duration, error) {
	if !values.Has("wait") {
		return 0, nil
	}
	d, err := iamclient.ParseDuration(values.Get("wait"))
	if err != nil {
		return 0, err
	}
	return min(time.Duration(d), maxWait), nil
}
