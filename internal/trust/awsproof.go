package trust

import (
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
)

// The bounds of a proof, in bytes.
const (
	maxProofURL     = 8 << 10
	maxProofHeaders = 16 << 10
	maxAWSToken     = 4 << 10
	maxHeaderValue  = 512
)

// The two bodies of a signed POST. The bytes that we send are one of these constants.
const (
	bodyActionFirst  = "Action=GetCallerIdentity&Version=2011-06-15"
	bodyVersionFirst = "Version=2011-06-15&Action=GetCallerIdentity"
)

// Names of headers, in lower case as they are signed.
const (
	hdrHost          = "host"
	hdrAuthorization = "authorization"
	hdrServerID      = "x-countersign-server-id"
	hdrAmzDate       = "x-amz-date"
	hdrAmzToken      = "x-amz-security-token" //nolint:gosec // G101: the name of a header
	hdrAmzBodyHash   = "x-amz-content-sha256"
	// hdrInvocation is what AWS's SDKs tell calls apart by. Signed, it makes every proof
	// another one: dates have whole seconds, and a proof is good once.
	hdrInvocation = "amz-sdk-invocation-id"
)

// awsRequest is a GetCallerIdentity, parsed into what it may consist of. The request that
// is sent is built from it alone, so that what was checked is what is sent (RULES D8).
type awsRequest struct {
	endpoint awssts.Endpoint
	// body is one of the two constants; "" = the presigned form.
	body string
	credential
	time    time.Time
	expires time.Duration // of the presigned form
	// signed are the names of the signed headers, sorted.
	signed []string
	// headers are the values of the signed headers but host, by lower-case name.
	headers   map[string]string
	token     countersign.Secret // of the presigned form; the POST has it in headers
	signature string
}

// presigned reports which of the two forms it is.
func (r *awsRequest) presigned() bool { return r.body == "" }

// parseAWSProof reads a proof. The URL must be one that lookup knows, byte by byte.
//
// Errors: countersign.BadToken.
func parseAWSProof(p AWSProof, lookup func(url string) (awssts.Endpoint, bool), serverID string) (*awsRequest, error) {
	if len(p.URL) > maxProofURL || len(p.Headers) > maxProofHeaders {
		return nil, refuseProof("the URL or the headers are too long")
	}
	base, query, hasQuery := strings.Cut(p.URL, "?")
	endpoint, known := lookup(base)
	if !known {
		return nil, refuseBecause(countersign.ReasonProofHost, msgProof, "not the URL of an STS that is asked")
	}
	headers, err := parseHeaders(p.Headers)
	if err != nil {
		return nil, err
	}
	r := &awsRequest{endpoint: endpoint}
	switch {
	case p.Body == "" && hasQuery:
		err = r.readPresigned(query, headers)
	case hasQuery:
		err = refuseProof("a body and a query")
	case p.Body == bodyActionFirst || p.Body == bodyVersionFirst:
		r.body = p.Body
		err = r.readPost(headers)
	default:
		err = refuseProof("the body is another one than that of GetCallerIdentity")
	}
	if err != nil {
		return nil, err
	}
	return r, r.checkSigned(headers, serverID)
}

// readPost reads the headers of a signed POST.
func (r *awsRequest) readPost(headers map[string]string) error {
	for name, value := range headers {
		check, known := postHeaders[name]
		if !known {
			return refuseProof("a header that is not allowed")
		}
		if !check(value, r) {
			return refuseProof("header " + name + " has another value than it may have")
		}
	}
	if err := r.parseAuthorization(headers[hdrAuthorization]); err != nil {
		return err
	}
	return r.parseDate(headers[hdrAmzDate])
}

// readPresigned reads the query of a presigned GET, and its headers: host and ours.
func (r *awsRequest) readPresigned(query string, headers map[string]string) error {
	for name, value := range headers {
		if name != hdrServerID && (name != hdrInvocation || !isShort(value, r)) && (name != hdrHost || value != r.endpoint.Host) {
			return refuseProof("a header that the presigned form does not have")
		}
	}
	values, err := parseQuery(query)
	if err != nil {
		return err
	}
	if values["Action"] != "GetCallerIdentity" || values["Version"] != "2011-06-15" {
		return refuseProof("another action or version")
	}
	if values["X-Amz-Algorithm"] != algorithm {
		return refuseProof("another algorithm")
	}
	if err := r.parseCredential(values["X-Amz-Credential"]); err != nil {
		return err
	}
	if err := r.parseSigned(values["X-Amz-SignedHeaders"]); err != nil {
		return err
	}
	if err := r.parseSignature(values["X-Amz-Signature"]); err != nil {
		return err
	}
	if err := r.parseExpires(values["X-Amz-Expires"]); err != nil {
		return err
	}
	if token, ok := values["X-Amz-Security-Token"]; ok {
		if !isAWSToken(token, r) {
			return refuseProof("the session token is malformed")
		}
		r.token = countersign.NewSecret(token)
	}
	return r.parseDate(values["X-Amz-Date"])
}

// checkSigned holds the signed headers against those that are there: host, ours and all
// of AWS's are signed, and nothing is signed that is not there. It keeps what is sent.
func (r *awsRequest) checkSigned(headers map[string]string, serverID string) error {
	r.headers = make(map[string]string, len(r.signed))
	host := false
	for _, name := range r.signed {
		if name == hdrHost {
			host = true
			continue
		}
		value, there := headers[name]
		if !there || name == hdrAuthorization {
			return refuseProof("a header is signed that is not there")
		}
		r.headers[name] = value
	}
	if !host {
		return refuseProof("the host is not signed")
	}
	id, signed := r.headers[hdrServerID]
	switch {
	case headers[hdrServerID] == "":
		return refuseBecause(countersign.ReasonProofServerID, msgServerID, "no server id")
	case headers[hdrServerID] != serverID || signed && id != serverID:
		return refuseBecause(countersign.ReasonProofServerID, msgServerID, "another server id")
	case !signed:
		return refuseBecause(countersign.ReasonProofServerID, msgServerID, "the server id is not signed")
	}
	for name := range headers {
		if _, signed := r.headers[name]; strings.HasPrefix(name, "x-amz-") && !signed {
			return refuseProof("a header of AWS is not signed")
		}
	}
	return nil
}
