package s3api_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// The sums of "123456789", which every catalogue of checksums gives.
func TestNewChecksum(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[string]string{
		"CRC32": "cbf43926", "crc32c": "e3069283", "CRC64NVME": "ae8b14860a799888",
		"SHA1":   "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
		"MD5":    "25f9e794323b453885f5181f1b624d0b",
		"SHA512": "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
	} {
		sum, ok := s3api.NewChecksum(algorithm)
		if !ok {
			t.Errorf("%s is not known", algorithm)
			continue
		}
		sum.Write([]byte("123456789"))
		if got := hex.EncodeToString(sum.Sum(nil)); got != want {
			t.Errorf("%s is %s, want %s", algorithm, got, want)
		}
		if got := len(s3api.EncodeChecksum(sum)); got != s3api.ChecksumLength(algorithm) {
			t.Errorf("%s is %d letters, and ChecksumLength says %d", algorithm, got, s3api.ChecksumLength(algorithm))
		}
		if back := s3api.ChecksumOf(s3api.ChecksumHeader(algorithm)); s3api.ChecksumLength(back) != s3api.ChecksumLength(algorithm) || back == "" {
			t.Errorf("the header of %s is of %q", algorithm, back)
		}
	}
	for _, name := range []string{"", "XXHASH64", "ALGORITHM", "CRC", "CRC32\n"} {
		if _, ok := s3api.NewChecksum(name); ok || s3api.ChecksumLength(name) != 0 || s3api.ChecksumOf("x-amz-checksum-"+name) != "" {
			t.Errorf("%q is known", name)
		}
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	const md5, crc = "JfnnlDI7RTiF9RgfG2JNCw==", "y/Q5Jg=="
	for name, test := range map[string]struct {
		header        http.Header
		parse, verify string
	}{
		"none":               {http.Header{"X-Amz-Checksum-Algorithm": {"CRC32"}, "X-Amz-Checksum-Mode": {"ENABLED"}}, "", ""},
		"both":               {http.Header{"Content-Md5": {md5}, "X-Amz-Checksum-Crc32": {crc}}, "", ""},
		"wrong MD5":          {http.Header{"Content-Md5": {"JfnnlDI7RTiF9RgfG2JNCg=="}}, "", s3api.BadDigest},
		"wrong checksum":     {http.Header{"Content-Md5": {md5}, "X-Amz-Checksum-Crc32": {"AAAAAA=="}}, "", s3api.BadDigest},
		"MD5 is none":        {http.Header{"Content-Md5": {"x"}}, s3api.InvalidDigest, ""},
		"MD5 is empty":       {http.Header{"Content-Md5": {""}}, s3api.InvalidDigest, ""},
		"MD5 comes twice":    {http.Header{"Content-Md5": {md5, md5}}, s3api.InvalidDigest, ""},
		"MD5 is short":       {http.Header{"Content-Md5": {crc}}, s3api.InvalidDigest, ""},
		"a second spelling":  {http.Header{"Content-Md5": {"JfnnlDI7RTiF9RgfG2JNCx=="}}, s3api.InvalidDigest, ""},
		"with a line end":    {http.Header{"Content-Md5": {md5 + "\n"}}, s3api.InvalidDigest, ""},
		"checksum is none":   {http.Header{"X-Amz-Checksum-Crc32": {"????"}}, s3api.InvalidRequest, ""},
		"two checksums":      {http.Header{"X-Amz-Checksum-Crc32": {crc}, "X-Amz-Checksum-Crc32c": {crc}}, s3api.InvalidRequest, ""},
		"unknown":            {http.Header{"X-Amz-Checksum-Xxhash3": {crc}}, s3api.InvalidRequest, ""},
		"checksum is absent": {http.Header{"X-Amz-Checksum-Crc32": {}}, s3api.InvalidRequest, ""},
	} {
		d, err := s3api.ParseDigests(test.header)
		if got := codeOf(err); got != test.parse {
			t.Errorf("%s: ParseDigests says %q (%v), want %q", name, got, err, test.parse)
		}
		if err != nil {
			continue
		}
		_, _ = d.Write([]byte("12345"))
		_, _ = d.Write([]byte("6789"))
		if got := codeOf(d.Check()); got != test.verify {
			t.Errorf("%s: Check says %q, want %q", name, got, test.verify)
		}
	}
}

// codeOf returns S3's code, "" for no error.
func codeOf(err error) string {
	var e *s3api.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return "not one of S3's: " + err.Error()
}
