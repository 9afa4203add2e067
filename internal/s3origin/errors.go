package s3origin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// maxErrorBytes bounds the document of an error.
const maxErrorBytes = 64 << 10

var (
	errCredentials = errors.New("the store does not take the origin's credentials")
	errSetup       = errors.New("the store does not serve the origin's bucket")
	errReply       = errors.New("the answer is none of S3")
	errRedirect    = errors.New("the store answered with a redirect")
	errFailed      = errors.New("the store failed")
)

// ours are the codes that are about the origin's own credentials.
//
// Source: Amazon S3 API reference, "Error responses", "List of error codes".
var ours = map[string]bool{
	"AccountProblem": true, "AuthorizationHeaderMalformed": true, "AuthorizationQueryParametersError": true, "ExpiredToken": true,
	"InvalidAccessKeyId": true, "InvalidClientTokenId": true, "InvalidPayer": true, "InvalidSecurity": true, "InvalidToken": true,
	"MissingSecurityHeader": true, "NotSignedUp": true, "RequestExpired": true, "RequestTimeTooSkewed": true,
	"SignatureDoesNotMatch": true, "TokenRefreshRequired": true, "UnauthorizedAccess": true, "UnrecognizedClientException": true,
	"CredentialsNotSupported": true, "ExpiredTokenException": true,
}

// setup are those that are about how the origin was configured.
var setup = map[string]bool{
	"AllAccessDisabled": true, "IllegalLocationConstraintException": true, "InvalidBucketName": true, s3api.NoSuchBucket: true,
	"PermanentRedirect": true, "Redirect": true, "TemporaryRedirect": true,
}

// messages are what a client is told: the store's own words may name its bucket.
var messages = map[string]string{
	s3api.AccessDenied: "the origin denies access", s3api.BadDigest: "the checksum did not match what was received",
	s3api.EntityTooLarge: "the object is too large", s3api.EntityTooSmall: "a part is too small",
	s3api.IncompleteBody: "the body is shorter than was said", s3api.InvalidPart: "a part was not found, or has another entity tag",
	s3api.InvalidPartOrder: "the parts are not in ascending order", s3api.InvalidRange: "the range is not satisfiable",
	s3api.NoSuchKey: "the key does not exist", s3api.NoSuchUpload: "the upload does not exist", s3api.NoSuchVersion: "the version does not exist",
	s3api.PreconditionFailed: "a condition does not hold", s3api.NotImplemented: "the origin does not implement this",
	s3api.SlowDown: "the origin asks to slow down", s3api.MethodNotAllowed: "the method is not allowed on this object",
	s3api.XAmzContentSHA256Bad: "the hash does not match what was received",
}

// document of an error.
type errorDocument struct {
	XMLName xml.Name
	Code    string `xml:"Code"`
	ID      string `xml:"RequestId"`
}

var codeForm = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9.]{0,63}\z`)

// refusal returns what an answer refuses; nil = it is a success, and its body is untouched.
// The body of a refusal is closed.
func (c *call) refusal(resp *http.Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	if resp.StatusCode == http.StatusNotModified && (c.op.method == http.MethodGet || c.op.method == http.MethodHead) {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	code := ""
	if c.op.method == http.MethodHead {
		code = c.codeOf(resp.StatusCode)
	} else {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes+1))
		if len(text) <= maxErrorBytes {
			code = codeIn(text)
		}
	}
	if err := refusalOf(code, resp.StatusCode, resp.Header); err != nil {
		return fmt.Errorf("origin answered %d (request %s): %w", resp.StatusCode, requestID(resp.Header), err)
	}
	return nil
}

// codeIn returns the code of a document; "" = it is none of S3.
func codeIn(text []byte) string {
	var document errorDocument
	if xml.Unmarshal(text, &document) != nil || document.XMLName.Local != "Error" || !codeForm.MatchString(document.Code) {
		return ""
	}
	return document.Code
}

// codeOf is the code that an answer to HEAD has no place for.
func (c *call) codeOf(status int) string {
	switch status {
	case http.StatusNotFound:
		if !c.op.ofKey {
			return s3api.NoSuchBucket
		}
		return s3api.NoSuchKey
	case http.StatusForbidden:
		return s3api.AccessDenied
	case http.StatusPreconditionFailed:
		return s3api.PreconditionFailed
	case http.StatusRequestedRangeNotSatisfiable:
		return s3api.InvalidRange
	case http.StatusMethodNotAllowed:
		return s3api.MethodNotAllowed
	case http.StatusBadRequest:
		return s3api.InvalidRequest
	}
	return ""
}

// refusalOf gives a code of the store its meaning for the client. status is 200 where the
// store began its answer before it failed.
func refusalOf(code string, status int, header http.Header) error {
	upstream := func(cause error) error {
		if code != "" {
			cause = fmt.Errorf("%w: %s", cause, code)
		}
		return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, "the origin does not answer as it should", cause)
	}
	switch {
	case ours[code]:
		return upstream(errCredentials)
	case setup[code]:
		return upstream(errSetup)
	case status >= 300 && status < 400:
		return upstream(errRedirect)
	case code == s3api.SlowDown || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return &s3api.Error{Code: s3api.SlowDown, Message: messages[s3api.SlowDown]}
	case code == s3api.NotImplemented:
	case status >= 500, code == s3api.InternalError, code == s3api.ServiceUnavailable:
		return upstream(errFailed)
	case code == "":
		return upstream(errReply)
	}
	message := messages[code]
	if message == "" {
		message = "the origin refused the request"
	}
	return &s3api.Error{Code: code, Message: message, Header: errorHeader(header)}
}

// errorHeaders belong to a refusal.
var errorHeaders = []string{"Content-Range", "X-Amz-Delete-Marker", "X-Amz-Version-Id", "Last-Modified", "Etag", "Allow"}

func errorHeader(from http.Header) http.Header {
	var header http.Header
	for _, name := range errorHeaders {
		if values := from[name]; len(values) == 1 {
			if header == nil {
				header = make(http.Header)
			}
			header[name] = values
		}
	}
	return header
}

// requestID is what the store's operators find the request by.
func requestID(header http.Header) string {
	id := header.Get("X-Amz-Request-Id")
	if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "unknown"
	}
	return id
}
