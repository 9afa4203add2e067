package oauth

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/web"
)

// The error words of RFC 6749 §5.2 and RFC 8707 §2, and the two for what §5.2 has
// no word for.
const (
	invalidRequest         = "invalid_request"
	invalidClient          = "invalid_client"
	invalidGrant           = "invalid_grant"
	unauthorizedClient     = "unauthorized_client"
	unsupportedGrantType   = "unsupported_grant_type"
	invalidScope           = "invalid_scope"
	invalidTarget          = "invalid_target"
	serverError            = "server_error"
	temporarilyUnavailable = "temporarily_unavailable"
)

// wireError is how a code looks on the wire.
type wireError struct {
	status int
	code   string
}

// wireErrors is the only place where a code becomes a status and a word.
var wireErrors = map[countersign.Code]wireError{
	countersign.Invalid:         {http.StatusBadRequest, invalidRequest},
	countersign.BadHeader:       {http.StatusBadRequest, invalidRequest},
	countersign.Unsupported:     {http.StatusBadRequest, unsupportedGrantType},
	countersign.Unauthenticated: {http.StatusUnauthorized, invalidClient},
	countersign.BadClient:       {http.StatusUnauthorized, invalidClient},
	countersign.BadSignature:    {http.StatusUnauthorized, invalidClient},
	countersign.BadToken:        {http.StatusBadRequest, invalidGrant},
	countersign.Expired:         {http.StatusBadRequest, invalidGrant},
	countersign.Skewed:          {http.StatusBadRequest, invalidGrant},
	countersign.BodyMismatch:    {http.StatusBadRequest, invalidRequest},
	countersign.Denied:          {http.StatusBadRequest, unauthorizedClient},
	countersign.BadScope:        {http.StatusBadRequest, invalidScope},
	countersign.BadTarget:       {http.StatusBadRequest, invalidTarget},
	countersign.BadPolicy:       {http.StatusBadRequest, invalidRequest},
	countersign.TooLarge:        {http.StatusRequestEntityTooLarge, invalidRequest},
	countersign.NotFound:        {http.StatusNotFound, invalidRequest},
	countersign.Conflict:        {http.StatusConflict, invalidRequest},
	countersign.Precondition:    {http.StatusPreconditionRequired, invalidRequest},
	countersign.Throttled:       {http.StatusTooManyRequests, temporarilyUnavailable},
	countersign.Upstream:        {http.StatusServiceUnavailable, temporarilyUnavailable},
	countersign.Unavailable:     {http.StatusServiceUnavailable, temporarilyUnavailable},
	countersign.Internal:        {http.StatusInternalServerError, serverError},
}

// What a caller is told where the cause is ours.
const (
	sayUnavailable = "we can't answer this now; try again later"
	sayInternal    = "something went wrong; the request id finds it in the log"
)

// unavailableRetry is the Retry-After of a 503 whose error names no time.
const unavailableRetry = time.Second

// challenge goes with every 401: RFC 6749 §5.2 asks for it where the header was
// used, RFC 9110 §15.5.2 always. It is the same for every failure (RULES B4).
const challenge = `Basic realm="countersign", charset="UTF-8"`

// errorBody is the body of every error.
type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	RequestID   string `json:"request_id,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

// writeError renders err.
//
// Source: RFC 6749 §5.2.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	wire, ok := wireErrors[countersign.CodeOf(err)]
	if !ok {
		wire = wireErrors[countersign.Internal]
	}
	description := countersign.MessageOf(err)
	switch {
	case wire.status == http.StatusServiceUnavailable:
		description = sayUnavailable
	case wire.status >= 500:
		description = sayInternal
	}
	h.writeWireError(w, r, wire, err, description)
}

// writeWireError is the one writer of errors.
func (h *Handler) writeWireError(w http.ResponseWriter, r *http.Request, wire wireError, err error, description string) {
	header := w.Header()
	switch wire.status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter(err))
	}
	body := errorBody{Error: wire.code, Description: describe(description), RequestID: web.RequestID(r.Context())}
	// A failed authentication says why to nobody but the audit log (RULES B4).
	if h.cfg.ExposeReasons && wire.code != invalidClient {
		body.Reason = string(countersign.ReasonOf(err))
	}
	writeJSON(w, wire.status, body)
}

// methodNotAllowed answers every method but the one that is served.
func (h *Handler) methodNotAllowed(method string) http.HandlerFunc {
	allow := method
	if method == http.MethodGet {
		allow = "GET, HEAD"
	}
	err := countersign.NewError(countersign.Invalid, countersign.ReasonMethod, "this endpoint takes "+allow+" only")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		h.writeWireError(w, r, wireError{http.StatusMethodNotAllowed, invalidRequest}, err, err.Msg)
	}
}

// retryAfter returns whole seconds, rounded up, at least 1.
func retryAfter(err error) string {
	wait := unavailableRetry
	var e *countersign.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

// describe keeps a description within the characters that RFC 6749 §5.2 allows.
func describe(text string) string {
	clean := []byte(text)
	for i, c := range clean {
		if c == '"' || c == '\\' {
			clean[i] = '\''
		} else if c < 0x20 || c > 0x7e {
			clean[i] = '?'
		}
	}
	return string(clean)
}
