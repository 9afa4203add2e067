//go:build clients

package origins

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestMultipartUploadToARealStore(t *testing.T) {
	r := newRig(t)
	_, text := r.do(t, request(s3api.CreateMultipartUpload, "big file", "uploads", ""))
	var created struct{ Bucket, Key, UploadID string }
	created.UploadID = between(string(text), "<UploadId>", "</UploadId>")
	if err := xml.Unmarshal(text, &created); err != nil || created.Bucket != "documents" || created.Key != "big file" || created.UploadID == "" {
		t.Fatalf("created: %s, %v", text, err)
	}
	first, second := bytes.Repeat([]byte("a"), 5<<20), []byte("the end")
	parts := ""
	for i, body := range [][]byte{first, second} {
		p := request(s3api.UploadPart, "big file", "uploadId", created.UploadID, "partNumber", strconv.Itoa(i+1))
		resp, _ := r.do(t, withBody(p, bytes.NewReader(body), len(body)))
		parts += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, strings.ReplaceAll(resp.Header.Get("Etag"), `"`, "&quot;"))
	}
	if l := r.list(t, request(s3api.ListMultipartUploads, "", "uploads", "")); l.Bucket != "documents" || len(l.Upload) != 1 || l.Upload[0].Key != "big file" {
		t.Errorf("uploads: %+v", l)
	}
	_, text = r.do(t, request(s3api.ListParts, "big file", "uploadId", created.UploadID))
	if s := string(text); strings.Contains(s, prefix) || strings.Contains(s, "real-bucket") || strings.Contains(s, r.server.AccessKeyID) || strings.Count(s, "<Part>") != 2 {
		t.Errorf("parts: %s", text)
	}
	complete := func(parts string) *s3api.Request {
		body := "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"
		return withBody(request(s3api.CompleteMultipartUpload, "big file", "uploadId", created.UploadID), strings.NewReader(body), len(body))
	}
	r.refused(t, s3api.InvalidPart, complete(`<Part><PartNumber>1</PartNumber><ETag>"00000000000000000000000000000000"</ETag></Part>`))
	_, text = r.do(t, complete(parts))
	if s := string(text); between(s, "<Location>", "</Location>") != "https://s3.example.com/documents/big%20file" || between(s, "<Key>", "</Key>") != "big file" ||
		between(s, "<Bucket>", "</Bucket>") != "documents" {
		t.Errorf("completed: %s", text)
	}
	if _, got := r.do(t, request(s3api.GetObject, "big file")); len(got) != len(first)+len(second) {
		t.Errorf("got %d bytes", len(got))
	}
	r.refused(t, s3api.NoSuchUpload, request(s3api.AbortMultipartUpload, "big file", "uploadId", created.UploadID))

	_, text = r.do(t, request(s3api.CreateMultipartUpload, "copy", "uploads", ""))
	id := between(string(text), "<UploadId>", "</UploadId>")
	part := request(s3api.UploadPartCopy, "copy", "uploadId", id, "partNumber", "1")
	part.Source = &s3api.Source{Origin: r.Origin, Bucket: "documents", Key: "big file"}
	part.Header.Set("X-Amz-Copy-Source-Range", "bytes=0-9")
	if _, text = r.do(t, part); !strings.Contains(string(text), "<ETag>") {
		t.Errorf("part copied: %s", text)
	}
	r.do(t, request(s3api.AbortMultipartUpload, "copy", "uploadId", id))
	r.refused(t, s3api.NoSuchUpload, request(s3api.ListParts, "copy", "uploadId", id))
}

func TestCopyAndDeleteInARealStore(t *testing.T) {
	r := newRig(t)
	r.do(t, put("a b/ü+1", []byte("one")))
	other := &rig{Origin: r.origin(t, "real-bucket", "other/"), server: r.server}
	copied := request(s3api.CopyObject, "there")
	copied.Source = &s3api.Source{Origin: r.Origin, Bucket: "documents", Key: "a b/ü+1"}
	// Of another file with the same secret nobody knows that it is the same.
	other.refused(t, s3api.NotImplemented, copied)
	if _, text := r.do(t, copied); !strings.Contains(string(text), "<ETag>") {
		t.Errorf("copied: %s", text)
	}
	if _, got := r.do(t, request(s3api.GetObject, "there")); string(got) != "one" {
		t.Errorf("the copy: %q", got)
	}
	copied.Source.Key = "absent"
	r.refused(t, s3api.NoSuchKey, copied)

	body := `<Delete><Object><Key>a b/ü+1</Key></Object><Object><Key>there</Key></Object><Object><Key>never was</Key></Object></Delete>`
	_, text := r.do(t, withBody(request(s3api.DeleteObjects, "", "delete", ""), strings.NewReader(body), len(body)))
	if s := string(text); strings.Count(s, "<Deleted>") != 3 || strings.Contains(s, prefix) || !strings.Contains(s, "<Key>a b/ü+1</Key>") {
		t.Errorf("deleted: %s", text)
	}
	if l := r.list(t, request(s3api.ListObjects, "")); l.keys() != "" {
		t.Errorf("left: %+v", l)
	}
	r.do(t, request(s3api.HeadBucket, ""))
}

func TestTaggingOfARealStore(t *testing.T) {
	r := newRig(t)
	r.do(t, put("a", []byte("one")))
	body := `<Tagging><TagSet><Tag><Key>color</Key><Value>red</Value></Tag></TagSet></Tagging>`
	r.do(t, withBody(request(s3api.PutObjectTagging, "a", "tagging", ""), strings.NewReader(body), len(body)))
	if _, text := r.do(t, request(s3api.GetObjectTagging, "a", "tagging", "")); !strings.Contains(string(text), "red") {
		t.Errorf("tags: %s", text)
	}
	r.do(t, request(s3api.DeleteObjectTagging, "a", "tagging", ""))
}

func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	found, _, _ := strings.Cut(rest, to)
	return found
}
