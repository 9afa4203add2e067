//go:build clients

package foreign

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// MotoS3 starts a moto as an S3 server with a bucket and a user who may do everything. From
// then on it refuses everybody else, and who signs wrongly.
func MotoS3(t *testing.T, bucket string) S3Server {
	t.Helper()
	moto := Moto(t)
	iam := func(parameters ...string) []byte {
		form := url.Values{"Version": {"2010-05-08"}}
		for i := 0; i < len(parameters); i += 2 {
			form.Set(parameters[i], parameters[i+1])
		}
		return motoCall(t, http.MethodPost, moto+"/", "iam", form.Encode())
	}
	iam("Action", "CreateUser", "UserName", "origin")
	iam("Action", "PutUserPolicy", "UserName", "origin", "PolicyName", "all", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	var reply struct {
		Key struct{ AccessKeyId, SecretAccessKey string } `xml:"CreateAccessKeyResult>AccessKey"`
	}
	if err := xml.Unmarshal(iam("Action", "CreateAccessKey", "UserName", "origin"), &reply); err != nil {
		t.Fatal(err)
	}
	motoCall(t, http.MethodPut, moto+"/"+bucket, "s3", "")
	MotoChecksSignatures(t, moto)
	return S3Server{URL: moto, AccessKeyID: reply.Key.AccessKeyId, Secret: reply.Key.SecretAccessKey}
}

// motoCall calls a moto that does not look at signatures yet: it finds the service in them.
func motoCall(t *testing.T, method, address, service, body string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = sigv4.Sign(request, sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: countersign.NewSecret("any")}, //nolint:gosec // G101: the example of AWS's own pages
		sigv4.SignOptions{Region: "us-east-1", Service: service, Time: time.Now(), PayloadHash: sigv4.HashPayload([]byte(body))})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v %s", method, address, response.Status, err, answer)
	}
	return answer
}
