package s3dir

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestUploadInParts(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	one, two := strings.Repeat("1", minPartBytes), "two"
	for _, test := range []struct {
		algorithm s3api.Checksum
		kind      string
	}{{"", ""}, {s3api.CRC32, sumOfParts}, {s3api.CRC32, sumOfWhole}, {s3api.CRC32C, sumOfWhole}, {s3api.CRC64NVME, sumOfWhole}, {s3api.SHA256, sumOfParts}} {
		pairs := []string{"Content-Type", "text/x", "X-Amz-Meta-A", "1", "X-Amz-Tagging", "t=1"}
		if test.algorithm != "" {
			pairs = append(pairs, "X-Amz-Checksum-Algorithm", string(test.algorithm), "X-Amz-Checksum-Type", test.kind)
		}
		id := startUpload(t, d, "big", pairs...)
		uploadPart(t, d, "big", id, 7, "replaced")
		etag7 := uploadPart(t, d, "big", id, 7, two).header.Get("ETag")
		etag3 := uploadPart(t, d, "big", id, 3, one).header.Get("ETag")
		uploadPart(t, d, "big", id, 9, "left out")
		document := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>7</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", etag3, etag7)
		complete := func(pairs ...string) *s3api.Request {
			return request(s3api.CompleteMultipartUpload, "big", []byte(document), append(pairs, "?uploadId", id)...)
		}
		refused(t, d, complete("X-Amz-Mp-Object-Size", "5"), s3api.InvalidRequest)
		if test.algorithm != "" {
			refused(t, d, complete(test.algorithm.Header(), test.algorithm.Encode(make([]byte, test.algorithm.Size()))), s3api.BadDigest)
			refused(t, d, complete(s3api.SHA1.Header(), s3api.SHA1.Encode(make([]byte, 20))), s3api.InvalidRequest)
		}
		must(t, d, complete("X-Amz-Mp-Object-Size", strconv.Itoa(len(one)+len(two))))
		refused(t, d, complete(), s3api.NoSuchUpload)

		got := get(t, d, "big", "X-Amz-Checksum-Mode", "ENABLED")
		sums, _ := hex.DecodeString(strings.Trim(etag3, `"`) + strings.Trim(etag7, `"`))
		whole := md5.Sum(sums)
		if string(got.body) != one+two || got.header.Get("ETag") != fmt.Sprintf(`"%x-2"`, whole) || got.header.Get("Content-Type") != "text/x" ||
			got.header.Get("X-Amz-Meta-A") != "1" || got.header.Get("X-Amz-Tagging-Count") != "1" {
			t.Errorf("%s: %d bytes, %v", test.algorithm, len(got.body), got.header)
		}
		if test.algorithm != "" {
			want := sumOf(test.algorithm, one+two)
			if test.kind == sumOfParts {
				raw1, _ := test.algorithm.Decode(sumOf(test.algorithm, one))
				raw2, _ := test.algorithm.Decode(sumOf(test.algorithm, two))
				want = sumOf(test.algorithm, string(raw1)+string(raw2)) + "-2"
			}
			if got.header.Get(test.algorithm.Header()) != want || got.header.Get("X-Amz-Checksum-Type") != test.kind {
				t.Errorf("%s %s: %v, want %s", test.algorithm, test.kind, got.header, want)
			}
		}
		if part := get(t, d, "big", "?partNumber", "2"); part.status != 206 || string(part.body) != two || part.header.Get("X-Amz-Mp-Parts-Count") != "2" {
			t.Errorf("part 2: %d %q %v", part.status, part.body, part.header)
		}
		refused(t, d, request(s3api.GetObject, "big", nil, "?partNumber", "3"), s3api.InvalidPartNumber)
		attributes := must(t, d, request(s3api.GetObjectAttributes, "big", nil, "X-Amz-Object-Attributes", "ETag,ObjectParts,ObjectSize,Checksum,StorageClass"))
		if !strings.Contains(string(attributes.body), "<PartsCount>2</PartsCount>") || !strings.Contains(string(attributes.body), "<ObjectSize>5242883</ObjectSize>") {
			t.Errorf("%s", attributes.body)
		}
	}
	for _, part := range []string{"uploads", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(folder, Hidden, part)); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v (%v)", part, left, err)
		}
	}
}

func sumOf(algorithm s3api.Checksum, text string) string {
	h := algorithm.New()
	h.Write([]byte(text))
	return algorithm.Encode(h.Sum(nil))
}

func TestUploadsRefuse(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	id := startUpload(t, d, "a/b")
	etag := uploadPart(t, d, "a/b", id, 1, "one").header.Get("ETag")
	uploadPart(t, d, "a/b", id, 2, "two")
	for _, bad := range []string{"", "x", "../..", id[:len(id)-2], strings.ToUpper(id), id + "00", strings.Repeat("0", 48), "../" + id} {
		for _, op := range []s3api.Operation{s3api.UploadPart, s3api.ListParts, s3api.CompleteMultipartUpload, s3api.AbortMultipartUpload, s3api.UploadPartCopy} {
			refused(t, d, request(op, "a/b", nil, "?uploadId", bad, "?partNumber", "1"), s3api.NoSuchUpload)
		}
	}
	for _, op := range []s3api.Operation{s3api.UploadPart, s3api.ListParts, s3api.CompleteMultipartUpload, s3api.AbortMultipartUpload} {
		refused(t, d, request(op, "a/c", nil, "?uploadId", id, "?partNumber", "1"), s3api.NoSuchUpload) // of another key
	}
	for _, number := range []string{"0", "-1", "10001", "x", "", "01", "+1"} {
		refused(t, d, request(s3api.UploadPart, "a/b", nil, "?uploadId", id, "?partNumber", number), s3api.InvalidArgument)
	}
	refused(t, d, partRequest("a/b", id, 1, "x", "Content-Md5", "x"), s3api.InvalidDigest)
	part := func(number int, etag string) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, etag)
	}
	for document, code := range map[string]string{
		"":                                     s3api.MalformedXML,
		part(1, etag) + part(1, etag):          s3api.InvalidPartOrder,
		part(2, etagOf("two")) + part(1, etag): s3api.InvalidPartOrder,
		part(1, etagOf("two")):                 s3api.InvalidPart,
		part(1, ""):                            s3api.InvalidPart,
		part(3, etag):                          s3api.InvalidPart,
		part(0, etag):                          s3api.InvalidArgument,
		part(10001, etag):                      s3api.InvalidArgument,
		part(1, etag) + part(2, etagOf("two")): s3api.EntityTooSmall,
		"<Part><PartNumber>x</PartNumber></Part>": s3api.MalformedXML,
	} {
		body := "<CompleteMultipartUpload>" + document + "</CompleteMultipartUpload>"
		refused(t, d, request(s3api.CompleteMultipartUpload, "a/b", []byte(body), "?uploadId", id), code)
	}
	refused(t, d, withHeader(completeRequest("a/b", id, etag), "If-Match", "*"), s3api.NoSuchKey)
	put(t, d, "a/b", "x")
	refused(t, d, withHeader(completeRequest("a/b", id, etag), "If-None-Match", "*"), s3api.PreconditionFailed)
	must(t, d, request(s3api.AbortMultipartUpload, "a/b", nil, "?uploadId", id))
	refused(t, d, request(s3api.AbortMultipartUpload, "a/b", nil, "?uploadId", id), s3api.NoSuchUpload)
	refused(t, d, partRequest("a/b", id, 1, "x"), s3api.NoSuchUpload)
	if got := get(t, d, "a/b"); string(got.body) != "x" {
		t.Errorf("holds %q", got.body)
	}
	for _, pairs := range [][]string{
		{"X-Amz-Checksum-Algorithm", "MD5"}, {"X-Amz-Checksum-Type", sumOfWhole}, {"X-Amz-Checksum-Algorithm", "SHA256", "X-Amz-Checksum-Type", sumOfWhole},
		{"X-Amz-Checksum-Algorithm", "CRC64NVME", "X-Amz-Checksum-Type", sumOfParts}, {"X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "x"},
	} {
		refused(t, d, request(s3api.CreateMultipartUpload, "a", nil, pairs...), s3api.InvalidRequest)
	}
	id = startUpload(t, d, "sum", "X-Amz-Checksum-Algorithm", "SHA256")
	refused(t, d, partRequest("sum", id, 1, "x", "X-Amz-Checksum-Sha1", sumOf(s3api.SHA1, "x")), s3api.InvalidRequest)
	refused(t, d, partRequest("sum", id, 1, "x", "X-Amz-Checksum-Sha256", sumOf(s3api.SHA256, "y")), s3api.BadDigest)
	uploadPart(t, d, "sum", id, 1, "x")
	wrong := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etagOf("x") + "</ETag><ChecksumSHA256>" + sumOf(s3api.SHA256, "y") + "</ChecksumSHA256></Part></CompleteMultipartUpload>"
	refused(t, d, request(s3api.CompleteMultipartUpload, "sum", []byte(wrong), "?uploadId", id), s3api.InvalidPart)
}

func withHeader(r *s3api.Request, name, value string) *s3api.Request {
	r.Header.Set(name, value)
	return r
}

func TestPartsAndUploadsAreListed(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	ids := map[string][]string{}
	for _, key := range []string{"b", "a/1", "a/2", "b", "c d", "b"} {
		ids[key] = append(ids[key], startUpload(t, d, key))
	}
	for number := range 5 {
		uploadPart(t, d, "b", ids["b"][0], 2*number+1, strconv.Itoa(number))
	}
	type parts struct {
		Part []struct {
			PartNumber, Size int
			ETag             string
		}
		IsTruncated          bool
		NextPartNumberMarker int
	}
	var numbers []int
	for marker := 0; ; {
		var page parts
		a := must(t, d, request(s3api.ListParts, "b", nil, "?uploadId", ids["b"][0], "?max-parts", "2", "?part-number-marker", strconv.Itoa(marker)))
		if err := xml.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, part := range page.Part {
			numbers = append(numbers, part.PartNumber)
			if part.Size != 1 || part.ETag != etagOf(strconv.Itoa(part.PartNumber/2)) {
				t.Errorf("%+v", part)
			}
		}
		if !page.IsTruncated {
			break
		}
		marker = page.NextPartNumberMarker
	}
	if !slices.Equal(numbers, []int{1, 3, 5, 7, 9}) {
		t.Errorf("parts %v", numbers)
	}
	refused(t, d, request(s3api.ListParts, "b", nil, "?uploadId", ids["b"][0], "?max-parts", "x"), s3api.InvalidArgument)

	type uploads struct {
		Upload                            []struct{ Key, UploadId string }
		CommonPrefixes                    []struct{ Prefix string }
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string
	}
	all := func(pairs ...string) (got []string) {
		for keyMarker, idMarker := "", ""; ; {
			var page uploads
			a := must(t, d, request(s3api.ListMultipartUploads, "", nil, append(pairs, "?key-marker", keyMarker, "?upload-id-marker", idMarker)...))
			if err := xml.Unmarshal(a.body, &page); err != nil {
				t.Fatal(err)
			}
			for _, each := range page.CommonPrefixes {
				got = append(got, each.Prefix)
			}
			for _, each := range page.Upload {
				got = append(got, each.Key+" "+strconv.Itoa(slices.Index(ids[each.Key], each.UploadId)))
			}
			if !page.IsTruncated {
				return got
			}
			keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIdMarker
		}
	}
	for _, limit := range []string{"1", "2", "3", "1000"} {
		if got, want := all("?max-uploads", limit), []string{"a/1 0", "a/2 0", "b 0", "b 1", "b 2", "c d 0"}; !slices.Equal(got, want) {
			t.Errorf("max %s: %q", limit, got)
		}
		if got, want := all("?max-uploads", limit, "?delimiter", "/"), []string{"a/", "b 0", "b 1", "b 2", "c d 0"}; !slices.Equal(got, want) {
			t.Errorf("max %s by folder: %q", limit, got)
		}
		if got, want := all("?max-uploads", limit, "?prefix", "a/"), []string{"a/1 0", "a/2 0"}; !slices.Equal(got, want) {
			t.Errorf("max %s below a/: %q", limit, got)
		}
	}
}

func TestUploadPartCopy(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "from", "0123456789")
	id := startUpload(t, d, "to", "X-Amz-Checksum-Algorithm", "CRC32")
	part := func(header string) *s3api.Request {
		r := request(s3api.UploadPartCopy, "to", nil, "?uploadId", id, "?partNumber", "1")
		if header != "" {
			r.Header.Set("X-Amz-Copy-Source-Range", header)
		}
		r.Source = &s3api.Source{Origin: d, Key: "from"}
		return r
	}
	for _, bad := range []string{"bytes=0-10", "bytes=-3", "bytes=3-", "bytes=3-2", "0-1", "bytes=0-1,3-4", "bytes=a-b"} {
		refused(t, d, part(bad), s3api.InvalidArgument)
	}
	must(t, d, part(""))
	var result struct{ ETag, ChecksumCRC32 string }
	a := must(t, d, part("bytes=2-4"))
	if err := xml.Unmarshal(a.body, &result); err != nil || result.ETag != etagOf("234") || result.ChecksumCRC32 != sumOf(s3api.CRC32, "234") {
		t.Errorf("%s (%v)", a.body, err)
	}
	must(t, d, completeRequest("to", id, etagOf("234")))
	if got := get(t, d, "to"); string(got.body) != "234" {
		t.Errorf("holds %q", got.body)
	}
}
