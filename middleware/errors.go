package middleware

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
)

// retryAfter is what a caller is told to wait when the error doesn't say.
const retryAfter = 5 * time.Second

// wireError is how an error looks to the caller.
type wireError struct {
	status int
	word   string
}

// wireErrors is the one table from our codes to RFC 6750 §3.1. Codes that no verifier
// returns are in it so that a surprise is refused as well.
var wireErrors = map[countersign.Code]wireError{
	countersign.Invalid:         {http.StatusBadRequest, "invalid_request"},
	countersign.BadHeader:       {http.StatusBadRequest, "invalid_request"},
	countersign.Unsupported:     {http.StatusBadRequest, "invalid_request"},
	countersign.TooLarge:        {http.StatusBadRequest, "invalid_request"},
	countersign.Unauthenticated: {http.StatusUnauthorized, unauthenticated},
	countersign.BadClient:       {http.StatusUnauthorized, "invalid_token"},
	countersign.BadSignature:    {http.StatusUnauthorized, "invalid_token"},
	countersign.BadToken:        {http.StatusUnauthorized, "invalid_token"},
	countersign.Expired:         {http.StatusUnauthorized, "invalid_token"},
	countersign.Skewed:          {http.StatusUnauthorized, "invalid_token"},
	countersign.BodyMismatch:    {http.StatusUnauthorized, "invalid_token"},
	countersign.NotFound:        {http.StatusUnauthorized, "invalid_token"},
	countersign.BadTarget:       {http.StatusUnauthorized, "invalid_token"},
	countersign.Denied:          {http.StatusForbidden, insufficientScope},
	countersign.BadScope:        {http.StatusForbidden, insufficientScope},
	countersign.Throttled:       {http.StatusTooManyRequests, "temporarily_unavailable"},
	countersign.Upstream:        {http.StatusServiceUnavailable, "temporarily_unavailable"},
	countersign.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable"},
	countersign.BadPolicy:       {http.StatusInternalServerError, "server_error"},
	countersign.Conflict:        {http.StatusInternalServerError, "server_error"},
	countersign.Precondition:    {http.StatusInternalServerError, "server_error"},
	countersign.Internal:        {http.StatusInternalServerError, "server_error"},
}

const (
	unauthenticated   = "unauthenticated" // in the body only: the challenge carries no error code
	insufficientScope = "insufficient_scope"
	serviceNotAllowed = "service_not_allowed"
	routeNotAllowed   = "route_not_allowed"
)

// wireOf returns how err looks to the caller.
func wireOf(err error) wireError {
	code := countersign.CodeOf(err)
	e, known := wireErrors[code]
	if !known {
		return wireErrors[countersign.Internal]
	}
	if code == countersign.Denied {
		switch countersign.ReasonOf(err) {
		case countersign.ReasonServiceNotAllowed, countersign.ReasonServiceRequired:
			e.word = serviceNotAllowed
		case countersign.ReasonRouteNotAllowed, countersign.ReasonRouteNotCanonical:
			e.word = routeNotAllowed
		}
	}
	return e
}

// body is what a refused caller reads.
type body struct {
	Error     string             `json:"error"`
	RequestID string             `json:"request_id"`
	Reason    countersign.Reason `json:"reason,omitempty"`
}

// writeError answers a refused request.
//
// Source: RFC 6750 §3.
func (s *settings) writeError(w http.ResponseWriter, d denial, id string) {
	wire := wireOf(d.err)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch wire.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if challenge := s.challengeFor(wire, d.scope); challenge != "" {
			h.Set("WWW-Authenticate", challenge)
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfterSeconds(d.err)))
	}
	answer := body{Error: wire.word, RequestID: id}
	if s.exposeReasons {
		answer.Reason = countersign.ReasonOf(d.err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		text = []byte(`{"error":"server_error"}`)
	}
	w.WriteHeader(wire.status)
	_, _ = w.Write(append(text, '\n')) // the caller may have left
}

// challengeFor returns the WWW-Authenticate header. Another token would not help a
// service that may not call, so it gets none.
func (s *settings) challengeFor(wire wireError, scope string) string {
	switch wire.word {
	case serviceNotAllowed, routeNotAllowed:
		return ""
	case unauthenticated:
		return s.challenge
	}
	challenge := s.challenge + `, error="` + wire.word + `"`
	if wire.word == insufficientScope && scope != "" {
		challenge += ", scope=" + quoted(scope)
	}
	return challenge
}

func retryAfterSeconds(err error) int {
	wait := retryAfter
	var e *countersign.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return int(math.Ceil(wait.Seconds()))
}
