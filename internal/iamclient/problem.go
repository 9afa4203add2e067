package iamclient

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/countersign/countersign"
)

// ProblemType is the media type of an error answer.
const ProblemType = "application/problem+json"

// Problem is an error answer (RFC 9457 §3.1). Type is always "about:blank"; what
// kind of error it is stands in Code.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is safe to show.
	Detail string `json:"detail,omitempty"`
	// Code is a countersign.Code.
	Code string `json:"code"`
	// Reason is a countersign.Reason; left out for callers who may not know it.
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Problems are what is wrong with the documents of a refused [Apply]; MoreProblems
	// tells that there are others.
	Problems     []ResourceProblem `json:"problems,omitempty"`
	MoreProblems bool              `json:"more_problems,omitempty"`
}

// ProblemsError says what is wrong with documents. It wraps the server's error.
type ProblemsError struct {
	Problems []ResourceProblem
	// More tells that there were further ones.
	More bool
	err  error
}

// Error returns one line for each problem: "file:line:col: path: message".
func (e *ProblemsError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More {
		lines = append(lines, "and more")
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the server's error.
func (e *ProblemsError) Unwrap() error { return e.err }

// String returns "file:line:col: path: message", without what could steer a terminal.
func (p ResourceProblem) String() string {
	text := p.File
	if p.Line > 0 {
		text += ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	}
	if p.Path != "" {
		text += ": " + p.Path
	}
	text += ": " + p.Message
	if p.Nearest != "" {
		text += "; did you mean " + strconv.Quote(p.Nearest) + "?"
	}
	return printable(text)
}

// codeOfStatus gives the code for an answer that names none of ours: from a proxy
// in between or from another front door.
var codeOfStatus = map[int]countersign.Code{
	http.StatusBadRequest:            countersign.Invalid,
	http.StatusUnauthorized:          countersign.Unauthenticated,
	http.StatusForbidden:             countersign.Denied,
	http.StatusNotFound:              countersign.NotFound,
	http.StatusMethodNotAllowed:      countersign.Unsupported,
	http.StatusConflict:              countersign.Conflict,
	http.StatusPreconditionFailed:    countersign.Conflict,
	http.StatusRequestEntityTooLarge: countersign.TooLarge,
	http.StatusUnsupportedMediaType:  countersign.Unsupported,
	http.StatusPreconditionRequired:  countersign.Precondition,
	http.StatusTooManyRequests:       countersign.Throttled,
	http.StatusServiceUnavailable:    countersign.Unavailable,
}

// decodeError turns an error answer into the error that the server meant.
func decodeError(response *http.Response, body []byte) error {
	// The last two fields are what the OAuth endpoints and the plumbing answer with.
	var answer struct {
		Problem
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	// A body that is no JSON leaves the status to tell.
	_ = json.Unmarshal(body, &answer)

	e := &countersign.Error{
		Code:   countersign.Code(answer.Code),
		Reason: countersign.Reason(printable(answer.Reason)),
		Msg:    printable(answer.Detail),
	}
	if !slices.Contains(countersign.Codes(), e.Code) {
		e.Code = codeOfStatus[response.StatusCode]
	}
	if e.Code == "" {
		e.Code = countersign.Upstream
	}
	if e.Msg == "" {
		e.Msg = printable(answer.Description)
	}
	if e.Msg == "" {
		e.Msg = printable(answer.Error)
	}
	if e.Msg == "" {
		e.Msg = "the server answered " + strconv.Itoa(response.StatusCode)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds < 86400 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if len(answer.Problems) > 0 {
		return &ProblemsError{Problems: answer.Problems, More: answer.MoreProblems, err: e}
	}
	return e
}

// printable bounds what a server said and takes out what could steer a terminal.
func printable(text string) string {
	const limit = 1024
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
