package s3origin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
)

// What was authorised is what is signed and sent, to the byte.
func TestVulnerability41KeyThatIsAuthorisedIsKeyThatIsSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	for key, path := range map[string]string{
		"a":                                    "a",
		"a/b c":                                "a/b%20c",
		"a+b=c&d?e#f":                          "a%2Bb%3Dc%26d%3Fe%23f",
		"%2e%2e/x":                             "%252e%252e/x",
		"a%2fb":                                "a%252fb",
		"a/b/":                                 "a/b/",
		"..a/b../...":                          "..a/b../...",
		"ü/日本":                                 "%C3%BC/%E6%97%A5%E6%9C%AC",
		"~-_.!'()*:@,;":                        "~-_.%21%27%28%29%2A%3A%40%2C%3B",
		strings.Repeat("k", 1024-len("team/")): strings.Repeat("k", 1024-len("team/")),
	} {
		r.do(t, request(s3api.GetObject, key))
		got := r.store.last(t)
		if want := "/real-bucket/team/" + path; got.path != want {
			t.Errorf("%q was asked as %s, want %s", key, got.path, want)
		}
		if decoded, err := url.PathUnescape(got.path); err != nil || decoded != "/real-bucket/team/"+key {
			t.Errorf("%q reads as %q", key, decoded)
		}
	}
}

func TestVulnerability41KeysThatStoresReadDifferently(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	for _, key := range []string{"..", ".", "../x", "a/../b", "a/./b", "a/..", "a/.", "./a", "a\x00b", "a\xffb", "/..", "//../x", "/a", "a//b", "a//", `a\b`, "a\nb", "a\x7f"} {
		for _, operation := range []s3api.Operation{s3api.GetObject, s3api.HeadObject, s3api.DeleteObject} {
			r.refused(t, s3api.InvalidArgument, request(operation, key))
		}
		r.refused(t, s3api.InvalidArgument, put(key, []byte("x")))
		from := request(s3api.CopyObject, "b")
		from.Source = &s3api.Source{Origin: r.Origin, Key: key}
		r.refused(t, s3api.InvalidArgument, from)
		if !strings.ContainsRune(key, 0) && utf8.ValidString(key) {
			r.refused(t, s3api.InvalidArgument, withText(request(s3api.DeleteObjects, "", "delete", ""), "<Delete><Object><Key>"+key+"</Key></Object></Delete>"))
		}
	}
	for _, start := range []string{"/", "a//", "a//b", `a\`} {
		r.refused(t, s3api.InvalidArgument, request(s3api.ListObjects, "", "prefix", start))
	}
	for _, start := range []string{"../", "a/../", "./a", "../x", "a\x00", "a\n", "\xff"} {
		for _, name := range []string{"prefix", "marker"} {
			r.refused(t, s3api.InvalidArgument, request(s3api.ListObjects, "", name, start))
		}
		r.refused(t, s3api.InvalidArgument, request(s3api.ListObjectsV2, "", "list-type", "2", "start-after", start))
		r.refused(t, s3api.InvalidArgument, request(s3api.ListObjectVersions, "", "versions", "", "key-marker", start))
	}
	r.refused(t, s3api.KeyTooLong, request(s3api.GetObject, strings.Repeat("k", 1025-len("team/"))))
	if r.store.count() != 0 {
		t.Error("the store was asked")
	}
	r.store.set(answerWith(200, `<ListBucketResult></ListBucketResult>`))
	r.do(t, request(s3api.ListObjects, "", "prefix", ".."))     // may start ..name
	for _, marker := range []string{"..", "a//b", `a\b`, "/"} { // the last of a page: the store may have it
		r.do(t, request(s3api.ListObjects, "", "marker", marker))
	}
}

func TestRequestHasNothingOfTheClientsThatIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	p := put("a", []byte("body"))
	p.Header = http.Header{
		"Authorization": {"AWS4-HMAC-SHA256 client's"}, "X-Amz-Security-Token": {"client's"}, "X-Amz-Date": {"20200101T000000Z"},
		"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}, "X-Amz-Copy-Source": {"/other/secret"}, "X-Amz-Decoded-Content-Length": {"99"},
		"X-Amz-Trailer": {"x-amz-checksum-crc32"}, "Connection": {"X-Amz-Meta-A"}, "Transfer-Encoding": {"chunked"}, "Expect": {"100-continue"},
		"User-Agent": {"client"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"99"}, "Host": {"evil"}, "Te": {"trailers"}, "Trailer": {"x"},
		"X-Amz-Meta-A": {"one", "two"}, "Content-Type": {"text/plain"}, "Content-Encoding": {"aws-chunked, gzip", "aws-chunked"},
	}
	before := p.Header.Clone()
	r.do(t, p)
	got := r.store.last(t)
	for name := range p.Header {
		want := strings.Join(p.Header[name], "|")
		switch name {
		case "Content-Encoding":
			want = "gzip"
		case "X-Amz-Meta-A", "Content-Type":
		case "Content-Length":
			want = "4"
		default:
			if strings.Contains(strings.Join(got.header[name], ""), want) {
				t.Errorf("%s: %q was passed on", name, got.header[name])
			}
			continue
		}
		if have := strings.Join(got.header[name], "|"); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if got.header.Get("User-Agent") != "countersign" || got.body != "body" {
		t.Errorf("%+v", got)
	}
	for name := range before {
		if strings.Join(before[name], "|") != strings.Join(p.Header[name], "|") {
			t.Errorf("%s of the request was changed", name)
		}
	}
}

// An operation that says one thing and a request that says another are refused: what would
// be done is not what was decided.
func TestRequestThatIsNotItsOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	wrongMethod := request(s3api.GetObject, "a")
	wrongMethod.Method = "DELETE"
	twice := request(s3api.GetObject, "a", "versionId", "1")
	twice.Query["versionId"] = []string{"1", "2"}
	source := request(s3api.GetObject, "a")
	source.Source = &s3api.Source{Origin: r.Origin, Key: "b"}
	for name, q := range map[string]*s3api.Request{
		"method": wrongMethod, "twice": twice, "source": source,
		"no source":           request(s3api.CopyObject, "a"),
		"no key":              request(s3api.GetObject, ""),
		"a key":               request(s3api.ListObjects, "a"),
		"ACL of a get":        request(s3api.GetObject, "a", "acl", ""),
		"upload of a put":     withText(request(s3api.PutObject, "a", "uploadId", "1"), "x"),
		"policy":              request(s3api.ListObjects, "", "policy", ""),
		"no selector":         request(s3api.GetObjectTagging, "a"),
		"two selectors":       request(s3api.GetObjectTagging, "a", "tagging", "", "acl", ""),
		"body of a get":       withText(request(s3api.GetObject, "a"), "x"),
		"part without number": withText(request(s3api.UploadPart, "a", "uploadId", "1"), "x"),
	} {
		if err := r.fails(t, countersign.Internal, q); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	r.refused(t, s3api.NotImplemented, request("PutBucketPolicy", ""))
	r.refused(t, s3api.NotImplemented, request(s3api.ListBuckets, ""))
	if r.store.count() != 0 {
		t.Error("the store was asked")
	}
}

// TestOperationsAreAllThere: what the gateway knows an origin knows too.
func TestOperationsAreAllThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	for _, operation := range []s3api.Operation{
		s3api.HeadBucket, s3api.GetBucketLocation, s3api.ListObjects, s3api.ListObjectsV2, s3api.ListObjectVersions, s3api.ListMultipartUploads,
		s3api.DeleteObjects, s3api.GetObject, s3api.HeadObject, s3api.GetObjectAttributes, s3api.PutObject, s3api.CopyObject, s3api.DeleteObject,
		s3api.GetObjectTagging, s3api.PutObjectTagging, s3api.DeleteObjectTagging, s3api.GetObjectACL, s3api.PutObjectACL, s3api.GetObjectRetention,
		s3api.PutObjectRetention, s3api.GetObjectLegalHold, s3api.PutObjectLegalHold, s3api.CreateMultipartUpload, s3api.UploadPart,
		s3api.UploadPartCopy, s3api.ListParts, s3api.CompleteMultipartUpload, s3api.AbortMultipartUpload,
	} {
		bare := request(operation, "")
		bare.Method = "TRACE" // never fits
		if err := r.fails(t, countersign.Internal, bare); err == nil {
			t.Errorf("%s is not known", operation)
		}
	}
}

func TestVirtualHostStyle(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok, func(cfg *s3origin.OriginConfig) {
		cfg.Store.Endpoint = strings.Replace(cfg.Store.Endpoint, "127.0.0.1", "localhost", 1)
		cfg.Store.VirtualHost = true
	})
	// No resolver knows real-bucket.localhost everywhere, and the filter lets only what is
	// written as a loopback dial one: what would be asked is in the error's place.
	if _, err := r.Do(t.Context(), request(s3api.GetObject, "a")); err == nil || r.store.count() != 0 {
		t.Errorf("a host that is no loopback: %v", err)
	}
	for _, bucket := range []string{"", "a", "a/b", "..", ".a", "a%2f", "a b", "a?x", "ü" + "xx"} {
		cfg := s3origin.OriginConfig{Store: s3origin.Store{Endpoint: "https://s3.example.com", Bucket: bucket}, Bucket: "documents"}
		if _, err := s3origin.New(cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("bucket %q: %v", bucket, err)
		}
	}
}
