//go:build clients

package origins

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestObjectsOfARealStore(t *testing.T) {
	r := newRig(t)
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 5 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for name, change := range map[string]func(*s3api.Request){
			"unsigned": func(*s3api.Request) {},
			"hashed":   func(p *s3api.Request) { p.PayloadHash = hashOf(body) },
			"trailer": func(p *s3api.Request) {
				sum := s3api.CRC32.New()
				sum.Write(body)
				p.Trailer, p.TrailerValue = "x-amz-checksum-crc32", func() string { return s3api.CRC32.Encode(sum.Sum(nil)) }
			},
		} {
			p := put("resumes/a b+ü&é=.txt", body)
			p.Header.Set("Content-Type", "text/plain")
			p.Header.Set("X-Amz-Meta-Color", "red")
			change(p)
			resp, _ := r.do(t, p)
			if resp.Header.Get("Etag") == "" {
				t.Errorf("%s %d: no ETag: %v", name, size, resp.Header)
			}
			get := request(s3api.GetObject, p.Key)
			get.Header.Set("X-Amz-Checksum-Mode", "ENABLED")
			resp, got := r.do(t, get)
			if !bytes.Equal(got, body) || resp.Header.Get("X-Amz-Meta-Color") != "red" || resp.Header.Get("Content-Type") != "text/plain" {
				t.Fatalf("%s %d: got %d bytes back, %v", name, size, len(got), resp.Header)
			}
			if name == "trailer" && resp.Header.Get("X-Amz-Checksum-Crc32") == "" {
				t.Errorf("%d: the checksum was not kept: %v", size, resp.Header)
			}
			if resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s %d: Content-Encoding %q", name, size, resp.Header.Get("Content-Encoding"))
			}
			head, _ := r.do(t, request(s3api.HeadObject, p.Key))
			if head.ContentLength != int64(size) {
				t.Errorf("%s %d: head says %d", name, size, head.ContentLength)
			}
		}
	}
	get := request(s3api.GetObject, "resumes/a b+ü&é=.txt")
	get.Header.Set("Range", "bytes=3-6")
	if resp, got := r.do(t, get); resp.Status != 206 || string(got) != "3456" {
		t.Errorf("range: %d %q", resp.Status, got)
	}
	get.Header.Set("Range", "bytes=99999999-")
	r.refused(t, s3api.InvalidRange, get)
	r.do(t, request(s3api.DeleteObject, get.Key))
	r.refused(t, s3api.NoSuchKey, request(s3api.GetObject, get.Key))
	r.refused(t, s3api.NoSuchKey, request(s3api.HeadObject, get.Key))
}

// listing is what the answers of lists have in common.
type listing struct {
	Name, Bucket, Prefix, Marker, NextMarker, StartAfter, ContinuationToken, NextContinuationToken, KeyMarker string
	IsTruncated                                                                                               bool
	Contents                                                                                                  []struct{ Key string }
	Upload                                                                                                    []struct{ Key, UploadID string }
	CommonPrefixes                                                                                            []struct{ Prefix string }
}

func (r *rig) list(t *testing.T, request *s3api.Request) listing {
	t.Helper()
	_, text := r.do(t, request)
	if strings.Contains(string(text), prefix) || strings.Contains(string(text), "real-bucket") || strings.Contains(string(text), r.server.AccessKeyID) {
		t.Errorf("%s names what the client is not to see: %s", request.Operation, text)
	}
	var l listing
	if err := xml.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l listing) keys() string {
	var keys []string
	for _, c := range l.Contents {
		keys = append(keys, c.Key)
	}
	for _, c := range l.CommonPrefixes {
		keys = append(keys, c.Prefix)
	}
	return strings.Join(keys, " ")
}

func TestListsOfARealStoreAreOfTheClientsKeys(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a/1", "a/2", "b/&<3", "c"} {
		r.do(t, put(key, []byte(key)))
	}
	// Another tenant's, in the same bucket of the store.
	other := rig{Origin: r.origin(t, "real-bucket", "other/"), server: r.server}
	other.do(t, put("secret", []byte("x")))
	for _, version := range []s3api.Operation{s3api.ListObjects, s3api.ListObjectsV2} {
		more := []string{"fetch-owner", "true", "encoding-type", "url"}
		if version == s3api.ListObjectsV2 {
			more = append(more, "list-type", "2")
		}
		list := func(pairs ...string) listing { return r.list(t, request(version, "", append(pairs, more...)...)) }
		if l := list(); l.keys() != "a/1 a/2 b/&<3 c" || l.Name != "documents" || l.Prefix != "" {
			t.Errorf("%s: %+v", version, l)
		}
		if l := list("prefix", "a/"); l.keys() != "a/1 a/2" || l.Prefix != "a/" {
			t.Errorf("%s of a/: %+v", version, l)
		}
		if l := list("delimiter", "/"); l.keys() != "c a/ b/" {
			t.Errorf("%s by /: %+v", version, l)
		}
		r.refused(t, s3api.InvalidArgument, request(version, "", append(more, "prefix", "../other/")...))
	}
	if l := r.list(t, request(s3api.ListObjects, "", "max-keys", "1", "marker", "a/1")); l.keys() != "a/2" || !l.IsTruncated || l.Marker != "a/1" {
		t.Errorf("marker: %+v", l)
	}
	if l := r.list(t, request(s3api.ListObjectsV2, "", "list-type", "2", "start-after", "a/2")); l.keys() != "b/&<3 c" || l.StartAfter != "a/2" {
		t.Errorf("start-after: %+v", l)
	}
	token, all := "", ""
	for range 5 {
		page := request(s3api.ListObjectsV2, "", "list-type", "2", "max-keys", "1")
		if token != "" {
			page.Query.Set("continuation-token", token)
		}
		l := r.list(t, page)
		if all += l.keys() + " "; l.ContinuationToken != token {
			t.Errorf("token %q came back as %q", token, l.ContinuationToken)
		}
		if token = l.NextContinuationToken; !l.IsTruncated {
			break
		}
	}
	if all != "a/1 a/2 b/&<3 c " {
		t.Errorf("page by page: %q", all)
	}
	r.refused(t, s3api.InvalidArgument, request(s3api.ListObjectsV2, "", "list-type", "2", "continuation-token", "other/"))
}
