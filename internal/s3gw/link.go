package s3gw

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/web"
)

// linkHeader returns the header that a presigned URL has among its parameters: SDKs put those
// of checksums there. "" = it is none that the operation takes.
func (o *operation) linkHeader(p web.Param) string {
	name := http.CanonicalHeaderKey(p.Name)
	if o.shape != object || !strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Sdk-Checksum-Algorithm" || o.takes[name] == nil {
		return ""
	}
	return name
}

// hoist keeps the headers that a presigned URL has in its query, but those that say nothing:
// which algorithm a client that is not there would use, and the checksum of no body, which
// AWS's SDK for JavaScript signs into each link for an upload and S3 takes for none.
func (t *target) hoist(name, value string) {
	if name == "X-Amz-Sdk-Checksum-Algorithm" {
		return
	}
	if sum, ok := s3api.ChecksumOfHeader(name); ok && value == sum.Encode(sum.New().Sum(nil)) {
		return
	}
	if t.hoisted == nil {
		t.hoisted = make(http.Header)
	}
	t.hoisted.Set(name, value)
}

// headers are those of the request and of its link, which may not both say the same thing.
//
// Errors: InvalidRequest.
func (t *target) headers(of http.Header) (http.Header, error) {
	if len(t.hoisted) == 0 {
		return of, nil
	}
	all := of.Clone()
	for name, values := range t.hoisted {
		if all[name] != nil {
			return nil, refuse(s3api.InvalidRequest, countersign.ReasonHeaderDuplicated, "The header "+name+" comes in the link too")
		}
		all[name] = values
	}
	return all, nil
}
