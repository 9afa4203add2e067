package s3gw_test

import (
	"net/http"
	"net/url"
	"testing"
)

// The ids of uploads and versions are the store's, and come back from the client: one that a
// store could read as a path would reach past the key that was authorised.
func TestVulnerability41IDsReachNoOtherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "all")
	xml := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>`)
	for _, id := range []string{"..", ".", "../..", "../../../other/sub", "a/b", `..\a`, "%2e%2e%2fa", "a b", "é"} {
		e := url.QueryEscape(id)
		for _, tt := range []struct {
			method, path string
			body         []byte
			header       []string
		}{
			{"GET", "/documents/a?uploadId=" + e, nil, nil},
			{"PUT", "/documents/a?partNumber=1&uploadId=" + e, []byte("x"), nil},
			{"PUT", "/documents/a?partNumber=1&uploadId=" + e, nil, []string{"x-amz-copy-source", "archive/a"}},
			{"POST", "/documents/a?uploadId=" + e, xml, nil},
			{"DELETE", "/documents/a?uploadId=" + e, nil, nil},
			{"GET", "/documents?uploads&key-marker=a&upload-id-marker=" + e, nil, nil},
			{"GET", "/documents?versions&key-marker=a&version-id-marker=" + e, nil, nil},
			{"GET", "/documents/a?versionId=" + e, nil, nil},
			{"DELETE", "/documents/a?versionId=" + e, nil, nil},
			{"PUT", "/documents/a", nil, []string{"x-amz-copy-source", "archive/a?versionId=" + e}},
		} {
			w.do(t, c, tt.method, tt.path, tt.body, tt.header...).want(t, 400, "InvalidArgument")
		}
		w.do(t, c, http.MethodPost, "/documents?delete", []byte("<Delete><Object><Key>a</Key><VersionId>"+id+"</VersionId></Object></Delete>")).want(t, 400, "MalformedXML")
	}
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("the origin did %+v", calls)
	}
}
