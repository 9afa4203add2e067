package s3origin

import (
	"net/http"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// bodyRule says what a request may carry.
type bodyRule uint8

const (
	noBody bodyRule = iota
	// object: the bytes of an object or of a part, streamed.
	objectBody
	// document: XML, held in memory.
	documentBody
	// the same, or none.
	optionalDocument
)

// operation is what the store is asked for.
type operation struct {
	method string
	// selectors are the parameters that make it this operation; all of them are there.
	selectors []string
	body      bodyRule
	// ofKey: it is about an object.
	ofKey bool
	// copies: it has a source.
	copies bool
	// answer is how its answer is rewritten; nil = it names nothing, and is passed on.
	answer *answerForm
	// slow: the store may work on it for minutes before it answers.
	slow bool
	// silent: its answer has nothing but a header.
	silent bool
}

// operations is the table of what an origin serves.
//
// Source: Amazon S3 API reference, "Actions".
var operations = map[s3api.Operation]operation{
	s3api.HeadBucket:           {method: http.MethodHead, silent: true},
	s3api.GetBucketLocation:    {method: http.MethodGet, selectors: []string{"location"}},
	s3api.ListObjects:          {method: http.MethodGet, answer: &listObjects},
	s3api.ListObjectsV2:        {method: http.MethodGet, selectors: []string{"list-type"}, answer: &listObjects},
	s3api.ListObjectVersions:   {method: http.MethodGet, selectors: []string{"versions"}, answer: &listVersions},
	s3api.ListMultipartUploads: {method: http.MethodGet, selectors: []string{"uploads"}, answer: &listUploads},
	s3api.DeleteObjects:        {method: http.MethodPost, selectors: []string{"delete"}, body: documentBody, answer: &deleteResult},

	s3api.GetObject:           {method: http.MethodGet, ofKey: true},
	s3api.HeadObject:          {method: http.MethodHead, ofKey: true, silent: true},
	s3api.GetObjectAttributes: {method: http.MethodGet, selectors: []string{"attributes"}, ofKey: true},
	s3api.PutObject:           {method: http.MethodPut, body: objectBody, ofKey: true, silent: true},
	s3api.CopyObject:          {method: http.MethodPut, ofKey: true, copies: true, answer: &copyResult, slow: true},
	s3api.DeleteObject:        {method: http.MethodDelete, ofKey: true, silent: true},

	s3api.GetObjectTagging:    {method: http.MethodGet, selectors: []string{"tagging"}, ofKey: true},
	s3api.PutObjectTagging:    {method: http.MethodPut, selectors: []string{"tagging"}, body: documentBody, ofKey: true, silent: true},
	s3api.DeleteObjectTagging: {method: http.MethodDelete, selectors: []string{"tagging"}, ofKey: true, silent: true},
	s3api.GetObjectACL:        {method: http.MethodGet, selectors: []string{"acl"}, ofKey: true},
	s3api.PutObjectACL:        {method: http.MethodPut, selectors: []string{"acl"}, body: optionalDocument, ofKey: true, silent: true},
	s3api.GetObjectRetention:  {method: http.MethodGet, selectors: []string{"retention"}, ofKey: true},
	s3api.PutObjectRetention:  {method: http.MethodPut, selectors: []string{"retention"}, body: documentBody, ofKey: true, silent: true},
	s3api.GetObjectLegalHold:  {method: http.MethodGet, selectors: []string{"legal-hold"}, ofKey: true},
	s3api.PutObjectLegalHold:  {method: http.MethodPut, selectors: []string{"legal-hold"}, body: documentBody, ofKey: true, silent: true},

	s3api.CreateMultipartUpload:   {method: http.MethodPost, selectors: []string{"uploads"}, ofKey: true, answer: &createResult},
	s3api.UploadPart:              {method: http.MethodPut, selectors: []string{"partNumber", "uploadId"}, body: objectBody, ofKey: true, silent: true},
	s3api.UploadPartCopy:          {method: http.MethodPut, selectors: []string{"partNumber", "uploadId"}, ofKey: true, copies: true, answer: &copyPartResult, slow: true},
	s3api.ListParts:               {method: http.MethodGet, selectors: []string{"uploadId"}, ofKey: true, answer: &listParts},
	s3api.CompleteMultipartUpload: {method: http.MethodPost, selectors: []string{"uploadId"}, body: documentBody, ofKey: true, answer: &completeResult, slow: true},
	s3api.AbortMultipartUpload:    {method: http.MethodDelete, selectors: []string{"uploadId"}, ofKey: true, silent: true},
}

// ids are the parameters that some stores make a part of a path.
var ids = map[string]bool{"uploadId": true, "versionId": true}

// find returns the row of a request, once it is one that fits it. What does not fit is an
// error of ours: the gateway decided about something else than what would be done.
func find(r *s3api.Request) (operation, error) {
	op, known := operations[r.Operation]
	if !known {
		return op, &s3api.Error{Code: s3api.NotImplemented, Message: "the operation is not implemented"}
	}
	fits := (r.Method == op.method || op.method == http.MethodHead && r.Method == http.MethodGet) &&
		op.ofKey == (r.Key != "") && op.copies == (r.Source != nil) && (op.body != noBody || r.ContentLength <= 0)
	for _, name := range op.selectors {
		fits = fits && r.Query.Has(name)
	}
	for name, values := range r.Query {
		fits = fits && (!s3api.IsSubresource(name) || slices.Contains(op.selectors, name))
		fits = fits && len(values) == 1 && (!ids[name] || s3api.ValidID(values[0]))
	}
	fits = fits && (r.Source == nil || r.Source.VersionID == "" || s3api.ValidID(r.Source.VersionID))
	if !fits {
		return op, countersign.NewError(countersign.Internal, "", "the request is not the one that its operation says")
	}
	return op, nil
}
