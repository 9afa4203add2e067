package s3api_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestDigests(t *testing.T) {
	t.Parallel()
	const md5, crc = "JfnnlDI7RTiF9RgfG2JNCw==", "y/Q5Jg=="
	for name, test := range map[string]struct {
		header        http.Header
		parse, verify string
	}{
		"none":               {http.Header{"X-Amz-Checksum-Algorithm": {"CRC32"}, "X-Amz-Checksum-Mode": {"ENABLED"}}, "", ""},
		"both":               {http.Header{"Content-Md5": {md5}, "X-Amz-Checksum-Crc32": {crc}}, "", ""},
		"wrong MD5":          {http.Header{"Content-Md5": {"AAAAAAAAAAAAAAAAAAAAAA=="}}, "", s3api.BadDigest},
		"wrong checksum":     {http.Header{"Content-Md5": {md5}, "X-Amz-Checksum-Crc32": {"AAAAAA=="}}, "", s3api.BadDigest},
		"MD5 is none":        {http.Header{"Content-Md5": {"x"}}, s3api.InvalidDigest, ""},
		"MD5 is empty":       {http.Header{"Content-Md5": {""}}, s3api.InvalidDigest, ""},
		"MD5 comes twice":    {http.Header{"Content-Md5": {md5, md5}}, s3api.InvalidDigest, ""},
		"MD5 is short":       {http.Header{"Content-Md5": {crc}}, s3api.InvalidDigest, ""},
		"a second spelling":  {http.Header{"Content-Md5": {"JfnnlDI7RTiF9RgfG2JNCx=="}}, s3api.InvalidDigest, ""},
		"with a line end":    {http.Header{"Content-Md5": {md5 + "\n"}}, s3api.InvalidDigest, ""},
		"checksum is none":   {http.Header{"X-Amz-Checksum-Crc32": {"????"}}, s3api.InvalidRequest, ""},
		"checksum is long":   {http.Header{"X-Amz-Checksum-Crc32": {md5}}, s3api.InvalidRequest, ""},
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
