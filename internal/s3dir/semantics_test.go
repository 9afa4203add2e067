package s3dir

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

func TestRangeReads(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "ten", "0123456789")
	put(t, d, "empty", "")
	tests := []struct{ key, header, body, contentRange, code string }{
		{"ten", "bytes=0-3", "0123", "bytes 0-3/10", ""},
		{"ten", "bytes=3-3", "3", "bytes 3-3/10", ""},
		{"ten", "bytes=7-", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=7-99999999999999999999", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=-3", "789", "bytes 7-9/10", ""},
		{"ten", "bytes=-30", "0123456789", "bytes 0-9/10", ""},
		{"ten", "bytes=9-9", "9", "bytes 9-9/10", ""},
		{"ten", "bytes=10-", "", "", s3api.InvalidRange},
		{"ten", "bytes=99999999999999999999-", "", "", s3api.InvalidRange},
		{"ten", "bytes=-0", "", "", s3api.InvalidRange},
		{"empty", "bytes=0-0", "", "", s3api.InvalidRange},
		{"empty", "bytes=-1", "", "", s3api.InvalidRange},
		// What is no range of bytes, or several, is the whole.
		{"ten", "bytes=4-3", "0123456789", "", ""},
		{"ten", "bytes=a-b", "0123456789", "", ""},
		{"ten", "bytes=+1-2", "0123456789", "", ""},
		{"ten", "bytes=-", "0123456789", "", ""},
		{"ten", "bytes=--1", "0123456789", "", ""},
		{"ten", "bytes=0-1,3-4", "0123456789", "", ""},
		{"ten", "items=0-1", "0123456789", "", ""},
		{"ten", "0-1", "0123456789", "", ""},
	}
	for _, test := range tests {
		for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject} {
			r := request(op, test.key, nil, "Range", test.header)
			if test.code != "" {
				refused(t, d, r, test.code)
				continue
			}
			got := must(t, d, r)
			status := http.StatusOK
			if test.contentRange != "" {
				status = http.StatusPartialContent
			}
			if got.status != status || got.header.Get("Content-Range") != test.contentRange || got.length != int64(len(test.body)) ||
				op == s3api.GetObject && string(got.body) != test.body {
				t.Errorf("%s %s %s: %d %q %v", op, test.key, test.header, got.status, got.body, got.header)
			}
		}
	}
}

func TestConditionsOfReads(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	etag := put(t, d, "a", "x").header.Get("ETag")
	modified, err := http.ParseTime(get(t, d, "a").header.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	before, after := modified.Add(-time.Hour).Format(http.TimeFormat), modified.Format(http.TimeFormat)
	tests := []struct {
		headers []string
		status  int // 412 is a refusal
	}{
		{[]string{"If-Match", etag}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", `"other", ` + etag}, 200},
		{[]string{"If-Match", `"other"`}, 412},
		{[]string{"If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "W/" + etag}, 304},
		{[]string{"If-None-Match", "*"}, 304},
		{[]string{"If-None-Match", `"other"`}, 200},
		{[]string{"If-Modified-Since", before}, 200},
		{[]string{"If-Modified-Since", after}, 304},
		{[]string{"If-Modified-Since", "yesterday"}, 200},
		{[]string{"If-Modified-Since", modified.Add(24 * time.Hour).Format(http.TimeFormat)}, 200},
		{[]string{"If-Unmodified-Since", before}, 412},
		{[]string{"If-Unmodified-Since", after}, 200},
		// An ETag outweighs a time, and what leads to 412 what leads to 304.
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200},
		{[]string{"If-None-Match", `"other"`, "If-Modified-Since", after}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304},
		{[]string{"If-Match", `"other"`, "If-None-Match", etag}, 412},
		{[]string{"If-Match", etag, "If-None-Match", etag}, 304},
		{[]string{"If-None-Match", etag, "Range", "bytes=99-"}, 304},
	}
	for _, test := range tests {
		for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject} {
			r := request(op, "a", nil, test.headers...)
			if test.status == http.StatusPreconditionFailed {
				refused(t, d, r, s3api.PreconditionFailed)
				continue
			}
			got := must(t, d, r)
			if got.status != test.status || got.header.Get("ETag") != etag || test.status == 304 && (got.body != nil || got.length != 0) {
				t.Errorf("%s %q: %d %v", op, test.headers, got.status, got.header)
			}
		}
	}
}

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

func TestOverridesOfHeaders(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", "x", "Content-Type", "text/plain", "Content-Encoding", "aws-chunked, gzip", "Expires", "never")
	got := get(t, d, "a", "?response-content-type", "text/html", "?response-content-disposition", "attachment", "?versionId", "null")
	for name, want := range map[string]string{
		"Content-Type": "text/html", "Content-Disposition": "attachment", "Content-Encoding": "gzip", "Expires": "never",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s = %q", name, got.header.Get(name))
		}
	}
	refused(t, d, request(s3api.GetObject, "a", nil, "?versionId", "1"), s3api.NoSuchVersion)
	refused(t, d, request(s3api.GetObject, "a", nil, "?versionId", ""), s3api.InvalidArgument)
	refused(t, d, request(s3api.DeleteObject, "a", nil, "?versionId", "1"), s3api.NoSuchVersion)
}

func TestCopies(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	other, _ := open(t)
	etag := put(t, other, "from", "hello", "Content-Type", "text/plain", "X-Amz-Meta-A", "1", "X-Amz-Tagging", "a=1",
		"X-Amz-Checksum-Crc32", "NhCmhg==", "X-Amz-Storage-Class", "STANDARD_IA").header.Get("ETag")
	a := copyTo(t, d, "x/to", other, "from", "X-Amz-Copy-Source-If-Match", etag)
	var result struct{ ETag, ChecksumCRC32, ChecksumType string }
	if err := xml.Unmarshal(a.body, &result); err != nil || result.ETag != etag || result.ChecksumCRC32 != "NhCmhg==" || result.ChecksumType != "FULL_OBJECT" {
		t.Errorf("%s (%v)", a.body, err)
	}
	got := get(t, d, "x/to").header
	if got.Get("Content-Type") != "text/plain" || got.Get("X-Amz-Meta-A") != "1" || got.Get("X-Amz-Tagging-Count") != "1" || got.Get("X-Amz-Storage-Class") != "" {
		t.Errorf("%v", got)
	}
	copyTo(t, d, "x/to", other, "from", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Meta-B", "2", "X-Amz-Checksum-Algorithm", "SHA256")
	got = get(t, d, "x/to", "X-Amz-Checksum-Mode", "enabled").header
	if got.Get("X-Amz-Meta-A") != "" || got.Get("X-Amz-Meta-B") != "2" || got.Get("X-Amz-Tagging-Count") != "" || got.Get("X-Amz-Checksum-Sha256") == "" {
		t.Errorf("%v", got)
	}
	// Onto itself, also through another bucket of the folder.
	again := openAt(t, d.root.Name())
	for _, self := range []*Dir{d, again} {
		refused(t, d, copyRequest("x/to", self, "x/to"), s3api.InvalidRequest)
		copyTo(t, d, "x/to", self, "x/to", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-C", "3")
	}
	if got := get(t, d, "x/to"); string(got.body) != "hello" || got.header.Get("X-Amz-Meta-C") != "3" {
		t.Errorf("%q %v", got.body, got.header)
	}
	for code, r := range map[string]*s3api.Request{
		s3api.NoSuchKey:                copyRequest("b", other, "none"),
		s3api.PreconditionFailed:       copyRequest("b", other, "from", "X-Amz-Copy-Source-If-None-Match", etag),
		s3api.PreconditionFailed + " ": copyRequest("b", other, "from", "X-Amz-Copy-Source-If-Match", `"x"`),
		s3api.InvalidArgument:          copyRequest("b", other, "from", "X-Amz-Metadata-Directive", "copy"),
		s3api.InvalidRequest:           copyRequest("b", other, "from", "X-Amz-Checksum-Algorithm", "MD5"),
		s3api.NotImplemented:           copyRequest("b", elsewhere{}, "from"),
		s3api.NotImplemented + " ":     copyRequest("b", nil, "from"),
	} {
		refused(t, d, r, strings.TrimSpace(code))
	}
	r := copyRequest("b", other, "from")
	r.Source.VersionID = "v1"
	refused(t, d, r, s3api.NoSuchVersion)
	refused(t, d, request(s3api.CopyObject, "b", nil), s3api.InvalidArgument)
	refused(t, d, request(s3api.GetObject, "b", nil), s3api.NoSuchKey)
}

type elsewhere struct{ s3api.Origin }

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	for _, key := range []string{"a", "b/c", "d&", "keep"} {
		put(t, d, key, "x")
	}
	document := `<?xml version="1.0"?><Delete xmlns="` + xmlns + `">%s<Object><Key>a</Key></Object><Object><Key>none</Key><VersionId>null</VersionId></Object>` +
		`<Object><Key>b/c</Key></Object><Object><Key>../x</Key></Object><Object><Key>keep</Key><VersionId>1</VersionId></Object>` +
		`<Object><Key>keep</Key><ETag>"0"</ETag></Object><Object><Key>keep</Key><Size>1</Size></Object><Object><Key>d&amp;</Key></Object></Delete>`
	for _, quiet := range []bool{false, true} {
		flag, deleted := "", []string{"a", "none", "b/c", "d&"}
		if quiet {
			flag, deleted = "<Quiet>true</Quiet>", nil
		}
		var result struct {
			Deleted []struct{ Key string }
			Error   []struct{ Key, Code string }
		}
		a := must(t, d, request(s3api.DeleteObjects, "", []byte(fmt.Sprintf(document, flag))))
		if err := xml.Unmarshal(a.body, &result); err != nil {
			t.Fatal(err)
		}
		var keys, codes []string
		for _, each := range result.Deleted {
			keys = append(keys, each.Key)
		}
		for _, each := range result.Error {
			codes = append(codes, each.Code)
		}
		want := []string{s3api.InvalidArgument, s3api.NoSuchVersion, s3api.PreconditionFailed, s3api.NotImplemented}
		if !slices.Equal(keys, deleted) || !slices.Equal(codes, want) {
			t.Errorf("deleted %q, errors %q", keys, codes)
		}
	}
	if got := list(t, d, s3api.ListObjectsV2).keys(); !slices.Equal(got, []string{"keep"}) {
		t.Errorf("left %q", got)
	}
	one := []byte("<Delete><Object><Key>keep</Key></Object></Delete>")
	refused(t, d, request(s3api.DeleteObjects, "", one, "X-Amz-Checksum-Crc32", "AAAAAA=="), s3api.BadDigest)
	refused(t, d, request(s3api.DeleteObjects, "", one, "Content-Md5", base64.StdEncoding.EncodeToString(make([]byte, 16))), s3api.BadDigest)
	many := "<Delete>" + strings.Repeat("<Object><Key>keep</Key></Object>", maxDeleted+1) + "</Delete>"
	for _, bad := range []string{
		"", "x", "<Delete>", "<Delete></Delete>", "<Delete/>", "<Other><Object><Key>keep</Key></Object></Other>", many,
		"<Delete><Object></Object></Delete>", "<Delete><Object><Key>keep</Key><Key>x</Key></Object></Delete>",
		"<Delete><Object><Key>keep</Key></Object></Delete><Delete/>", "<Delete><Object><Key>keep</Key></Object></Delete>x",
		`<!DOCTYPE d [<!ENTITY e "keep">]><Delete><Object><Key>&e;</Key></Object></Delete>`, "<Delete><Object><Key>&e;</Key></Object></Delete>",
	} {
		refused(t, d, request(s3api.DeleteObjects, "", []byte(bad)), s3api.MalformedXML)
	}
	get(t, d, "keep")
}

func TestTags(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	write(t, folder, "hand", "x")
	put(t, d, "a", "x", "X-Amz-Meta-A", "1", "X-Amz-Tagging", "old=1")
	document := `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>e</Key><Value></Value></Tag></TagSet></Tagging>`
	for _, key := range []string{"a", "hand"} {
		before := get(t, d, key).header
		must(t, d, request(s3api.PutObjectTagging, key, []byte(document)))
		a := must(t, d, request(s3api.GetObjectTagging, key, nil))
		if !strings.Contains(string(a.body), "<TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>e</Key><Value></Value></Tag></TagSet>") {
			t.Errorf("%s", a.body)
		}
		after := get(t, d, key).header
		if after.Get("X-Amz-Tagging-Count") != "2" || after.Get("ETag") != before.Get("ETag") || after.Get("Last-Modified") != before.Get("Last-Modified") || after.Get("X-Amz-Meta-A") != before.Get("X-Amz-Meta-A") {
			t.Errorf("%v, before %v", after, before)
		}
		for _, bad := range []string{"<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>", strings.Replace(document, "<Key>e<", "<Key>k<", 1)} {
			refused(t, d, request(s3api.PutObjectTagging, key, []byte(bad)), s3api.InvalidTag)
		}
		refused(t, d, request(s3api.PutObjectTagging, key, []byte("<Tag/>")), s3api.MalformedXML)
		must(t, d, request(s3api.DeleteObjectTagging, key, nil))
		if get(t, d, key).header.Get("X-Amz-Tagging-Count") != "" {
			t.Error("tags are left")
		}
	}
	for _, op := range []s3api.Operation{s3api.GetObjectTagging, s3api.DeleteObjectTagging} {
		refused(t, d, request(op, "none", nil), s3api.NoSuchKey)
	}
	refused(t, d, request(s3api.PutObjectTagging, "none", []byte(document)), s3api.NoSuchKey)
}

func TestWhatAFolderHasNot(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", "x")
	for _, op := range []s3api.Operation{
		s3api.GetObjectACL, s3api.PutObjectACL, s3api.GetObjectRetention, s3api.PutObjectRetention, s3api.GetObjectLegalHold,
		s3api.PutObjectLegalHold, s3api.ListBuckets, "SelectObjectContent", "",
	} {
		refused(t, d, request(op, "a", nil), s3api.NotImplemented)
	}
	if got := must(t, d, request(s3api.HeadBucket, "", nil)); got.status != http.StatusOK || got.header.Get("X-Amz-Bucket-Region") != "us-east-1" {
		t.Errorf("%+v", got)
	}
	if got := must(t, d, request(s3api.GetBucketLocation, "", nil)); !strings.HasSuffix(string(got.body), `<LocationConstraint xmlns="`+xmlns+`"></LocationConstraint>`) {
		t.Errorf("%s", got.body)
	}
}
