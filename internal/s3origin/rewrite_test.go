package s3origin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
)

const namespace = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

func TestListAnswersAreOfTheClientsNames(t *testing.T) {
	t.Parallel()
	type list struct {
		operation    s3api.Operation
		pairs        []string
		query        string // what the store is asked
		answer, want string
	}
	owner := `<Owner><ID>account</ID><DisplayName>account</DisplayName></Owner>`
	hidden := `<Owner><ID>countersign</ID><DisplayName>countersign</DisplayName></Owner>`
	for name, test := range map[string]list{
		"V1": {
			s3api.ListObjects, []string{"prefix", "a b", "marker", "a", "delimiter", "/"}, "delimiter=%2F&marker=team%2Fa&prefix=team%2Fa%20b",
			`<ListBucketResult ` + namespace + `><Name>real-bucket</Name><Prefix>team/a b</Prefix><Marker>team/a</Marker><NextMarker>team/z</NextMarker>` +
				`<New attr="&lt;">kept</New><Contents><Key>team/a b&amp;c</Key><Size>1</Size>` + owner + `</Contents><CommonPrefixes><Prefix>team/a b/</Prefix></CommonPrefixes></ListBucketResult>`,
			`<ListBucketResult ` + namespace + `><Name>documents</Name><Prefix>a b</Prefix><Marker>a</Marker><NextMarker>z</NextMarker>` +
				`<New attr="&lt;">kept</New><Contents><Key>a b&amp;c</Key><Size>1</Size>` + hidden + `</Contents><CommonPrefixes><Prefix>a b/</Prefix></CommonPrefixes></ListBucketResult>`,
		},
		"V2, encoded": {
			s3api.ListObjectsV2, []string{"list-type", "2", "start-after", "b", "encoding-type", "url"}, "encoding-type=url&list-type=2&prefix=team%2F&start-after=team%2Fb",
			`<ListBucketResult><Name>real-bucket</Name><Prefix>team%2F</Prefix><StartAfter>team/b</StartAfter><Contents><Key>team%2fa+b%2Bc</Key></Contents>` +
				`<Contents><Key>team/%C3%BC</Key></Contents><NextContinuationToken>abc</NextContinuationToken></ListBucketResult>`,
			`<ListBucketResult><Name>documents</Name><Prefix></Prefix><StartAfter>b</StartAfter><Contents><Key>a+b%2Bc</Key></Contents>` +
				`<Contents><Key>%C3%BC</Key></Contents><NextContinuationToken>tabc</NextContinuationToken></ListBucketResult>`,
		},
		"V2, next page": {
			s3api.ListObjectsV2, []string{"list-type", "2", "continuation-token", "tabc"}, "continuation-token=abc&list-type=2&prefix=team%2F",
			`<ListBucketResult><ContinuationToken>abc</ContinuationToken><NextContinuationToken>team/last</NextContinuationToken></ListBucketResult>`,
			`<ListBucketResult><ContinuationToken>tabc</ContinuationToken><NextContinuationToken>klast</NextContinuationToken></ListBucketResult>`,
		},
		"V2, token of a key": {
			s3api.ListObjectsV2, []string{"list-type", "2", "continuation-token", "klast"}, "continuation-token=team%2Flast&list-type=2&prefix=team%2F",
			`<ListBucketResult/>`, `<ListBucketResult></ListBucketResult>`,
		},
		"versions": {
			s3api.ListObjectVersions, []string{"versions", "", "key-marker", "k", "version-id-marker", "v"}, "key-marker=team%2Fk&prefix=team%2F&version-id-marker=v&versions=",
			`<ListVersionsResult><Name>real-bucket</Name><KeyMarker>team/k</KeyMarker><NextKeyMarker/><Version><Key>team/1</Key>` + owner + `</Version><DeleteMarker><Key>team/2</Key>` + owner + `</DeleteMarker></ListVersionsResult>`,
			`<ListVersionsResult><Name>documents</Name><KeyMarker>k</KeyMarker><NextKeyMarker></NextKeyMarker><Version><Key>1</Key>` + hidden + `</Version><DeleteMarker><Key>2</Key>` + hidden + `</DeleteMarker></ListVersionsResult>`,
		},
		"uploads": {
			s3api.ListMultipartUploads, []string{"uploads", "", "key-marker", "k", "upload-id-marker", "u"}, "key-marker=team%2Fk&prefix=team%2F&upload-id-marker=u&uploads=",
			`<s:ListMultipartUploadsResult xmlns:s="x"><s:Bucket>real-bucket</s:Bucket><s:Upload><s:Key>team/1</s:Key><s:UploadId>team/u</s:UploadId></s:Upload></s:ListMultipartUploadsResult>`,
			`<s:ListMultipartUploadsResult xmlns:s="x"><s:Bucket>documents</s:Bucket><s:Upload><s:Key>1</s:Key><s:UploadId>team/u</s:UploadId></s:Upload></s:ListMultipartUploadsResult>`,
		},
	} {
		r := newRig(t, answerWith(200, test.answer))
		resp, got := r.do(t, request(test.operation, "", test.pairs...))
		if got != test.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, test.want)
		}
		if resp.ContentLength != int64(len(got)) {
			t.Errorf("%s: length %d of %d", name, resp.ContentLength, len(got))
		}
		if asked := r.store.last(t); asked.query != test.query || asked.path != "/real-bucket" {
			t.Errorf("%s: asked %s?%s", name, asked.path, asked.query)
		}
	}
}

func TestOtherAnswersAreOfTheClientsNames(t *testing.T) {
	t.Parallel()
	parts := `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>`
	from := request(s3api.CopyObject, "b")
	for name, test := range map[string]struct {
		request      *s3api.Request
		answer, want string
	}{
		"create": {
			request(s3api.CreateMultipartUpload, "a&b", "uploads", ""),
			`<InitiateMultipartUploadResult><Bucket>real-bucket</Bucket><Key>team/a&amp;b</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>`,
			`<InitiateMultipartUploadResult><Bucket>documents</Bucket><Key>a&amp;b</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>`,
		},
		"parts": {
			request(s3api.ListParts, "a", "uploadId", "u"),
			`<ListPartsResult><Bucket>real-bucket</Bucket><Key>team/a</Key><Initiator><ID>account</ID></Initiator><Part><ETag>"e"</ETag></Part></ListPartsResult>`,
			`<ListPartsResult><Bucket>documents</Bucket><Key>a</Key><Initiator><ID>countersign</ID></Initiator><Part><ETag>&quot;e&quot;</ETag></Part></ListPartsResult>`,
		},
		"complete": {
			withText(request(s3api.CompleteMultipartUpload, "a/b c", "uploadId", "u"), parts),
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n     <CompleteMultipartUploadResult><Location>http://real-bucket.s3/team/a</Location><Bucket>real-bucket</Bucket><Key>team/a</Key><ETag>e</ETag></CompleteMultipartUploadResult>",
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult><Location>/documents/a/b%20c</Location><Bucket>documents</Bucket><Key>a/b c</Key><ETag>e</ETag></CompleteMultipartUploadResult>",
		},
		"copy": {from, `<CopyObjectResult><ETag>e</ETag></CopyObjectResult>`, `<CopyObjectResult><ETag>e</ETag></CopyObjectResult>`},
		"delete": {
			withText(request(s3api.DeleteObjects, "", "delete", ""), `<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key><VersionId>v</VersionId></Object></Delete>`),
			`<DeleteResult><Deleted><Key>team/a&amp;b</Key></Deleted><Error><Key>team/c</Key><Code>AccessDenied</Code><Message>of real-bucket</Message></Error></DeleteResult>`,
			`<DeleteResult><Deleted><Key>a&amp;b</Key></Deleted><Error><Key>c</Key><Code>AccessDenied</Code><Message>the origin refused this key</Message></Error></DeleteResult>`,
		},
	} {
		r := newRig(t, answerWith(200, test.answer))
		if test.request.Operation == s3api.CopyObject {
			test.request.Source = &s3api.Source{Origin: r.Origin, Key: "from +here", VersionID: "v=1"}
		}
		if _, got := r.do(t, test.request); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, test.want)
		}
		asked := r.store.last(t)
		switch name {
		case "copy":
			if source := asked.header.Get("X-Amz-Copy-Source"); source != "/real-bucket/team/from%20%2Bhere?versionId=v%3D1" {
				t.Errorf("copied from %s", source)
			}
		case "delete":
			if asked.body != `<Delete><Quiet>true</Quiet><Object><Key>team/a&amp;b</Key><VersionId>v</VersionId></Object></Delete>` || asked.header.Get("Content-Md5") == "" {
				t.Errorf("asked to delete %s", asked.body)
			}
		case "complete":
			if asked.body != parts {
				t.Errorf("asked to complete %s", asked.body)
			}
		}
	}
}

// What a store answers outside of the prefix is none of this client's to see.
func TestVulnerability41AnswersBelowThePrefixOnly(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`<ListBucketResult><Contents><Key>other/secret</Key></Contents></ListBucketResult>`,
		`<ListBucketResult><Contents><Key></Key></Contents></ListBucketResult>`,
		`<ListBucketResult><Contents><Key>team</Key></Contents></ListBucketResult>`,
		`<ListBucketResult><Contents><Key>Team/a</Key></Contents></ListBucketResult>`,
		`<ListBucketResult><Contents><Key>team%2</Key></Contents></ListBucketResult>`,
		`<ListBucketResult><Contents><Key>team%252Fa</Key></Contents></ListBucketResult>`,
		`<ListBucketResult><CommonPrefixes><Prefix>other/</Prefix></CommonPrefixes></ListBucketResult>`,
		`<ListBucketResult><Prefix>other/</Prefix></ListBucketResult>`,
		`<ListBucketResult><NextMarker>other/x</NextMarker></ListBucketResult>`,
	} {
		r := newRig(t, answerWith(200, answer))
		if err := r.fails(t, countersign.Upstream, request(s3api.ListObjects, "")); err == nil {
			t.Errorf("passed on: %s", answer)
		}
	}
}

// A store that does not know the parameter prefix lists all: that is more than the caller may see.
func TestListOfMoreThanWasAskedForIsNotPassedOn(t *testing.T) {
	t.Parallel()
	entries := map[s3api.Operation][]string{
		s3api.ListObjects:          {"ListBucketResult", "Contents/Key", "CommonPrefixes/Prefix"},
		s3api.ListObjectsV2:        {"ListBucketResult", "Contents/Key", "CommonPrefixes/Prefix"},
		s3api.ListObjectVersions:   {"ListVersionsResult", "Version/Key", "DeleteMarker/Key", "CommonPrefixes/Prefix"},
		s3api.ListMultipartUploads: {"ListMultipartUploadsResult", "Upload/Key", "CommonPrefixes/Prefix"},
	}
	selector := map[s3api.Operation][]string{
		s3api.ListObjectsV2: {"list-type", "2"}, s3api.ListObjectVersions: {"versions", ""}, s3api.ListMultipartUploads: {"uploads", ""},
	}
	answer := func(root, entry, key string) string {
		outer, inner, _ := strings.Cut(entry, "/")
		return "<" + root + "><" + outer + "><" + inner + ">" + key + "</" + inner + "></" + outer + "></" + root + ">"
	}
	for operation, names := range entries {
		for _, entry := range names[1:] {
			asked := func() *s3api.Request {
				return request(operation, "", append(selector[operation], "prefix", "mine/a b")...)
			}
			for _, key := range []string{"team/other", "team/mine/", "team/mine/a", "team/mine%2Fa%2520b", "team/Mine/a b"} {
				if err := newRig(t, answerWith(200, answer(names[0], entry, key))).fails(t, countersign.Upstream, asked()); err == nil {
					t.Errorf("%s passed on %s of %s", operation, entry, key)
				}
			}
			for key, want := range map[string]string{"team/mine/a b": "mine/a b", "team/mine/a b/c": "mine/a b/c", "team%2Fmine%2Fa%20b.txt": "mine%2Fa%20b.txt", "team/mine/a+bc": "mine/a+bc"} {
				r := newRig(t, answerWith(200, answer(names[0], entry, key)))
				if _, got := r.do(t, asked()); got != answer(names[0], entry, want) {
					t.Errorf("%s: %s", operation, got)
				}
			}
		}
	}
}

func TestAnswersThatAreNoDocument(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"empty":      "",
		"HTML":       "<html></html>",
		"cut":        "<ListBucketResult><Contents><Key>team/a</Key>",
		"behind":     "<ListBucketResult></ListBucketResult><ListBucketResult></ListBucketResult>",
		"text":       "<ListBucketResult></ListBucketResult>x",
		"entities":   `<!DOCTYPE l [<!ENTITY a "b">]><ListBucketResult><Name>&a;</Name></ListBucketResult>`,
		"entity":     `<ListBucketResult><Name>&nbsp;</Name></ListBucketResult>`,
		"crossed":    `<ListBucketResult><a><b></a></b></ListBucketResult>`,
		"deep":       "<ListBucketResult>" + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20) + "</ListBucketResult>",
		"attributes": "<ListBucketResult " + strings.Repeat(`a="b" `, 17) + "></ListBucketResult>",
		"nested key": "<ListBucketResult><Contents><Key>team/<x>a</x></Key></Contents></ListBucketResult>",
		"program":    `<ListBucketResult><?php x ?></ListBucketResult>`,
		"other text": `<?xml version="1.0" encoding="UTF-16"?><ListBucketResult></ListBucketResult>`,
		"control":    "<ListBucketResult><Contents><Key>team/\x01</Key></Contents></ListBucketResult>",
		"huge":       "<ListBucketResult><a>" + strings.Repeat("x", 17<<20) + "</a></ListBucketResult>",
		"huge tag":   "<ListBucketResult " + strings.Repeat("x", 17<<20),
	} {
		r := newRig(t, answerWith(200, answer))
		if err := r.fails(t, countersign.Upstream, request(s3api.ListObjects, "")); err == nil {
			t.Errorf("%s was passed on", name)
		}
	}
}

// An error that comes with status 200, because the store had begun to answer, is one.
func TestErrorWithStatus200(t *testing.T) {
	t.Parallel()
	r := newRig(t, refuseWith(200, "InvalidPart"))
	complete := func() *s3api.Request {
		return withText(request(s3api.CompleteMultipartUpload, "a", "uploadId", "u"), "<CompleteMultipartUpload></CompleteMultipartUpload>")
	}
	copied := func() *s3api.Request {
		q := request(s3api.CopyObject, "a")
		q.Source = &s3api.Source{Origin: r.Origin, Key: "b"}
		return q
	}
	r.refused(t, s3api.InvalidPart, complete())
	r.refused(t, s3api.InvalidPart, copied())
	r.store.set(answerWith(200, "  \n   <Error><Code>SlowDown</Code></Error>"))
	r.refused(t, s3api.SlowDown, copied())
	for _, code := range []string{"InternalError", "ExpiredToken", "NoSuchBucket", "a b", ""} {
		r.store.set(refuseWith(200, code))
		r.fails(t, countersign.Upstream, complete())
		r.fails(t, countersign.Upstream, copied())
	}
	r.store.set(answerWith(200, "<Error><Code>InvalidPart</Code><Message>"+strings.Repeat("x", 1<<20)+"</Message></Error>"))
	r.fails(t, countersign.Upstream, complete())
}

func TestDocumentsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	deletes := func(body string) *s3api.Request {
		return withText(request(s3api.DeleteObjects, "", "delete", ""), body)
	}
	for name, body := range map[string]string{
		"other root": "<Remove></Remove>", "cut": "<Delete><Object>", "entities": `<!DOCTYPE d [<!ENTITY a "b">]><Delete></Delete>`,
		"nested key": "<Delete><Object><Key>a<b/></Key></Object></Delete>", "behind": "<Delete></Delete><Delete></Delete>",
	} {
		if e := r.refused(t, s3api.MalformedXML, deletes(body)); e.Code == "" {
			t.Errorf("%s was taken", name)
		}
	}
	r.refused(t, s3api.MalformedXML, request(s3api.DeleteObjects, "", "delete", ""))
	r.refused(t, s3api.EntityTooLarge, withBody(request(s3api.DeleteObjects, "", "delete", ""), nothing{}, 5<<20))
	wrong := deletes("<Delete></Delete>")
	wrong.Header.Set("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")
	r.refused(t, s3api.BadDigest, wrong)
	short := deletes("<Delete></Delete>")
	short.ContentLength++
	r.refused(t, s3api.IncompleteBody, short)
	if r.store.count() != 0 {
		t.Error("the store was asked")
	}
}

// An ACL may be in the headers.
func TestDocumentThatMayBeMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	q := request(s3api.PutObjectACL, "a", "acl", "")
	q.Method = http.MethodPut
	q.Header.Set("X-Amz-Acl", "private")
	r.do(t, q)
	if got := r.store.last(t); got.header.Get("X-Amz-Acl") != "private" || got.header.Get("Content-Length") != "0" {
		t.Errorf("%v", got.header)
	}
	r.do(t, withText(q, "<AccessControlPolicy></AccessControlPolicy>"))
	if got := r.store.last(t); got.body != "<AccessControlPolicy></AccessControlPolicy>" {
		t.Errorf("%q", got.body)
	}
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { return len(p), nil }

// A copy is the store's to do, with credentials that may read the one and write the other.
func TestVulnerability44CopiesWithinOneStoreOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerWith(200, "<CopyObjectResult></CopyObjectResult>"))
	change := func(change func(*s3origin.OriginConfig)) *s3origin.Origin { return newRigOf(t, r.store, change).Origin }
	copied := func(from s3api.Origin) *s3api.Request {
		q := request(s3api.CopyObject, "a")
		q.Source = &s3api.Source{Origin: from, Key: "b"}
		return q
	}
	other := &keys{now: pair(keyID, secret), name: "other"}
	for name, from := range map[string]s3api.Origin{
		"credentials": change(func(cfg *s3origin.OriginConfig) { cfg.Credentials = other }),
		"endpoint":    newRig(t, ok).Origin,
		"region":      change(func(cfg *s3origin.OriginConfig) { cfg.Store.Region = "eu-west-1" }),
		"kind":        nowhere{},
		"nothing":     nil,
	} {
		if e := r.refused(t, s3api.NotImplemented, copied(from)); e.Code == "" {
			t.Errorf("copied from another %s", name)
		}
	}
	if r.store.count() != 0 {
		t.Error("the store was asked")
	}
	r.do(t, copied(change(func(cfg *s3origin.OriginConfig) { cfg.Store.Bucket, cfg.Store.Prefix = "second", "" })))
	if source := r.store.last(t).header.Get("X-Amz-Copy-Source"); source != "/second/b" {
		t.Errorf("copied from %s", source)
	}
}

type nowhere struct{ s3api.Origin }

func TestWithoutAPrefixTokensAreTheStores(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerWith(200, `<ListBucketResult><NextContinuationToken>team/x</NextContinuationToken></ListBucketResult>`), noPrefix)
	if _, got := r.do(t, request(s3api.ListObjectsV2, "", "list-type", "2", "continuation-token", "abc")); !strings.Contains(got, ">team/x<") {
		t.Error(got)
	}
	if q := r.store.last(t).query; q != "continuation-token=abc&list-type=2" {
		t.Error(q)
	}
}

func TestObjectsPassAsTheyAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-4/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "<Key")
	})
	if resp, got := r.do(t, request(s3api.GetObject, "a")); resp.Status != 206 || got != "<Key" || resp.Header.Get("Content-Range") == "" {
		t.Errorf("%d %q %v", resp.Status, got, resp.Header)
	}
}
