package s3gw

import (
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// metadataPrefix begins the names of the user's own metadata.
const metadataPrefix = "X-Amz-Meta-"

// headerGroup are headers that go together, by their canonical names; metadataPrefix stands
// for all that start so.
type headerGroup struct {
	names []string
	// action is what the role must allow beside that of the operation when one of them
	// comes; "" = nothing.
	action string
	// ofSource: the action is about the object that is copied.
	ofSource bool
}

func groups(g ...headerGroup) []headerGroup { return g }

// The headers that operations take, beside those of everyHeader.
//
// Source: Amazon S3 API reference, the request syntax of each operation; RULES F1.
var (
	contentHeaders          = headerGroup{names: []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires", "X-Amz-Storage-Class"}}
	metadataHeaders         = headerGroup{names: []string{metadataPrefix}}
	readHeaders             = headerGroup{names: []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Range", "X-Amz-Checksum-Mode"}}
	attributeHeaders        = headerGroup{names: []string{"X-Amz-Object-Attributes", "X-Amz-Max-Parts", "X-Amz-Part-Number-Marker"}}
	conditionalWriteHeaders = headerGroup{names: []string{"If-None-Match"}}
	// Whether an entity tag matches is whether the content is what somebody guesses. S3 asks for
	// the right to read it too.
	matchHeaders = headerGroup{action: "get_object", names: []string{"If-Match"}}
	listHeaders  = headerGroup{names: []string{"X-Amz-Optional-Object-Attributes"}}
	// The checksums are of the body: an operation that has none takes the choice of one only.
	checksumHeaders         = headerGroup{names: append([]string{"Content-Md5", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Checksum-Algorithm"}, checksumNames...)}
	documentChecksumHeaders = checksumHeaders
	copyChecksumHeaders     = headerGroup{names: []string{"X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type"}}
	completeHeaders         = headerGroup{names: []string{"X-Amz-Checksum-Type", "X-Amz-Mp-Object-Size"}}
	encryptionHeaders       = headerGroup{names: []string{
		"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "X-Amz-Server-Side-Encryption-Context",
	}}
	payerHeaders     = headerGroup{names: []string{"X-Amz-Request-Payer"}}
	directiveHeaders = headerGroup{names: []string{"X-Amz-Metadata-Directive", "X-Amz-Tagging-Directive"}}
	copyHeaders      = headerGroup{names: []string{
		"X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match", "X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-Unmodified-Since",
	}}
	copyRangeHeaders = headerGroup{names: []string{"X-Amz-Copy-Source-Range"}}

	customerKeyHeaders = headerGroup{action: "use_customer_key", names: []string{
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Customer-Key", "X-Amz-Server-Side-Encryption-Customer-Key-Md5",
	}}
	copyCustomerKeyHeaders = headerGroup{action: "use_customer_key", ofSource: true, names: []string{
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-Md5",
	}}
	aclHeaders = headerGroup{action: "put_object_acl", names: []string{
		"X-Amz-Acl", "X-Amz-Grant-Full-Control", "X-Amz-Grant-Read", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp",
	}}
	taggingHeaders    = headerGroup{action: "put_object_tagging", names: []string{"X-Amz-Tagging"}}
	governanceHeaders = headerGroup{action: "bypass_governance_retention", names: []string{"X-Amz-Bypass-Governance-Retention"}}
	websiteHeaders    = headerGroup{action: "put_object_website_redirect", names: []string{"X-Amz-Website-Redirect-Location"}}
	lockHeaders       = headerGroup{action: "put_object_retention", names: []string{"X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date"}}
	holdHeaders       = headerGroup{action: "put_object_legal_hold", names: []string{"X-Amz-Object-Lock-Legal-Hold"}}
)

// checksumNames are the checksums of a body, which may also come behind it (x-amz-trailer).
var checksumNames = []string{
	"X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Crc64nvme", "X-Amz-Checksum-Sha1", "X-Amz-Checksum-Sha256",
	"X-Amz-Checksum-Sha512", "X-Amz-Checksum-Md5", "X-Amz-Checksum-Xxhash64", "X-Amz-Checksum-Xxhash3", "X-Amz-Checksum-Xxhash128",
}

// everyHeader are headers of S3 that every request may have and none passes on: the
// gateway itself acts on them, or they say nothing.
var everyHeader = setOf(
	"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer",
	"X-Amz-User-Agent", "X-Amz-Expected-Bucket-Owner",
)

const (
	copySourceHeader  = "X-Amz-Copy-Source"
	ownerHeader       = "X-Amz-Expected-Bucket-Owner"
	sourceOwnerHeader = "X-Amz-Source-Expected-Bucket-Owner"
)

// vendorPrefixes are headers that mean something to some server of S3's kind: one that we do
// not know is refused, because what is behind us may know it (RULES F1).
var vendorPrefixes = []string{"X-Amz-", "X-Minio-", "X-Rgw-"}

// takeHeaders keeps what is passed on, and says which further actions the role must allow.
//
// Errors: NotImplemented for a header of S3 that the operation does not take,
// InvalidRequest for one that comes twice.
func (o *operation) takeHeaders(h http.Header) (http.Header, []headerGroup, error) {
	kept := make(http.Header)
	var needs []headerGroup
	for name, values := range h {
		group := o.groupOf(name)
		if group == nil {
			if !o.mayDrop(name) {
				return nil, nil, refuse(s3api.NotImplemented, countersign.ReasonHeaderNotAllowed, "A header you provided implies functionality that is not implemented")
			}
			continue
		}
		value, err := oneValue(name, values)
		if err != nil {
			return nil, nil, err
		}
		// Of a write S3 knows it as * alone. Some stores compare an entity tag too, which If-Match
		// must not be asked for without the right to read.
		if name == "If-None-Match" && o.writes() && value != "*" {
			return nil, nil, refuse(s3api.NotImplemented, countersign.ReasonHeaderNotAllowed, "A write takes no other If-None-Match than *")
		}
		// Private is what an object is that nothing is said of: rclone and s3cmd say so always.
		if name == "X-Amz-Acl" && value == "private" && o.name != s3api.PutObjectACL {
			continue
		}
		if name == "Content-Encoding" {
			if value = s3api.WithoutChunked(value); value == "" {
				continue
			}
		}
		kept[name] = []string{value}
		if group.action != "" && !slices.ContainsFunc(needs, func(g headerGroup) bool { return g.action == group.action && g.ofSource == group.ofSource }) {
			needs = append(needs, *group)
		}
	}
	return kept, needs, nil
}

// groupOf finds the group of a header that the operation takes; nil = it takes it not.
func (o *operation) groupOf(name string) *headerGroup {
	if group := o.takes[name]; group != nil {
		return group
	}
	if len(name) > len(metadataPrefix) && strings.HasPrefix(name, metadataPrefix) {
		return o.takes[metadataPrefix]
	}
	return nil
}

// mayDrop: what is not of S3 means nothing to it, and goes no further.
func (o *operation) mayDrop(name string) bool {
	for _, prefix := range vendorPrefixes {
		if strings.HasPrefix(name, prefix) {
			return everyHeader[name] || o.copies && (name == copySourceHeader || name == sourceOwnerHeader)
		}
	}
	return true
}

// oneValue: of two lines of one header different programs read different ones. Those of the
// user's own metadata are one list, as S3 has it.
func oneValue(name string, values []string) (string, error) {
	if len(values) == 1 {
		return values[0], nil
	}
	if strings.HasPrefix(name, metadataPrefix) {
		return strings.Join(values, ","), nil
	}
	return "", refuse(s3api.InvalidRequest, countersign.ReasonHeaderDuplicated, "The header "+name+" comes more than once")
}

// The headers of an answer that are passed on: what S3 documents, and nothing of one hop.
//
// Source: Amazon S3 API reference, the response syntax of each operation.
var answerHeaders = setOf(
	"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Range", "Content-Type",
	"Etag", "Expires", "Last-Modified",
	"X-Amz-Abort-Date", "X-Amz-Abort-Rule-Id", "X-Amz-Archive-Status", "X-Amz-Bucket-Region", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type",
	"X-Amz-Copy-Source-Version-Id", "X-Amz-Delete-Marker", "X-Amz-Expiration", "X-Amz-Missing-Meta", "X-Amz-Mp-Parts-Count",
	"X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Size",
	"X-Amz-Replication-Status", "X-Amz-Request-Charged", "X-Amz-Restore",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
	"X-Amz-Server-Side-Encryption-Context", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Customer-Key-Md5",
	"X-Amz-Storage-Class", "X-Amz-Tagging-Count", "X-Amz-Version-Id", "X-Amz-Website-Redirect-Location",
)

func init() {
	for _, name := range checksumNames {
		answerHeaders[name] = true
	}
}

// passAnswer copies the headers of an answer that are passed on. The names of the user's own
// metadata are in lower case, as at S3: AWS's SDK for Python keeps the case that it gets.
func passAnswer(to, from http.Header) {
	for name, values := range from {
		switch {
		case answerHeaders[name]:
			to[name] = values
		case len(name) >= len(metadataPrefix) && strings.EqualFold(name[:len(metadataPrefix)], metadataPrefix):
			to[strings.ToLower(name)] = values
		}
	}
}
