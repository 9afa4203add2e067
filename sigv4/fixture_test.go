package sigv4_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// signedRequest is a header-signed call of the STS, as a server gets it.
func signedRequest(tb testing.TB) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/sts", nil)
	r.ContentLength = int64(len(stsBody))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signSTS(tb, r, ours)
	return r
}

// presignedRequest is a presigned one, for an hour.
func presignedRequest(tb testing.TB) *http.Request {
	tb.Helper()
	return presignedFor(tb, "sts", time.Hour)
}

func presignedFor(tb testing.TB, service string, expires time.Duration) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://auth.example.com/sts/a%20key?Action=GetCallerIdentity&Version=2011-06-15", nil)
	u, err := sigv4.Presign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: service, Time: noon}, expires)
	if err != nil {
		tb.Fatal(err)
	}
	return httptest.NewRequest(http.MethodGet, u.String(), nil)
}

func stsOptions() sigv4.VerifyOptions {
	return sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: noon, Service: "sts", BodyHash: sigv4.HashPayload([]byte(stsBody))}
}

func emptyBody() sigv4.VerifyOptions {
	v := stsOptions()
	v.BodyHash = sigv4.EmptyPayloadHash
	return v
}

// check parses and verifies. As on a server, each access key has a secret of its own.
func check(r *http.Request, v sigv4.VerifyOptions) error {
	q, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		return err
	}
	if q.AccessKeyID != ours.AccessKeyID {
		v.Secret = countersign.NewSecret("of " + q.AccessKeyID)
	}
	return q.Verify(v)
}

func wantCode(tb testing.TB, err error, want countersign.Code) {
	tb.Helper()
	if got := countersign.CodeOf(err); got != want {
		tb.Errorf("error %q (%v), want %q", got, err, want)
	}
}

// replace changes the Authorization header.
func replace(r *http.Request, before, after string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), before, after, 1))
}

// requery changes the query.
func requery(r *http.Request, before, after string) {
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, before, after, 1)
}
