package s3api

import (
	"crypto/md5"  //nolint:gosec // G501: S3 has it; it is no proof of anything here
	"crypto/sha1" //nolint:gosec // G505: as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
)

const checksumPrefix = "X-Amz-Checksum-"

// checksums are those that can be computed here, by the end of the name of their header. S3
// knows XXHASH64, XXHASH3 and XXHASH128 as well: no SDK sends one unless it is asked to.
//
// Source: Amazon S3 user guide, "Checking object integrity in Amazon S3".
var checksums = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(castagnoli) },
	"CRC64NVME": func() hash.Hash { return crc64.New(nvme) },
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
	"SHA512":    sha512.New,
	"MD5":       md5.New,
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// nvme is the polynomial of the NVM Express specification, with its bits in reverse.
	nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)
)

// NewChecksum returns a new checksum of that algorithm, as in x-amz-checksum-algorithm: CRC32,
// CRC32C, CRC64NVME, SHA1, SHA256, SHA512 or MD5, in any case; false for one that is not known.
func NewChecksum(algorithm string) (hash.Hash, bool) {
	made, ok := checksums[strings.ToUpper(algorithm)]
	if !ok {
		return nil, false
	}
	return made(), true
}

// ChecksumOf returns the algorithm of a header or trailer, CRC32 of x-amz-checksum-crc32; "" for
// the name of anything else.
func ChecksumOf(header string) (algorithm string) {
	if len(header) <= len(checksumPrefix) || !strings.EqualFold(header[:len(checksumPrefix)], checksumPrefix) {
		return ""
	}
	algorithm = strings.ToUpper(header[len(checksumPrefix):])
	if _, ok := checksums[algorithm]; !ok {
		return ""
	}
	return algorithm
}

// ChecksumHeader returns the header of an algorithm, in the canonical form of net/http:
// X-Amz-Checksum-Crc32.
func ChecksumHeader(algorithm string) string {
	return http.CanonicalHeaderKey(checksumPrefix + algorithm)
}

// EncodeChecksum returns what a header or trailer says of a sum.
func EncodeChecksum(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }

// ChecksumLength returns how long EncodeChecksum's result is; 0 for an algorithm that is not
// known.
func ChecksumLength(algorithm string) int {
	h, ok := NewChecksum(algorithm)
	if !ok {
		return 0
	}
	return base64.StdEncoding.EncodedLen(h.Size())
}

// Digests holds a body against what the headers of its request say of it: Content-MD5 and
// x-amz-checksum-*. Write it the body, then ask Check. It has no part in a checksum that comes as
// a trailer: who reads the body has compared that one.
type Digests struct {
	stated []digest
	// Algorithm and Value are of the x-amz-checksum header that came; "" = none.
	Algorithm, Value string
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
		if err := d.add("Content-MD5", "MD5", values); err != nil {
			return nil, err
		}
	}
	for name, values := range h {
		if !strings.HasPrefix(name, checksumPrefix) || aboutChecksums[name] {
			continue
		}
		algorithm := ChecksumOf(name)
		if algorithm == "" {
			return nil, &Error{Code: InvalidRequest, Message: "The checksum algorithm of the request is not supported."}
		}
		if d.Algorithm != "" {
			return nil, &Error{Code: InvalidRequest, Message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."}
		}
		if err := d.add(strings.ToLower(name), algorithm, values); err != nil {
			return nil, err
		}
		d.Algorithm, d.Value = algorithm, values[0]
	}
	return d, nil
}

// aboutChecksums name or ask for checksums and are none.
var aboutChecksums = map[string]bool{
	"X-Amz-Checksum-Algorithm": true, "X-Amz-Checksum-Mode": true, "X-Amz-Checksum-Type": true,
}

func (d *Digests) add(header, algorithm string, values []string) error {
	sum, _ := NewChecksum(algorithm)
	if len(values) == 1 {
		raw, err := base64.StdEncoding.Strict().DecodeString(values[0])
		if err == nil && len(raw) == sum.Size() && base64.StdEncoding.EncodeToString(raw) == values[0] {
			d.stated = append(d.stated, digest{header: header, sum: sum, want: values[0]})
			return nil
		}
	}
	if header == "Content-MD5" {
		return &Error{Code: InvalidDigest, Message: "The Content-MD5 you specified is not valid."}
	}
	return &Error{Code: InvalidRequest, Message: "Value for " + header + " header is invalid."}
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
		if s := &d.stated[i]; EncodeChecksum(s.sum) != s.want {
			return &Error{Code: BadDigest, Message: "The " + s.header + " you specified did not match what we received."}
		}
	}
	return nil
}
