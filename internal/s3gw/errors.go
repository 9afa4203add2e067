package s3gw

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/web"
)

// wireError is how a code looks on the wire.
type wireError struct {
	status int
	code   string
}

// wireErrors is the only place where a code becomes a status and S3's word.
//
// Source: Amazon S3 API reference, "Error responses".
var wireErrors = map[countersign.Code]wireError{
	countersign.Invalid:         {http.StatusBadRequest, s3api.InvalidRequest},
	countersign.BadHeader:       {http.StatusBadRequest, "AuthorizationHeaderMalformed"},
	countersign.Unsupported:     {http.StatusNotImplemented, s3api.NotImplemented},
	countersign.Unauthenticated: {http.StatusForbidden, s3api.AccessDenied},
	countersign.BadClient:       {http.StatusForbidden, "InvalidAccessKeyId"},
	countersign.BadSignature:    {http.StatusForbidden, "SignatureDoesNotMatch"},
	countersign.BadToken:        {http.StatusBadRequest, "InvalidToken"},
	countersign.Expired:         {http.StatusBadRequest, "ExpiredToken"},
	countersign.Skewed:          {http.StatusForbidden, "RequestTimeTooSkewed"},
	countersign.BodyMismatch:    {http.StatusBadRequest, s3api.XAmzContentSHA256Bad},
	countersign.Denied:          {http.StatusForbidden, s3api.AccessDenied},
	countersign.BadScope:        {http.StatusForbidden, s3api.AccessDenied},
	countersign.BadTarget:       {http.StatusForbidden, s3api.AccessDenied},
	countersign.BadPolicy:       {http.StatusForbidden, s3api.AccessDenied},
	countersign.TooLarge:        {http.StatusBadRequest, s3api.EntityTooLarge},
	countersign.NotFound:        {http.StatusForbidden, s3api.AccessDenied}, // what may be told of has a code of S3
	countersign.Conflict:        {http.StatusConflict, s3api.OperationAborted},
	countersign.Precondition:    {http.StatusPreconditionFailed, s3api.PreconditionFailed},
	countersign.Throttled:       {http.StatusServiceUnavailable, s3api.SlowDown},
	countersign.Upstream:        {http.StatusServiceUnavailable, s3api.ServiceUnavailable},
	countersign.Unavailable:     {http.StatusServiceUnavailable, s3api.ServiceUnavailable},
	countersign.Internal:        {http.StatusInternalServerError, s3api.InternalError},
}

// refinedErrors refine the table where S3 has a word of its own.
var refinedErrors = map[countersign.Reason]wireError{
	countersign.ReasonChecksumMismatch: {http.StatusBadRequest, s3api.BadDigest},
	countersign.ReasonBodyInvalid:      {http.StatusBadRequest, s3api.IncompleteBody},
}

// statuses are those of S3's codes that are not 400.
//
// Source: Amazon S3 API reference, "Error responses", "List of error codes".
var statuses = map[string]int{
	s3api.AccessDenied: http.StatusForbidden, s3api.InvalidObjectState: http.StatusForbidden, "AccessForbidden": http.StatusForbidden,
	s3api.NoSuchBucket: http.StatusNotFound, s3api.NoSuchKey: http.StatusNotFound, s3api.NoSuchUpload: http.StatusNotFound,
	s3api.NoSuchVersion: http.StatusNotFound, s3api.NoSuchObjectLock: http.StatusNotFound,
	s3api.MethodNotAllowed: http.StatusMethodNotAllowed, "MissingContentLength": http.StatusLengthRequired,
	s3api.BucketAlreadyExists: http.StatusConflict, s3api.OperationAborted: http.StatusConflict, s3api.ConditionalConflict: http.StatusConflict,
	s3api.PreconditionFailed: http.StatusPreconditionFailed, s3api.InvalidRange: http.StatusRequestedRangeNotSatisfiable,
	s3api.InvalidPartNumber: http.StatusRequestedRangeNotSatisfiable,
	s3api.InternalError:     http.StatusInternalServerError, s3api.NotImplemented: http.StatusNotImplemented,
	s3api.ServiceUnavailable: http.StatusServiceUnavailable, s3api.SlowDown: http.StatusServiceUnavailable,
}

// refuse makes a refusal in the words of S3, with a reason for the audit log.
func refuse(code string, reason countersign.Reason, message string) error {
	e := &s3api.Error{Code: code, Message: message}
	return countersign.WrapError(countersign.CodeOf(e), reason, message, e)
}

// authError is a failed proof of who asks. Whatever is wrong with it, the answer is 403:
// what is anything else could be mistaken for a request without a signature (RULES F2).
type authError struct {
	cause     error
	presigned bool
}

func (e *authError) Error() string { return "authenticate: " + e.cause.Error() }

func (e *authError) Unwrap() error { return e.cause }

// wireErrorOf finds the row of an error.
func wireErrorOf(err error) wireError {
	code := countersign.CodeOf(err)
	if refused, ok := errors.AsType[*s3api.Error](err); ok {
		if status, ok := statuses[refused.Code]; ok {
			return wireError{status, refused.Code}
		}
		return wireError{http.StatusBadRequest, refused.Code}
	}
	wire, ok := wireErrors[code]
	if !ok {
		wire = wireErrors[countersign.Internal]
	}
	if auth, ok := errors.AsType[*authError](err); ok && wire.status < http.StatusInternalServerError {
		if auth.presigned && code == countersign.Expired || code == countersign.BodyMismatch {
			wire.code = s3api.AccessDenied // as S3 says of a link that has expired
		}
		return wireError{http.StatusForbidden, wire.code}
	}
	if refined, ok := refinedErrors[countersign.ReasonOf(err)]; ok && wire.status == http.StatusBadRequest {
		return refined
	}
	return wire
}

// What a caller is told where the cause is ours.
const (
	sayUnavailable = "This can't be answered now. Please try again."
	sayInternal    = "We encountered an internal error. The request id finds it in the log."
	saySlowDown    = "Please reduce your request rate."
	sayDenied      = "Access Denied"
	sayNoBucket    = "The specified bucket does not exist"
)

// errorBody is the document of an error.
//
// Source: Amazon S3 API reference, "Error responses", "REST error responses".
type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

// writeError renders an error as S3 does. The answer to HEAD has no body: its status is all
// that it says.
func (g *Gateway) writeError(w http.ResponseWriter, r *http.Request, err error) {
	wire := wireErrorOf(err)
	message := countersign.MessageOf(err)
	header := w.Header()
	if refused, ok := errors.AsType[*s3api.Error](err); ok {
		message = refused.Message
		passAnswer(header, refused.Header)
		delete(header, "Content-Type")
	}
	switch {
	case wire.code == s3api.SlowDown:
		message = saySlowDown
	case wire.status == http.StatusServiceUnavailable:
		message = sayUnavailable
	case wire.code == s3api.InternalError:
		message = sayInternal
	}
	if wire.status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		web.SetRetryAfter(header, time.Second)
	}
	if g.cfg.ExposeReasons {
		message += " (" + string(countersign.ReasonOf(err)) + ")"
	}
	id := web.RequestID(r.Context())
	g.writeXML(w, wire.status, &errorBody{
		Code: wire.code, Message: message, Resource: cut(r.URL.Path, s3api.MaxKeyBytes), RequestID: id, HostID: hostID,
	})
}

// Refuse answers for the listener, before the gateway was asked: it is for web.Config.
func (g *Gateway) Refuse(w http.ResponseWriter, r *http.Request, status int, word string) {
	code := countersign.Unavailable
	switch status {
	case http.StatusTooManyRequests:
		code = countersign.Throttled
	case http.StatusInternalServerError:
		code = countersign.Internal
	}
	header := w.Header()
	header["X-Amz-Request-Id"] = []string{web.RequestID(r.Context())}
	header["X-Amz-Id-2"] = []string{hostID}
	g.writeError(w, r, countersign.NewError(code, countersign.Reason(word), ""))
}

// hostID is what x-amz-id-2 says: nothing that would tell servers apart.
const hostID = "countersign"

func cut(text string, most int) string { return text[:min(len(text), most)] }

// writeXML writes a document of our own.
func (g *Gateway) writeXML(w http.ResponseWriter, status int, body any) {
	text, err := xml.Marshal(body)
	if err != nil {
		panic("s3gw: an answer can't be encoded: " + err.Error()) // ours alone: web answers 500
	}
	text = append([]byte(xml.Header), text...)
	header := w.Header()
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	g.mayWrite(w)
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the client has gone
}
