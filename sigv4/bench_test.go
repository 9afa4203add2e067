package sigv4_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

const stsBody = "Action=GetCallerIdentity&Version=2011-06-15"

// stsRequest is what an SDK sends to an STS, with a session token of the size of ours.
func stsRequest(tb testing.TB) (*http.Request, sigv4.Credentials) {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/sts", nil)
	r.ContentLength = int64(len(stsBody))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Amz-Sdk-Invocation-Id", "6e7c5a3b-1f5e-4f5a-9a39-d1d8f1a1f3d5")
	r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "aws-sdk-go-v2/1.47.7")
	c := ours
	c.SessionToken = countersign.NewSecret(strings.Repeat("FwoGZXIv", 100))
	return r, c
}

func signSTS(tb testing.TB, r *http.Request, c sigv4.Credentials) {
	tb.Helper()
	err := sigv4.Sign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon, PayloadHash: sigv4.HashPayload([]byte(stsBody))})
	if err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkParseVerify(b *testing.B) {
	r, c := stsRequest(b)
	signSTS(b, r, c)
	b.ReportAllocs()
	for b.Loop() {
		q, err := sigv4.Parse(r, sigv4.ParseOptions{})
		if err != nil {
			b.Fatal(err)
		}
		err = q.Verify(sigv4.VerifyOptions{Secret: c.SecretAccessKey, Now: noon, Service: "sts", BodyHash: sigv4.HashPayload([]byte(stsBody))})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseVerifyPresigned(b *testing.B) {
	_, c := stsRequest(b)
	u, err := sigv4.Presign(httptest.NewRequest(http.MethodGet, "https://s3.example.com/bucket/key?versionId=1", nil), c,
		sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon}, sigv4.MaxExpires)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, u.String(), nil)
	b.ReportAllocs()
	for b.Loop() {
		q, err := sigv4.Parse(r, sigv4.ParseOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Verify(sigv4.VerifyOptions{Secret: c.SecretAccessKey, Now: noon, Service: "s3", AllowUnsigned: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r, c := stsRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		signSTS(b, r, c)
	}
}

// BenchmarkPeerSign is the AWS SDK's signer, which keeps its derived keys.
func BenchmarkPeerSign(b *testing.B) {
	r, c := stsRequest(b)
	credentials := theirs
	credentials.SessionToken = c.SessionToken.Reveal()
	signer := v4.NewSigner()
	b.ReportAllocs()
	for b.Loop() {
		if err := signer.SignHTTP(b.Context(), credentials, r, sigv4.HashPayload([]byte(stsBody)), "sts", "us-east-1", noon); err != nil {
			b.Fatal(err)
		}
	}
}
