package s3api

import (
	"crypto/md5" //nolint:gosec // G501: S3 has it, against accidents; it is no proof of anything here
	"encoding/base64"
	"hash"
	"net/http"
	"strings"
)

// Digests holds a body against what the headers of its request say of it: Content-MD5 and
// x-amz-checksum-*. Write it the body, then ask Check. It has no part in a checksum that comes as
// a trailer: who reads the body has compared that one.
type Digests struct {
	stated []digest
	// Algorithm and Value are of the x-amz-checksum header that came; "" = none.
	Algorithm Checksum
	Value     string
}

// digest is one header and the sum that it names.
type digest struct {
	header string
	sum    hash.Hash
	want   string
}

// ParseDigests reads the headers of a request whose body is what they are about: PutObject,
// UploadPart and those with a document in XML. Those of CompleteMultipartUpload are about the
// object.
//
// Errors: *Error with InvalidDigest (a sum that is none) or InvalidRequest (two
// x-amz-checksum headers, or one of an algorithm that is not known).
func ParseDigests(h http.Header) (*Digests, error) {
	d := &Digests{}
	if values, found := h["Content-Md5"]; found {
		if len(values) != 1 || !isMD5(values[0]) {
			return nil, &Error{Code: InvalidDigest, Message: "The Content-MD5 you specified is not valid."}
		}
		d.stated = append(d.stated, digest{header: "Content-MD5", sum: md5.New(), want: values[0]}) //nolint:gosec // see the import
	}
	for name, values := range h {
		if !strings.HasPrefix(name, "X-Amz-Checksum-") || aboutChecksums[name] {
			continue
		}
		algorithm, ok := ChecksumOfHeader(name)
		switch {
		case !ok:
			return nil, &Error{Code: InvalidRequest, Message: "The checksum algorithm of the request is not supported."}
		case d.Algorithm != "":
			return nil, &Error{Code: InvalidRequest, Message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."}
		case len(values) != 1 || !isSum(algorithm, values[0]):
			return nil, &Error{Code: InvalidRequest, Message: "Value for " + algorithm.Header() + " header is invalid."}
		}
		d.Algorithm, d.Value = algorithm, values[0]
		d.stated = append(d.stated, digest{header: algorithm.Header(), sum: algorithm.New(), want: values[0]})
	}
	return d, nil
}

// aboutChecksums name or ask for checksums and are none.
var aboutChecksums = map[string]bool{
	"X-Amz-Checksum-Algorithm": true, "X-Amz-Checksum-Mode": true, "X-Amz-Checksum-Type": true,
}

func isSum(algorithm Checksum, value string) bool {
	_, ok := algorithm.Decode(value)
	return ok
}

// isMD5: base64 in its one form.
func isMD5(value string) bool {
	raw, err := base64.StdEncoding.DecodeString(value)
	return err == nil && len(raw) == md5.Size && base64.StdEncoding.EncodeToString(raw) == value
}

// Write implements io.Writer. It never fails.
func (d *Digests) Write(p []byte) (int, error) {
	for i := range d.stated {
		_, _ = d.stated[i].sum.Write(p) // a hash never fails
	}
	return len(p), nil
}

// Check compares the sums of what was written with those that were stated.
//
// Errors: *Error with BadDigest.
func (d *Digests) Check() error {
	for i := range d.stated {
		if s := &d.stated[i]; base64.StdEncoding.EncodeToString(s.sum.Sum(nil)) != s.want {
			return &Error{Code: BadDigest, Message: "The " + s.header + " you specified did not match what we received."}
		}
	}
	return nil
}
