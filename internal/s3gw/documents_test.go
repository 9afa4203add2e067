package s3gw_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3gw"
)

// Each key is decided by itself; the origin gets those that may be deleted.
func TestDeleteObjectsByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	for _, key := range []string{"resumes/acme/a", "resumes/acme/b<&>", "resumes/other/a", "one.txt"} {
		w.put("documents", key, "x")
	}
	body := `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>false</Quiet>
		<Object><Key>resumes/acme/a</Key></Object><Object><Key>resumes/acme/b&lt;&amp;&gt;</Key></Object><Object><Key>resumes/other/a</Key></Object>
		<Object><Key>one.txt</Key><VersionId>v1</VersionId></Object><Object><Key>resumes/acme/../other/a</Key></Object></Delete>`
	got := w.do(t, c, http.MethodPost, "/documents?delete", []byte(body))
	got.want(t, 200, "")
	for _, part := range []string{
		"<Deleted><Key>resumes/acme/a</Key></Deleted>", "<Deleted><Key>resumes/acme/b&lt;&amp;&gt;</Key></Deleted>",
		"<Error><Key>resumes/other/a</Key><Code>AccessDenied</Code>", "<Error><Key>one.txt</Key><VersionId>v1</VersionId><Code>AccessDenied</Code>",
		"<Error><Key>resumes/acme/../other/a</Key><Code>InvalidArgument</Code>",
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("no %s in %s", part, got.body)
		}
	}
	calls := w.origins.calls()
	if len(calls) != 1 || strings.Contains(string(calls[0].body), "other") || strings.Contains(string(calls[0].body), "one.txt") {
		t.Fatalf("%+v", calls)
	}
	sum := md5.Sum(calls[0].body)
	if calls[0].Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("%v", calls[0].Header)
	}
	w.origins.forget()
	got = w.do(t, c, http.MethodPost, "/documents?delete", []byte(`<Delete><Object><Key>resumes/other/a</Key></Object></Delete>`))
	if got.status != 200 || !strings.Contains(got.body, "AccessDenied") || len(w.origins.calls()) != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if e := w.event(t, "s3:DeleteObjects"); e.Decision != "denied" || e.Detail != "status=200 denied=1" || e.Reason != "action_not_allowed" {
		t.Errorf("%+v", e)
	}
	w.do(t, w.session(t, "nothing"), http.MethodPost, "/documents?delete", []byte(`<Delete><Object><Key>a</Key></Object></Delete>`)).want(t, 403, "AccessDenied")
	w.do(t, w.session(t, "nothing"), http.MethodPost, "/missing?delete", []byte(`<Delete><Object><Key>a</Key></Object></Delete>`)).want(t, 403, "AccessDenied")
	w.do(t, c, http.MethodPost, "/documents?delete", []byte(`<Delete><Object><Key>resumes/acme/a</Key></Object></Delete>`), "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==").want(t, 400, "BadDigest")
	w.do(t, c, http.MethodPost, "/documents?delete", []byte(`<Delete><Object><Key>resumes/acme/a</Key></Object></Delete>`), "x-amz-checksum-crc32", "AAAAAA==").want(t, 400, "BadDigest")
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("%+v", calls)
	}
}

// Documents have one meaning and a bounded size.
func TestDocumentsAreStrict(t *testing.T) {
	t.Parallel()
	object := "<Object><Key>a</Key></Object>"
	for name, tt := range map[string]struct {
		text string
		good bool
	}{
		"one key":              {"<Delete>" + object + "</Delete>", true},
		"a thousand":           {"<Delete>" + strings.Repeat(object, 1000) + "</Delete>", true},
		"with a declaration":   {`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Delete>" + object + "</Delete>\n", true},
		"more than a thousand": {"<Delete>" + strings.Repeat(object, 1001) + "</Delete>", false},
		"no key":               {"<Delete></Delete>", false},
		"an empty key":         {"<Delete><Object><Key></Key></Object></Delete>", false},
		"two keys of one":      {"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", false},
		"two versions of one":  {"<Delete><Object><Key>a</Key><VersionId>1</VersionId><VersionId>2</VersionId></Object></Delete>", false},
		"twice quiet":          {"<Delete><Quiet>true</Quiet><Quiet>false</Quiet>" + object + "</Delete>", false},
		"no bool":              {"<Delete><Quiet>maybe</Quiet>" + object + "</Delete>", false},
		"another root":         {"<Remove>" + object + "</Remove>", false},
		"two roots":            {"<Delete>" + object + "</Delete><Delete>" + object + "</Delete>", false},
		"text behind":          {"<Delete>" + object + "</Delete>x", false},
		"text before":          {"x<Delete>" + object + "</Delete>", false},
		"a document type":      {`<!DOCTYPE Delete [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>`, false},
		"an entity":            {"<Delete><Object><Key>&nbsp;</Key></Object></Delete>", false},
		"an instruction":       {"<Delete><?php x?>" + object + "</Delete>", false},
		"deep":                 {strings.Repeat("<Delete>", 100) + strings.Repeat("</Delete>", 100), false},
		"another element":      {"<Delete>" + object + "<Force>true</Force></Delete>", false},
		"not closed":           {"<Delete>" + object, false},
		"closed wrongly":       {"<Delete><Object></Delete></Object>", false},
		"not XML":              {"{}", false},
		"another encoding":     {`<?xml version="1.0" encoding="UTF-16"?><Delete>` + object + "</Delete>", false},
		"a condition":          {"<Delete><Object><Key>a</Key><ETag>x</ETag></Object></Delete>", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			got := w.do(t, w.session(t, "all"), http.MethodPost, "/documents?delete", []byte(tt.text))
			if tt.good != (got.status == 200) || !tt.good && !slices.Contains([]string{"MalformedXML", "NotImplemented"}, got.code) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if calls := w.origins.calls(); (len(calls) == 1) != tt.good {
				t.Errorf("%d requests at the origin", len(calls))
			}
		})
	}
	w := newWorld(t)
	c := w.session(t, "all")
	large := "<Tagging><TagSet>" + strings.Repeat("<Tag><Key>k</Key><Value>v</Value></Tag>", 2000) + "</TagSet></Tagging>"
	w.do(t, c, http.MethodPut, "/documents/a?tagging", []byte(large)).want(t, 400, "EntityTooLarge")
	w.do(t, c, http.MethodPut, "/documents/a?tagging", nil).want(t, 400, "MalformedXML")
	w.do(t, c, http.MethodPut, "/documents/a?acl", nil, "x-amz-acl", "private").want(t, 200, "")
}

// What 10,000 parts with their checksums are may be said.
func TestLargestUploadIsCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var body strings.Builder
	body.WriteString("<CompleteMultipartUpload>")
	for i := range 10_000 {
		fmt.Fprintf(&body, `<Part><PartNumber>%d</PartNumber><ETag>"0123456789abcdef0123456789abcdef"</ETag><ChecksumSHA256>%s</ChecksumSHA256></Part>`, i+1, strings.Repeat("A", 44))
	}
	body.WriteString("</CompleteMultipartUpload>")
	w.do(t, w.session(t, "all"), http.MethodPost, "/documents/a?uploadId=u", []byte(body.String()), "x-amz-checksum-type", "FULL_OBJECT").want(t, 200, "")
	if got := w.origins.calls()[0]; string(got.body) != body.String() || got.Header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
		t.Error("it was changed")
	}
}

func FuzzCheckDocument(f *testing.F) {
	for _, seed := range []string{"<Delete><Object><Key>a</Key></Object></Delete>", "<Delete/>", `<!DOCTYPE a><Delete/>`, "<a:Delete xmlns:a='b'/>", "<Delete>&#0;</Delete>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, text []byte) { _ = s3gw.CheckDocument(text, "Delete") })
}

// A caller sees the buckets that it has a right in and that are open to it, and no others.
func TestListBucketsIsFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := func(role, query string) string {
		got := w.do(t, w.session(t, role), http.MethodGet, "/"+query, nil)
		got.want(t, 200, "")
		var found []string
		for _, part := range strings.Split(got.body, "<Name>")[1:] {
			name, _, _ := strings.Cut(part, "<")
			found = append(found, name)
		}
		return strings.Join(found, " ")
	}
	for _, tt := range []struct{ role, query, want string }{
		{"all", "", "archive documents"},
		{"acme", "", "archive documents"},
		{"writer", "?x-id=ListBuckets", "documents"},
		{"nothing", "", ""},
		{"all", "?prefix=doc", "documents"},
		{"all", "?max-buckets=1", "archive"},
		{"all", "?continuation-token=archive", "documents"},
	} {
		if got := names(tt.role, tt.query); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.role, tt.query, got, tt.want)
		}
	}
	w.apply(t, strings.Replace(documentOf("closed"), "allowed_roles: [nothing]\n", "", 1))
	if got := names("all", ""); got != "archive closed documents" {
		t.Error(got)
	}
}

// documentOf returns the document of a bucket.
func documentOf(name string) string {
	for text := range strings.SplitSeq(documents, "---\n") {
		if strings.Contains(text, "name: "+name+"\n") {
			return text
		}
	}
	return ""
}
