package s3api

import (
	"net/http"

	"github.com/countersign/countersign"
)

// Error is a refusal in the words of S3, from an origin.
type Error struct {
	// Code is one of S3's: NoSuchKey.
	Code string
	// Message is safe for the client: it names no other bucket, key or host than the client
	// did.
	Message string
	// Header are headers that belong to the answer, such as x-amz-delete-marker; may be nil.
	Header http.Header
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns the class of the error, for the audit log and for whom S3's words mean
// nothing.
func (e *Error) Unwrap() error {
	if code, ok := classes[e.Code]; ok {
		return code
	}
	return countersign.Invalid
}

// The codes of S3 that an origin answers with.
//
// Source: Amazon S3 API reference, "Error responses", "List of error codes".
const (
	AccessDenied         = "AccessDenied"
	ACLNotSupported      = "AccessControlListNotSupported"
	BadDigest            = "BadDigest"
	BucketAlreadyExists  = "BucketAlreadyExists"
	EntityTooLarge       = "EntityTooLarge"
	EntityTooSmall       = "EntityTooSmall"
	IncompleteBody       = "IncompleteBody"
	InternalError        = "InternalError"
	InvalidArgument      = "InvalidArgument"
	InvalidDigest        = "InvalidDigest"
	InvalidObjectState   = "InvalidObjectState"
	InvalidPart          = "InvalidPart"
	InvalidPartNumber    = "InvalidPartNumber"
	InvalidPartOrder     = "InvalidPartOrder"
	InvalidRange         = "InvalidRange"
	InvalidRequest       = "InvalidRequest"
	InvalidStorageClass  = "InvalidStorageClass"
	InvalidTag           = "InvalidTag"
	KeyTooLong           = "KeyTooLongError"
	MalformedXML         = "MalformedXML"
	MetadataTooLarge     = "MetadataTooLarge"
	MethodNotAllowed     = "MethodNotAllowed"
	NoSuchBucket         = "NoSuchBucket"
	NoSuchKey            = "NoSuchKey"
	NoSuchUpload         = "NoSuchUpload"
	NoSuchVersion        = "NoSuchVersion"
	NoSuchObjectLock     = "NoSuchObjectLockConfiguration"
	NotImplemented       = "NotImplemented"
	PreconditionFailed   = "PreconditionFailed"
	ConditionalConflict  = "ConditionalRequestConflict"
	OperationAborted     = "OperationAborted"
	RequestTimeout       = "RequestTimeout"
	ServiceUnavailable   = "ServiceUnavailable"
	SlowDown             = "SlowDown"
	XAmzContentSHA256Bad = "XAmzContentSHA256Mismatch"
)

// classes are the codes that are not simply a bad request.
var classes = map[string]countersign.Code{
	AccessDenied: countersign.Denied, BadDigest: countersign.BodyMismatch, XAmzContentSHA256Bad: countersign.BodyMismatch,
	EntityTooLarge: countersign.TooLarge, MetadataTooLarge: countersign.TooLarge,
	InternalError: countersign.Upstream, ServiceUnavailable: countersign.Upstream, SlowDown: countersign.Throttled,
	NoSuchBucket: countersign.NotFound, NoSuchKey: countersign.NotFound, NoSuchUpload: countersign.NotFound,
	NoSuchVersion: countersign.NotFound, NoSuchObjectLock: countersign.NotFound, NotImplemented: countersign.Unsupported,
	MethodNotAllowed: countersign.Unsupported, PreconditionFailed: countersign.Precondition,
	ConditionalConflict: countersign.Conflict, OperationAborted: countersign.Conflict, BucketAlreadyExists: countersign.Conflict,
}
