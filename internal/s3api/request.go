package s3api

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// Request is one authorised operation on one bucket of an origin.
type Request struct {
	Operation Operation
	// Method is that of the client, GET where it was HEAD for a GET only.
	Method string
	// Key is the object's, decoded: the bytes that were authorised; "" where the operation
	// is about the bucket.
	Key string
	// Query are the parameters that the operation takes, by their own spelling and once
	// each: partNumber, uploadId, versionId, prefix, list-type, … The parameters that name
	// the operation (uploads, tagging, …) are there with an empty value. No parameter of
	// authentication is among them.
	Query url.Values
	// Header are the headers that the operation takes (RULES F1); none of authentication,
	// none of one hop, no x-amz-copy-source, no x-amz-content-sha256.
	Header http.Header
	// Source is what CopyObject and UploadPartCopy read.
	Source *Source

	// Body is nil where there is none. It yields decoded bytes (without chunk framing) that
	// may be passed on as they come: when the client's body turns out not to be what was
	// signed, Read fails before the last byte, and an origin must not commit then.
	// The origin does not close it.
	Body io.Reader
	// ContentLength is how many bytes Body yields.
	ContentLength int64
	// PayloadHash is the SHA-256 of the body in hex, where the client signed one; "" else.
	PayloadHash string
	// Trailer names the checksum (x-amz-checksum-crc32, …) that the client sends behind the
	// body; "" = none. TrailerValue returns its value once Body has ended with io.EOF.
	Trailer      string
	TrailerValue func() string
}

// Source is an object that is read by a copy. It was authorised too.
type Source struct {
	// Origin and Bucket are where it lies; an origin that can't copy from there answers
	// NotImplemented. Bucket is the name at the gateway.
	Origin Origin
	Bucket string
	Key    string
	// VersionID is "" for the current one.
	VersionID string
}

// Response is the answer to a Request: a success, or 304.
type Response struct {
	Status int
	// Header as S3 sends it. The gateway passes on what it knows, and nothing of one hop.
	Header http.Header
	// Body is nil where there is none; who gets the Response closes it. A Read that fails is
	// a broken answer, and the gateway then breaks its own.
	Body io.ReadCloser
	// ContentLength of Body; -1 = not known. For HeadObject it is that of the object.
	ContentLength int64
}

// Origin keeps objects. Safe for concurrent use.
type Origin interface {
	// Do carries out a request. ctx ends when the client goes away; what is under way
	// then ends too, and nothing is committed.
	//
	// Errors: *Error for what S3 has a code for; countersign.Upstream (the origin can't be
	// reached, or answered what is none), countersign.Unavailable, and whatever Body.Read
	// returned, in the chain.
	Do(ctx context.Context, r *Request) (*Response, error)
}
