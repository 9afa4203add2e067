package s3api

import (
	"crypto/sha1" //nolint:gosec // one of the checksums that S3 knows; no security rests on it
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
)

// Checksum is an algorithm of S3's additional checksums.
//
// Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".
type Checksum string

// The algorithms, as x-amz-checksum-algorithm spells them.
const (
	CRC32     Checksum = "CRC32"
	CRC32C    Checksum = "CRC32C"
	CRC64NVME Checksum = "CRC64NVME"
	SHA1      Checksum = "SHA1"
	SHA256    Checksum = "SHA256"
)

// Checksums are all of them.
var Checksums = []Checksum{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

// checksumHeader is what the header of an algorithm starts with.
const checksumHeader = "x-amz-checksum-"

// The polynomials, reversed, that hash/crc32 and hash/crc64 have no name for, or that
// Combine needs.
const (
	polyCRC64NVME = 0x9a6c9329ac4bc9b5
	polyIEEE      = uint64(crc32.IEEE)
	polyCRC32C    = uint64(crc32.Castagnoli)
)

var (
	tableCRC32C    = crc32.MakeTable(crc32.Castagnoli)
	tableCRC64NVME = crc64.MakeTable(polyCRC64NVME)
)

// ParseChecksum returns the algorithm of that name, of any case.
func ParseChecksum(name string) (Checksum, bool) {
	for _, c := range Checksums {
		if strings.EqualFold(name, string(c)) {
			return c, true
		}
	}
	return "", false
}

// ChecksumOfHeader returns the algorithm whose value the header of that name holds.
func ChecksumOfHeader(name string) (Checksum, bool) {
	if len(name) < len(checksumHeader) || !strings.EqualFold(name[:len(checksumHeader)], checksumHeader) {
		return "", false
	}
	return ParseChecksum(name[len(checksumHeader):])
}

// Header is the name of the header and trailer that holds a value, in lower case.
func (c Checksum) Header() string { return checksumHeader + strings.ToLower(string(c)) }

// New returns a hash of the algorithm; nil for an unknown one.
func (c Checksum) New() hash.Hash {
	switch c {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(tableCRC32C)
	case CRC64NVME:
		return crc64.New(tableCRC64NVME)
	case SHA1:
		return sha1.New() //nolint:gosec // see the import
	case SHA256:
		return sha256.New()
	}
	return nil
}

// Size is how many bytes a sum has; 0 for an unknown algorithm.
func (c Checksum) Size() int {
	switch c {
	case CRC32, CRC32C:
		return crc32.Size
	case CRC64NVME:
		return crc64.Size
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	}
	return 0
}

// Decode returns the sum that a header holds: base64 in its one form, of the right length.
func (c Checksum) Decode(value string) ([]byte, bool) {
	sum, err := base64.StdEncoding.DecodeString(value)
	return sum, err == nil && len(sum) == c.Size() && len(sum) > 0 && c.Encode(sum) == value
}

// Encode returns the value of the header.
func (c Checksum) Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// Linear reports whether the sum of a whole follows from those of its parts ([Checksum.Combine]).
func (c Checksum) Linear() bool { return c == CRC32 || c == CRC32C || c == CRC64NVME }

// Combine returns the sum of a followed by b, of which b has length bytes. The algorithm
// must be Linear.
func (c Checksum) Combine(a, b []byte, length int64) []byte {
	poly, width := polyIEEE, uint(32)
	switch c {
	case CRC32C:
		poly = polyCRC32C
	case CRC64NVME:
		poly, width = polyCRC64NVME, 64
	}
	field := gf2{poly: poly, top: 1 << (width - 1)}
	shifted := field.multiply(field.power(length), bigEndian(a)) ^ bigEndian(b)
	sum := make([]byte, width/8)
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = byte(shifted)
		shifted >>= 8
	}
	return sum
}

// gf2 are polynomials over GF(2) modulo poly, reflected: top is the bit of x^0.
type gf2 struct{ poly, top uint64 }

func (f gf2) multiply(a, b uint64) uint64 {
	var product uint64
	for bit := f.top; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		b = f.byX(b)
	}
	return product
}

func (f gf2) byX(a uint64) uint64 {
	if a&1 != 0 {
		return a>>1 ^ f.poly
	}
	return a >> 1
}

// power is x^(8·bytes): what so many bytes behind a sum multiply it with.
func (f gf2) power(bytes int64) uint64 {
	result, square := f.top, f.top>>8 // x^0 and x^8
	for n := bytes; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = f.multiply(result, square)
		}
		square = f.multiply(square, square)
	}
	return result
}

func bigEndian(sum []byte) uint64 {
	var n uint64
	for _, b := range sum {
		n = n<<8 | uint64(b)
	}
	return n
}
