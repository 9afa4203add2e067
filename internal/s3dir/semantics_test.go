package s3dir

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

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
