//go:build clients

package origins

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/sigv4"
	"github.com/countersign/countersign/test/foreign"
)

// TestMotoAsAnOrigin: another reading of S3, by an emulator. It does not check signatures: of
// a query with a prefix it makes another canonical form than AWS.
func TestMotoAsAnOrigin(t *testing.T) {
	r := newRigAt(t, func(t *testing.T, _ string) foreign.S3Server {
		server := foreign.S3Server{URL: foreign.Moto(t), AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "any"}
		create, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/real-bucket", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = sigv4.Sign(create, sigv4.Credentials{AccessKeyID: server.AccessKeyID, SecretAccessKey: countersign.NewSecret(server.Secret)},
			sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(create)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Fatalf("moto makes no bucket: %s", resp.Status)
		}
		return server
	})
	large := bytes.Repeat([]byte("0123456789abcdef"), 320<<10) // 5 MiB
	for name, body := range map[string][]byte{"a-b.txt": []byte("small"), "dir/large": large} {
		r.do(t, put(name, body))
		resp, got := r.do(t, request(s3api.GetObject, name))
		if !bytes.Equal(got, body) || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d bytes, %v", name, len(got), resp.Header)
		}
	}
	for _, encoding := range []string{"", "url"} {
		q := request(s3api.ListObjectsV2, "", "list-type", "2")
		want := "a-b.txt dir/large"
		if encoding != "" {
			q.Query.Set("encoding-type", encoding)
			want = ""
		}
		if l := r.list(t, q); want != "" && l.keys() != want || len(l.Contents) != 2 || l.Name != "documents" {
			t.Errorf("list: %+v", l)
		}
	}
	if l := r.list(t, request(s3api.ListObjects, "", "delimiter", "/")); l.keys() != "a-b.txt dir/" {
		t.Errorf("by /: %+v", l)
	}
	_, text := r.do(t, request(s3api.CreateMultipartUpload, "parts", "uploads", ""))
	id, etags := between(string(text), "<UploadId>", "</UploadId>"), ""
	for i, body := range [][]byte{large, []byte("end")} {
		p := request(s3api.UploadPart, "parts", "uploadId", id, "partNumber", fmt.Sprint(i+1))
		resp, _ := r.do(t, withBody(p, bytes.NewReader(body), len(body)))
		etags += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, strings.Trim(resp.Header.Get("Etag"), `"`))
	}
	document := "<CompleteMultipartUpload>" + etags + "</CompleteMultipartUpload>"
	_, text = r.do(t, withBody(request(s3api.CompleteMultipartUpload, "parts", "uploadId", id), strings.NewReader(document), len(document)))
	if between(string(text), "<Key>", "</Key>") != "parts" {
		t.Errorf("completed: %s", text)
	}
	document = "<Delete><Object><Key>parts</Key></Object><Object><Key>dir/large</Key></Object></Delete>"
	_, text = r.do(t, withBody(request(s3api.DeleteObjects, "", "delete", ""), strings.NewReader(document), len(document)))
	if strings.Count(string(text), "<Deleted>") != 2 {
		t.Errorf("deleted: %s", text)
	}
	r.refused(t, s3api.NoSuchKey, request(s3api.GetObject, "parts"))
}
