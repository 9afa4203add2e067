package sts

import (
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/web"
)

// wireError is how a code looks on the wire.
type wireError struct {
	status int
	code   string
}

// wireErrors is the only place where a code becomes a status and AWS's word.
//
// Source: AWS STS API reference, Common Errors and the errors of each action.
var wireErrors = map[countersign.Code]wireError{
	countersign.Invalid:         {http.StatusBadRequest, "ValidationError"},
	countersign.BadHeader:       {http.StatusBadRequest, "IncompleteSignature"},
	countersign.Unsupported:     {http.StatusBadRequest, "InvalidAction"},
	countersign.Unauthenticated: {http.StatusForbidden, "MissingAuthenticationToken"},
	countersign.BadClient:       {http.StatusForbidden, "InvalidClientTokenId"},
	countersign.BadSignature:    {http.StatusForbidden, "SignatureDoesNotMatch"},
	countersign.BadToken:        {http.StatusBadRequest, "InvalidIdentityToken"},
	countersign.Expired:         {http.StatusBadRequest, "ExpiredTokenException"},
	countersign.Skewed:          {http.StatusForbidden, "SignatureDoesNotMatch"},
	countersign.BodyMismatch:    {http.StatusForbidden, "SignatureDoesNotMatch"},
	countersign.Denied:          {http.StatusForbidden, "AccessDenied"},
	countersign.BadScope:        {http.StatusForbidden, "AccessDenied"},
	countersign.BadTarget:       {http.StatusForbidden, "AccessDenied"},
	countersign.BadPolicy:       {http.StatusBadRequest, "MalformedPolicyDocument"},
	countersign.TooLarge:        {http.StatusBadRequest, "PackedPolicyTooLarge"},
	countersign.NotFound:        {http.StatusForbidden, "AccessDenied"},
	countersign.Conflict:        {http.StatusServiceUnavailable, "ServiceUnavailable"},
	countersign.Precondition:    {http.StatusBadRequest, "ValidationError"},
	countersign.Throttled:       {http.StatusTooManyRequests, "Throttling"},
	countersign.Upstream:        {http.StatusBadRequest, "IDPCommunicationError"},
	countersign.Unavailable:     {http.StatusServiceUnavailable, "ServiceUnavailable"},
	countersign.Internal:        {http.StatusInternalServerError, "InternalFailure"},
}

// refinement is a code with a reason.
type refinement struct {
	code   countersign.Code
	reason countersign.Reason
}

// refinedErrors refine the table where AWS has a word of its own.
var refinedErrors = map[refinement]wireError{
	{countersign.Invalid, countersign.ReasonParameterMissing}: {http.StatusBadRequest, "MissingParameter"},
	{countersign.TooLarge, countersign.ReasonBodyTooLarge}:    {http.StatusRequestEntityTooLarge, "ValidationError"},
	{countersign.Invalid, countersign.ReasonMethod}:           {http.StatusMethodNotAllowed, "InvalidAction"},
	// What its own issuer has taken back.
	{countersign.BadToken, countersign.ReasonTokenRevoked}: {http.StatusForbidden, "IDPRejectedClaim"},
	{countersign.Denied, countersign.ReasonRegionDisabled}: {http.StatusForbidden, "RegionDisabledException"},
	// AWS, asked about an AWS identity or for credentials, is no identity provider of the
	// caller's choice.
	{countersign.Upstream, countersign.ReasonUpstreamUnavailable}: {http.StatusServiceUnavailable, "ServiceUnavailable"},
	{countersign.Upstream, countersign.ReasonUpstreamReply}:       {http.StatusServiceUnavailable, "ServiceUnavailable"},
}

// signedWireErrors hold for requests that are signed with a session.
var signedWireErrors = map[countersign.Code]wireError{
	countersign.Expired:  {http.StatusForbidden, "ExpiredToken"},
	countersign.BadToken: {http.StatusForbidden, "InvalidClientTokenId"},
}

// What a caller is told where the cause is ours.
const (
	sayUnavailable = "This can't be answered now. Try again later."
	sayInternal    = "Something went wrong. The request id finds it in the log."
)

// wireErrorOf finds the row of an error; signed tells that the request proves itself by
// its signature.
func wireErrorOf(err error, signed bool) wireError {
	code, reason := countersign.CodeOf(err), countersign.ReasonOf(err)
	if signed {
		if wire, ok := signedWireErrors[code]; ok {
			return wire
		}
	}
	if wire, ok := refinedErrors[refinement{code, reason}]; ok {
		return wire
	}
	if wire, ok := wireErrors[code]; ok {
		return wire
	}
	return wireErrors[countersign.Internal]
}

// errorWriter renders errors as AWS does.
//
// Source: AWS STS API reference, Common Errors.
func (h *Handler) errorWriter(signed func(*http.Request) bool) web.ErrorWriter {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		wire := wireErrorOf(err, signed(r))
		message := countersign.MessageOf(err)
		fault := "Sender"
		switch wire.status {
		case http.StatusInternalServerError:
			message, fault = sayInternal, "Receiver"
		case http.StatusServiceUnavailable:
			message, fault = sayUnavailable, "Receiver"
			if w.Header().Get("Retry-After") == "" {
				web.SetRetryAfter(w.Header(), time.Second)
			}
		}
		if h.cfg.ExposeReasons {
			message += " (" + string(countersign.ReasonOf(err)) + ")"
		}
		body := errorBody{Namespace: namespace, RequestID: web.RequestID(r.Context())}
		body.Error.Type, body.Error.Code, body.Error.Message = fault, wire.code, message
		writeXML(w, wire.status, body)
	}
}
