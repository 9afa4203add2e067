package s3dir

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

func TestConditionsOfWrites(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	refused(t, d, request(s3api.PutObject, "a", []byte("x"), "If-Match", "*"), s3api.NoSuchKey)
	etag := put(t, d, "a", "x", "If-None-Match", "*").header.Get("ETag")
	write(t, folder, "hand", "x")
	put(t, d, "source", "x")
	for _, key := range []string{"a", "hand"} {
		refused(t, d, request(s3api.PutObject, key, []byte("y"), "If-None-Match", "*"), s3api.PreconditionFailed)
		refused(t, d, request(s3api.PutObject, key, []byte("y"), "If-Match", `"other"`), s3api.PreconditionFailed)
		refused(t, d, copyRequest(key, d, "source", "If-None-Match", "*"), s3api.PreconditionFailed)
		refused(t, d, request(s3api.DeleteObject, key, nil, "If-Match", `"other"`), s3api.PreconditionFailed)
		refused(t, d, request(s3api.PutObject, key, []byte("y"), "If-None-Match", etag), s3api.NotImplemented)
		refused(t, d, request(s3api.PutObject, key, []byte("y"), "If-None-Match", "*", "If-Match", etag), s3api.NotImplemented)
		put(t, d, key, "y", "If-Match", etag)
		refused(t, d, request(s3api.PutObject, key, []byte("z"), "If-Match", etag), s3api.PreconditionFailed)
		if got := get(t, d, key); string(got.body) != "y" {
			t.Errorf("%s holds %q", key, got.body)
		}
		must(t, d, request(s3api.DeleteObject, key, nil, "If-Match", etagOf("y")))
		must(t, d, request(s3api.DeleteObject, key, nil, "If-Match", etagOf("y")))
	}
	// Also where the object can't be a plain file.
	put(t, d, "f/g", "x")
	put(t, d, "f", "x", "If-None-Match", "*")
	refused(t, d, request(s3api.PutObject, "f", []byte("y"), "If-None-Match", "*"), s3api.PreconditionFailed)
}

func TestBodiesThatAreNotWhatWasSaidAreNotKept(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	const crc32, crc64, sha1 = "NhCmhg==", "M3eFcAZSQlc=", "qvTGHdzF6KLavt4PO0gs2a6pQ00="
	tests := []struct {
		code  string
		pairs []string
	}{
		{s3api.BadDigest, []string{"Content-Md5", base64.StdEncoding.EncodeToString(make([]byte, 16))}},
		{s3api.InvalidDigest, []string{"Content-Md5", "x"}},
		{s3api.InvalidDigest, []string{"Content-Md5", ""}},
		{s3api.InvalidDigest, []string{"Content-Md5", crc32}},
		{s3api.BadDigest, []string{"X-Amz-Checksum-Crc32", "AAAAAA=="}},
		{s3api.BadDigest, []string{"X-Amz-Checksum-Crc32c", crc32}},
		{s3api.BadDigest, []string{"X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA="}},
		{s3api.InvalidRequest, []string{"X-Amz-Checksum-Crc32", "x"}},
		{s3api.InvalidRequest, []string{"X-Amz-Checksum-Crc32", sha1}},
		{s3api.InvalidRequest, []string{"X-Amz-Checksum-Crc32", crc32, "X-Amz-Checksum-Sha1", sha1}},
		{s3api.InvalidRequest, []string{"X-Amz-Sdk-Checksum-Algorithm", "CRC32"}},
		{s3api.InvalidRequest, []string{"X-Amz-Sdk-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Crc32", crc32}},
		{s3api.NotImplemented, []string{"X-Amz-Checksum-Md5", "x"}},
		{s3api.NotImplemented, []string{"X-Amz-Server-Side-Encryption", "AES256"}},
		{s3api.NotImplemented, []string{"X-Amz-Server-Side-Encryption-Customer-Key", "x"}},
		{s3api.NotImplemented, []string{"X-Amz-Object-Lock-Mode", "GOVERNANCE"}},
		{s3api.NotImplemented, []string{"X-Amz-Grant-Read", "x"}},
		{s3api.NotImplemented, []string{"X-Amz-Write-Offset-Bytes", "3"}},
		{s3api.ACLNotSupported, []string{"X-Amz-Acl", "public-read"}},
		{s3api.InvalidStorageClass, []string{"X-Amz-Storage-Class", "GLACIER"}},
		{s3api.InvalidStorageClass, []string{"X-Amz-Storage-Class", "standard"}},
		{s3api.MetadataTooLarge, []string{"X-Amz-Meta-A", strings.Repeat("x", maxMetaBytes)}},
		{s3api.InvalidArgument, []string{"X-Amz-Meta-A", "\xff"}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "a=1&a=2"}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "=1"}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "aws:x=1"}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "a=%00"}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "a=" + strings.Repeat("x", maxTagValueRunes+1)}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", strings.Repeat("x", maxTagKeyRunes+1)}},
		{s3api.InvalidTag, []string{"X-Amz-Tagging", "a&b&c&d&e&f&g&h&i&j&k"}},
		{s3api.InvalidArgument, []string{"X-Amz-Tagging", "a=%zz"}},
	}
	for _, test := range tests {
		refused(t, d, request(s3api.PutObject, "a", []byte("hello"), test.pairs...), test.code)
	}
	broken := errors.New("the signature of the last chunk is wrong")
	bodies := map[string]func(r *s3api.Request){
		s3api.IncompleteBody:                 func(r *s3api.Request) { r.ContentLength = 6 },
		s3api.IncompleteBody + " ":           func(r *s3api.Request) { r.ContentLength = 4 },
		s3api.IncompleteBody + "  ":          func(r *s3api.Request) { r.Body = nil },
		s3api.EntityTooLarge:                 func(r *s3api.Request) { r.ContentLength = maxPutBytes + 1 },
		s3api.BadDigest:                      func(r *s3api.Request) { trailer(r, "x-amz-checksum-crc32", "AAAAAA==") },
		s3api.InvalidRequest:                 func(r *s3api.Request) { trailer(r, "x-amz-checksum-crc32", "") },
		s3api.InvalidRequest + " ":           func(r *s3api.Request) { trailer(r, "x-amz-checksum-md5", "x") },
		s3api.InvalidRequest + "  ":          func(r *s3api.Request) { trailer(r, "x-amz-checksum-crc32", crc32); r.TrailerValue = nil },
		string(countersign.Internal) + "   ": func(r *s3api.Request) { r.Body = io.MultiReader(r.Body, failing{broken}) },
	}
	for code, change := range bodies {
		r := request(s3api.PutObject, "a", []byte("hello"))
		change(r)
		refused(t, d, r, strings.TrimSpace(code))
	}
	if got := list(t, d, s3api.ListObjectsV2).keys(); len(got) != 0 {
		t.Errorf("kept: %q", got)
	}
	r := request(s3api.PutObject, "a", []byte("hello"), "X-Amz-Sdk-Checksum-Algorithm", "CRC32")
	trailer(r, "x-amz-checksum-crc32", crc32)
	if got := must(t, d, r); got.header.Get("X-Amz-Checksum-Crc32") != crc32 {
		t.Errorf("%v", got.header)
	}
	put(t, d, "a", "hello", "X-Amz-Checksum-Crc64nvme", crc64)
}

func trailer(r *s3api.Request, name, value string) {
	r.Trailer, r.TrailerValue = name, func() string { return value }
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestClientThatGoesAwayLeavesNothing(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", "old")
	ctx, cancel := context.WithCancel(t.Context())
	r := request(s3api.PutObject, "a", []byte("new"))
	r.Body = io.MultiReader(r.Body, doing{cancel}) // the last byte is there, and then it is gone
	if _, err := do(ctx, d, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := get(t, d, "a"); string(got.body) != "old" {
		t.Errorf("holds %q", got.body)
	}
}

type doing struct{ do func() }

func (r doing) Read([]byte) (int, error) { r.do(); return 0, io.EOF }
