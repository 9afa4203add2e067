package s3api

// Operation is an operation of S3 by the name that its API reference gives it.
type Operation string

// The operations that the gateway serves. ListBuckets is answered by the gateway itself and
// never reaches an origin.
//
// Source: Amazon S3 API reference, "Actions".
const (
	ListBuckets       Operation = "ListBuckets"
	HeadBucket        Operation = "HeadBucket"
	GetBucketLocation Operation = "GetBucketLocation"

	ListObjects          Operation = "ListObjects"
	ListObjectsV2        Operation = "ListObjectsV2"
	ListObjectVersions   Operation = "ListObjectVersions"
	ListMultipartUploads Operation = "ListMultipartUploads"
	DeleteObjects        Operation = "DeleteObjects"

	GetObject           Operation = "GetObject"
	HeadObject          Operation = "HeadObject"
	GetObjectAttributes Operation = "GetObjectAttributes"
	PutObject           Operation = "PutObject"
	CopyObject          Operation = "CopyObject"
	DeleteObject        Operation = "DeleteObject"
	GetObjectTagging    Operation = "GetObjectTagging"
	PutObjectTagging    Operation = "PutObjectTagging"
	DeleteObjectTagging Operation = "DeleteObjectTagging"
	GetObjectACL        Operation = "GetObjectAcl"
	PutObjectACL        Operation = "PutObjectAcl"
	GetObjectRetention  Operation = "GetObjectRetention"
	PutObjectRetention  Operation = "PutObjectRetention"
	GetObjectLegalHold  Operation = "GetObjectLegalHold"
	PutObjectLegalHold  Operation = "PutObjectLegalHold"

	CreateMultipartUpload   Operation = "CreateMultipartUpload"
	UploadPart              Operation = "UploadPart"
	UploadPartCopy          Operation = "UploadPartCopy"
	ListParts               Operation = "ListParts"
	CompleteMultipartUpload Operation = "CompleteMultipartUpload"
	AbortMultipartUpload    Operation = "AbortMultipartUpload"
)
