package policy

import (
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// S3Action is one thing that can be done at an S3 store.
type S3Action struct {
	// Name is ours: get_object.
	Name string
	// IAM is AWS's word for the right to it, without "s3:": GetObject. Several actions
	// may share one.
	IAM string
	// Bucket tells that it is about a bucket and not about one key.
	Bucket bool
	// List tells that what it is asked for is a prefix of keys (RULES D2).
	List bool
	// ImpliedBy is the action whose grant includes this one, as with IAM; "" = none.
	ImpliedBy string
}

// s3Actions is append-only: the place of an action is its bit in the sealed form of a
// session policy.
var s3Actions = []S3Action{
	{Name: "get_object", IAM: "GetObject"},
	{Name: "head_object", IAM: "GetObject", ImpliedBy: "get_object"},
	{Name: "get_object_version", IAM: "GetObjectVersion"},
	{Name: "put_object", IAM: "PutObject"},
	{Name: "create_multipart_upload", IAM: "PutObject", ImpliedBy: "put_object"},
	{Name: "upload_part", IAM: "PutObject", ImpliedBy: "put_object"},
	{Name: "complete_multipart_upload", IAM: "PutObject", ImpliedBy: "put_object"},
	{Name: "abort_multipart_upload", IAM: "AbortMultipartUpload"},
	{Name: "delete_object", IAM: "DeleteObject"},
	{Name: "delete_object_version", IAM: "DeleteObjectVersion"},
	{Name: "list_bucket", IAM: "ListBucket", Bucket: true, List: true},
	{Name: "list_bucket_versions", IAM: "ListBucketVersions", Bucket: true, List: true},
	{Name: "list_bucket_multipart_uploads", IAM: "ListBucketMultipartUploads", Bucket: true, List: true},
	{Name: "list_multipart_upload_parts", IAM: "ListMultipartUploadParts"},
	{Name: "get_bucket_location", IAM: "GetBucketLocation", Bucket: true},
	{Name: "get_object_tagging", IAM: "GetObjectTagging"},
	{Name: "get_object_version_tagging", IAM: "GetObjectVersionTagging"},
	{Name: "put_object_tagging", IAM: "PutObjectTagging"},
	{Name: "put_object_version_tagging", IAM: "PutObjectVersionTagging"},
	{Name: "delete_object_tagging", IAM: "DeleteObjectTagging"},
	{Name: "delete_object_version_tagging", IAM: "DeleteObjectVersionTagging"},
	{Name: "get_object_acl", IAM: "GetObjectAcl"},
	{Name: "get_object_version_acl", IAM: "GetObjectVersionAcl"},
	{Name: "put_object_acl", IAM: "PutObjectAcl"},
	{Name: "put_object_version_acl", IAM: "PutObjectVersionAcl"},
	{Name: "get_object_retention", IAM: "GetObjectRetention"},
	{Name: "put_object_retention", IAM: "PutObjectRetention"},
	{Name: "get_object_legal_hold", IAM: "GetObjectLegalHold"},
	{Name: "put_object_legal_hold", IAM: "PutObjectLegalHold"},
	{Name: "bypass_governance_retention", IAM: "BypassGovernanceRetention"},
	// AWS has no right to these two of its own (RULES F1).
	{Name: "use_customer_key", IAM: "UseCustomerKey"},
	{Name: "put_object_website_redirect", IAM: "PutObjectWebsiteRedirect"},
}

// actionBits is a set of actions by their place in the table.
type actionBits uint64

// bitOf finds an action by its name.
var bitOf = func() map[string]actionBits {
	found := make(map[string]actionBits, len(s3Actions))
	for i, a := range s3Actions {
		found[a.Name] = 1 << i
	}
	return found
}()

// actionOf returns the action of one bit.
func actionOf(bit actionBits) *S3Action { return &s3Actions[bits.TrailingZeros64(uint64(bit))] }

// S3Actions returns every action that permissions can name.
func S3Actions() []S3Action { return slices.Clone(s3Actions) }

// iamBits returns the actions that an IAM action such as s3:GetObject or s3:List* means:
// capitals do not matter, * and ? are wildcards. 0 = none of ours.
func iamBits(text string) actionBits {
	if text == "*" {
		text = "s3:*"
	}
	service, glob, ok := strings.Cut(strings.ToLower(text), ":")
	if !ok || service != "s3" {
		return 0
	}
	var found actionBits
	for i, a := range s3Actions {
		if globMatch(glob, strings.ToLower(a.IAM)) {
			found |= 1 << i
		}
	}
	return found
}

// globMatch compares as IAM does: * is zero or more of any characters, ? exactly one.
// Bytes count, except that ? takes a whole character. Its time is at most the product of
// both lengths.
func globMatch(glob, text string) bool {
	g, t := 0, 0
	star, mark := -1, 0 // the last star, and where what it takes ends
	for t < len(text) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, mark = g, t
			g++
		case g < len(glob) && glob[g] == '?':
			g++
			_, size := utf8.DecodeRuneInString(text[t:])
			t += size
		case g < len(glob) && glob[g] == text[t]:
			g++
			t++
		case star >= 0:
			mark++
			g, t = star+1, mark
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
