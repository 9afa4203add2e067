package awscreds

import (
	"net/http"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
)

// maxMessage bounds what is taken in of the STS's own words, in bytes.
const maxMessage = 512

// Error is a refusal by the STS, in its own words and in ours: errors.As finds a
// *countersign.Error in it, errors.Is a [countersign.Code], and it satisfies smithy's
// APIError. It holds no secret: words of the STS that repeat what was sent are left out.
type Error struct {
	// StatusCode is the HTTP status of the STS's answer.
	StatusCode int
	// RequestID is the STS's id of the request; "" = it gave none.
	RequestID string

	code    string
	message string
	cause   countersign.Error
}

var _ smithy.APIError = (*Error)(nil)

// Error implements error.
func (e *Error) Error() string {
	text := "the sts refused: " + e.code
	if e.message != "" {
		text += ": " + e.message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// ErrorCode implements smithy.APIError: AccessDenied, InvalidIdentityToken, …
func (e *Error) ErrorCode() string { return e.code }

// ErrorMessage implements smithy.APIError; "" = none that may be repeated.
func (e *Error) ErrorMessage() string { return e.message }

// ErrorFault implements smithy.APIError.
func (e *Error) ErrorFault() smithy.ErrorFault {
	if e.StatusCode >= http.StatusInternalServerError {
		return smithy.FaultServer
	}
	return smithy.FaultClient
}

// Unwrap makes errors.As find the *countersign.Error.
func (e *Error) Unwrap() error { return &e.cause }

// refusal is what an error code of an STS means here.
type refusal struct {
	code   countersign.Code
	reason countersign.Reason
}

// refusals are the codes of the STS model, and those that every AWS query API has.
//
// Source: AWS STS API reference, AssumeRoleWithWebIdentity "Errors" and "Common Errors".
var refusals = map[string]refusal{
	"AccessDenied":                {countersign.Denied, ""},
	"AccessDeniedException":       {countersign.Denied, ""},
	"IDPRejectedClaim":            {countersign.Denied, ""},
	"RegionDisabledException":     {countersign.Denied, ""},
	"OptInRequired":               {countersign.Denied, ""},
	"InvalidIdentityToken":        {countersign.BadToken, ""},
	"ExpiredTokenException":       {countersign.Expired, countersign.ReasonTokenExpired},
	"ExpiredToken":                {countersign.Expired, countersign.ReasonTokenExpired},
	"RequestExpired":              {countersign.Expired, ""},
	"IDPCommunicationError":       {countersign.Upstream, ""},
	"MalformedPolicyDocument":     {countersign.BadPolicy, ""},
	"PackedPolicyTooLarge":        {countersign.TooLarge, ""},
	"InvalidAction":               {countersign.Unsupported, ""},
	"ValidationError":             {countersign.Invalid, countersign.ReasonParameterInvalid},
	"InvalidParameterValue":       {countersign.Invalid, countersign.ReasonParameterInvalid},
	"InvalidParameterCombination": {countersign.Invalid, countersign.ReasonParameterInvalid},
	"InvalidQueryParameter":       {countersign.Invalid, countersign.ReasonParameterInvalid},
	"MalformedQueryString":        {countersign.Invalid, countersign.ReasonParameterInvalid},
	"MissingParameter":            {countersign.Invalid, ""},
	"MissingAction":               {countersign.Invalid, ""},
	"IncompleteSignature":         {countersign.BadHeader, ""},
	"MissingAuthenticationToken":  {countersign.Unauthenticated, ""},
	"InvalidClientTokenId":        {countersign.BadClient, ""},
	"UnrecognizedClientException": {countersign.BadClient, ""},
	"SignatureDoesNotMatch":       {countersign.BadSignature, ""},
	"Throttling":                  {countersign.Throttled, countersign.ReasonRateLimited},
	"ThrottlingException":         {countersign.Throttled, countersign.ReasonRateLimited},
	"RequestLimitExceeded":        {countersign.Throttled, countersign.ReasonRateLimited},
	"TooManyRequestsException":    {countersign.Throttled, countersign.ReasonRateLimited},
	"ServiceUnavailable":          {countersign.Unavailable, ""},
	"InternalFailure":             {countersign.Unavailable, ""},
	"InternalError":               {countersign.Unavailable, ""},
}

// meaning classes an answer that is no success. A known code goes before the status,
// except that nothing which a server says of itself (5xx, 429) is taken for a refusal.
func meaning(status int, code string) refusal {
	known, ok := refusals[code]
	switch {
	case status == http.StatusTooManyRequests:
		return refusal{countersign.Throttled, countersign.ReasonRateLimited}
	case ok && (status < 500 || isOutage(known.code)):
		return known
	case status >= 500:
		return refusal{countersign.Unavailable, ""}
	case status == http.StatusUnauthorized:
		return refusal{countersign.BadClient, ""}
	case status == http.StatusForbidden:
		return refusal{countersign.Denied, ""}
	case status == http.StatusBadRequest:
		return refusal{countersign.Invalid, ""}
	}
	return refusal{countersign.Upstream, ""} // a redirect, a wrong URL, a proxy's page
}

// repeats is the length of a piece of a secret that nobody writes by chance.
const repeats = 12

// safeText returns text for an error message: printable, short, and "" if it repeats a
// piece of what was sent in confidence.
func safeText(text string, sent []countersign.Secret) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		return ""
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return ""
		}
	}
	for _, secret := range sent {
		value := secret.Reveal()
		if value != "" && len(value) < repeats && strings.Contains(text, value) {
			return ""
		}
		for i := 0; i+repeats <= len(text); i++ {
			if strings.Contains(value, text[i:i+repeats]) {
				return ""
			}
		}
	}
	return text
}
