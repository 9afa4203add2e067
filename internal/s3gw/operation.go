package s3gw

import (
	"net/http"

	"github.com/countersign/countersign/internal/s3api"
)

// shape is what the path of a request is about.
type shape uint8

const (
	service shape = iota // all buckets
	bucket
	object
)

// payload is what an operation takes as a body.
type payload uint8

const (
	// noBody: one is refused, if only a byte of it.
	noBody payload = iota
	// document is XML of a bounded size. It is read, checked and only then passed on.
	document
	// optionalDocument may be missing too.
	optionalDocument
	// stream is an object or a part: it is never held.
	stream
)

// The bounds of bodies.
//
// Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits": 5 GiB for a single
// upload and for a part, 10,000 parts. Amazon S3 API reference, DeleteObjects: 1,000 keys.
const (
	maxObjectBytes   = 5 << 30
	maxCompleteBytes = 4 << 20
	maxDeleteBytes   = 2 << 20
	maxDocumentBytes = 64 << 10
	maxDeleteKeys    = 1000
)

// operation is one row of the table: how a request is recognised, what it needs, and what
// of it is passed on.
type operation struct {
	name s3api.Operation

	// method, shape, selector and copies recognise it. The selector is the one
	// subresource that the query has; "" = none. copies: the header x-amz-copy-source is there.
	method   string
	shape    shape
	selector string
	copies   bool

	// action is what the role must allow, versionAction instead where a versionId is given.
	// "" = there is none: seeing the bucket is enough (ListBuckets, HeadBucket).
	action, versionAction string
	// anonymous: in a bucket that is open to anybody it needs no signature (RULES F2).
	anonymous bool

	// query are the parameters that it takes beside its selector; headers those headers that
	// it takes beside those of every request. required parameters must be there.
	query, required []string
	headers         []headerGroup

	body payload
	// limit bounds the body; root is the element that a document is.
	limit int64
	root  string

	// takes and parameters are headers and query by name, made once.
	takes      map[string]*headerGroup
	parameters map[string]bool
}

// writes reports whether it is no mere read.
func (o *operation) writes() bool { return o.method != http.MethodGet && o.method != http.MethodHead }

func init() {
	for i := range operations {
		o := &operations[i]
		o.takes = make(map[string]*headerGroup)
		for k := range o.headers {
			for _, name := range o.headers[k].names {
				o.takes[name] = &o.headers[k]
			}
		}
		if o.parameters = setOf(o.query...); o.selector != "" {
			o.parameters[o.selector] = true
		}
	}
}

// operations is the table.
//
// Source: Amazon S3 API reference, "Actions"; Service Authorization Reference, "Actions,
// resources, and condition keys for Amazon S3".
var operations = []operation{
	{
		name: s3api.ListBuckets, method: http.MethodGet, shape: service,
		query: []string{"prefix", "max-buckets", "continuation-token"},
	},

	// Of a bucket.
	{name: s3api.HeadBucket, method: http.MethodHead, shape: bucket},
	{name: s3api.GetBucketLocation, method: http.MethodGet, shape: bucket, selector: "location", action: "get_bucket_location"},
	{
		name: s3api.ListObjects, method: http.MethodGet, shape: bucket, action: "list_bucket",
		query:   []string{"prefix", "delimiter", "marker", "max-keys", "encoding-type"},
		headers: groups(payerHeaders, listHeaders),
	},
	{
		name: s3api.ListObjectsV2, method: http.MethodGet, shape: bucket, selector: "list-type", action: "list_bucket",
		query:   []string{"prefix", "delimiter", "continuation-token", "start-after", "fetch-owner", "max-keys", "encoding-type"},
		headers: groups(payerHeaders, listHeaders),
	},
	{
		name: s3api.ListObjectVersions, method: http.MethodGet, shape: bucket, selector: "versions", action: "list_bucket_versions",
		query:   []string{"prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"},
		headers: groups(payerHeaders, listHeaders),
	},
	{
		name: s3api.ListMultipartUploads, method: http.MethodGet, shape: bucket, selector: "uploads", action: "list_bucket_multipart_uploads",
		query:   []string{"prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"},
		headers: groups(payerHeaders),
	},
	{
		name: s3api.DeleteObjects, method: http.MethodPost, shape: bucket, selector: "delete",
		action: "delete_object", versionAction: "delete_object_version", // for each key of the document
		headers: groups(payerHeaders, governanceHeaders, documentChecksumHeaders),
		body:    document, limit: maxDeleteBytes, root: "Delete",
	},

	// Of an object.
	{
		name: s3api.GetObject, method: http.MethodGet, shape: object, action: "get_object", versionAction: "get_object_version", anonymous: true,
		query: readParameters, headers: groups(readHeaders, customerKeyHeaders, payerHeaders),
	},
	{
		name: s3api.HeadObject, method: http.MethodHead, shape: object, action: "head_object", versionAction: "get_object_version", anonymous: true,
		query: readParameters, headers: groups(readHeaders, customerKeyHeaders, payerHeaders),
	},
	{
		name: s3api.GetObjectAttributes, method: http.MethodGet, shape: object, selector: "attributes", action: "get_object", versionAction: "get_object_version",
		query: []string{"versionId"}, headers: groups(attributeHeaders, customerKeyHeaders, payerHeaders),
	},
	{
		name: s3api.PutObject, method: http.MethodPut, shape: object, action: "put_object",
		headers: groups(contentHeaders, metadataHeaders, conditionalWriteHeaders, matchHeaders, checksumHeaders, encryptionHeaders, customerKeyHeaders,
			aclHeaders, taggingHeaders, lockHeaders, holdHeaders, websiteHeaders, payerHeaders),
		body: stream, limit: maxObjectBytes,
	},
	{
		name: s3api.CopyObject, method: http.MethodPut, shape: object, copies: true, action: "put_object",
		headers: groups(contentHeaders, metadataHeaders, conditionalWriteHeaders, matchHeaders, copyHeaders, directiveHeaders, copyChecksumHeaders, encryptionHeaders,
			customerKeyHeaders, copyCustomerKeyHeaders, aclHeaders, taggingHeaders, lockHeaders, holdHeaders, websiteHeaders, payerHeaders),
	},
	{
		name: s3api.DeleteObject, method: http.MethodDelete, shape: object, action: "delete_object", versionAction: "delete_object_version",
		query: []string{"versionId"}, headers: groups(matchHeaders, governanceHeaders, payerHeaders),
	},
	{
		name: s3api.GetObjectTagging, method: http.MethodGet, shape: object, selector: "tagging", action: "get_object_tagging", versionAction: "get_object_version_tagging",
		query: []string{"versionId"}, headers: groups(payerHeaders),
	},
	{
		name: s3api.PutObjectTagging, method: http.MethodPut, shape: object, selector: "tagging", action: "put_object_tagging", versionAction: "put_object_version_tagging",
		query: []string{"versionId"}, headers: groups(documentChecksumHeaders, payerHeaders),
		body: document, limit: maxDocumentBytes, root: "Tagging",
	},
	{
		name: s3api.DeleteObjectTagging, method: http.MethodDelete, shape: object, selector: "tagging", action: "delete_object_tagging", versionAction: "delete_object_version_tagging",
		query: []string{"versionId"},
	},
	{
		name: s3api.GetObjectACL, method: http.MethodGet, shape: object, selector: "acl", action: "get_object_acl", versionAction: "get_object_version_acl",
		query: []string{"versionId"}, headers: groups(payerHeaders),
	},
	{
		name: s3api.PutObjectACL, method: http.MethodPut, shape: object, selector: "acl", action: "put_object_acl", versionAction: "put_object_version_acl",
		query: []string{"versionId"}, headers: groups(documentChecksumHeaders, aclHeaders, payerHeaders),
		body: optionalDocument, limit: maxDocumentBytes, root: "AccessControlPolicy",
	},
	{
		name: s3api.GetObjectRetention, method: http.MethodGet, shape: object, selector: "retention", action: "get_object_retention",
		query: []string{"versionId"}, headers: groups(payerHeaders),
	},
	{
		name: s3api.PutObjectRetention, method: http.MethodPut, shape: object, selector: "retention", action: "put_object_retention",
		query: []string{"versionId"}, headers: groups(documentChecksumHeaders, governanceHeaders, payerHeaders),
		body: document, limit: maxDocumentBytes, root: "Retention",
	},
	{
		name: s3api.GetObjectLegalHold, method: http.MethodGet, shape: object, selector: "legal-hold", action: "get_object_legal_hold",
		query: []string{"versionId"}, headers: groups(payerHeaders),
	},
	{
		name: s3api.PutObjectLegalHold, method: http.MethodPut, shape: object, selector: "legal-hold", action: "put_object_legal_hold",
		query: []string{"versionId"}, headers: groups(documentChecksumHeaders, payerHeaders),
		body: document, limit: maxDocumentBytes, root: "LegalHold",
	},

	// Of an upload in parts.
	{
		name: s3api.CreateMultipartUpload, method: http.MethodPost, shape: object, selector: "uploads", action: "create_multipart_upload",
		headers: groups(contentHeaders, metadataHeaders, copyChecksumHeaders, encryptionHeaders, customerKeyHeaders,
			aclHeaders, taggingHeaders, lockHeaders, holdHeaders, websiteHeaders, payerHeaders),
	},
	{
		name: s3api.UploadPart, method: http.MethodPut, shape: object, selector: "uploadId", action: "upload_part",
		query: []string{"partNumber"}, required: []string{"partNumber"},
		headers: groups(checksumHeaders, customerKeyHeaders, payerHeaders),
		body:    stream, limit: maxObjectBytes,
	},
	{
		name: s3api.UploadPartCopy, method: http.MethodPut, shape: object, selector: "uploadId", copies: true, action: "upload_part",
		query: []string{"partNumber"}, required: []string{"partNumber"},
		headers: groups(copyHeaders, copyRangeHeaders, customerKeyHeaders, copyCustomerKeyHeaders, payerHeaders),
	},
	{
		name: s3api.ListParts, method: http.MethodGet, shape: object, selector: "uploadId", action: "list_multipart_upload_parts",
		query: []string{"max-parts", "part-number-marker", "encoding-type"}, headers: groups(customerKeyHeaders, payerHeaders),
	},
	{
		name: s3api.CompleteMultipartUpload, method: http.MethodPost, shape: object, selector: "uploadId", action: "complete_multipart_upload",
		headers: groups(conditionalWriteHeaders, matchHeaders, checksumHeaders, completeHeaders, customerKeyHeaders, payerHeaders),
		body:    document, limit: maxCompleteBytes, root: "CompleteMultipartUpload",
	},
	{
		name: s3api.AbortMultipartUpload, method: http.MethodDelete, shape: object, selector: "uploadId", action: "abort_multipart_upload",
		headers: groups(payerHeaders),
	},
}

// readParameters are those of GetObject and HeadObject.
var readParameters = []string{
	"versionId", "partNumber",
	"response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires",
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
