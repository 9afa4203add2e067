package sigv4_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// checkParsed: what is true of every request that parses, whoever wrote it.
func checkParsed(t *testing.T, r *http.Request, q *sigv4.Request, err error) {
	t.Helper()
	if err != nil {
		code := countersign.CodeOf(err)
		if q != nil || code != countersign.BadHeader && code != countersign.Invalid && code != countersign.Unauthenticated {
			t.Errorf("%v, %v", q, err)
		}
		return
	}
	switch {
	case q.AccessKeyID == "" || q.Scope.Region == "" || q.Scope.Service == "":
		t.Errorf("an empty part in %v", q)
	case q.Time.Format("20060102") != q.Scope.Date:
		t.Errorf("scope of %s at %v", q.Scope.Date, q.Time)
	case !slices.Contains(q.SignedHeaders, "host") || !slices.IsSorted(q.SignedHeaders):
		t.Errorf("signed headers %v", q.SignedHeaders)
	case q.Presigned != (q.Expires > 0) || q.Expires > sigv4.MaxExpires:
		t.Errorf("presigned %v, expires after %v", q.Presigned, q.Expires)
	}
	for key := range r.Header {
		if strings.HasPrefix(strings.ToLower(key), "x-amz-") && !slices.Contains(q.SignedHeaders, strings.ToLower(key)) {
			t.Errorf("the header %s is not signed", key)
		}
	}
	// Nobody has signed this: our secret is not in the corpus.
	v := sigv4.VerifyOptions{
		Secret: countersign.NewSecret("a secret that nobody signed with"), Now: q.Time, Service: q.Scope.Service,
		BodyHash: sigv4.EmptyPayloadHash, AllowUnsigned: true, AllowStreaming: true,
	}
	if err := q.Verify(v); countersign.CodeOf(err) != countersign.BadSignature {
		t.Errorf("verified: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	r := signedRequest(f)
	f.Add(r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"), "X-Amz-Acl", "private")
	f.Add("AWS4-HMAC-SHA256 Signature=,Credential=,SignedHeaders=", "", "Content-Length", "7")
	f.Add("AWS AKIA:x", "20261126T120000Z", "X-Amz-Content-Sha256", sigv4.StreamingPayload)
	f.Fuzz(func(t *testing.T, authorization, date, name, value string) {
		r := &http.Request{Method: http.MethodGet, Host: "h", URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}}}
		r.Header[name] = append(r.Header[name], value)
		q, err := sigv4.Parse(r, sigv4.ParseOptions{})
		checkParsed(t, r, q, err)
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("/a", presignedRequest(f).URL.RawQuery, "Range", "bytes=0-1")
	f.Add("/", "X-Amz-Algorithm=AWS4-HMAC-SHA256&x-amz-signature=", "Authorization", "")
	f.Add("", "AWSAccessKeyId=a&Signature=b&Expires=1", "X-Amz-Security-Token", "x")
	f.Fuzz(func(t *testing.T, path, query, name, value string) {
		r := &http.Request{Method: http.MethodGet, Host: "h", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{name: {value}}}
		for _, repeated := range []bool{false, true} {
			q, err := sigv4.Parse(r, sigv4.ParseOptions{AllowRepeatedKeys: repeated})
			checkParsed(t, r, q, err)
		}
	})
}

// FuzzRoundTrip: what we sign verifies, in both forms and at both kinds of service, and
// with anything changed it does not.
func FuzzRoundTrip(f *testing.F) {
	f.Add("POST", "/sts", "Action=GetCallerIdentity", "Content-Type", "text/plain", uint32(3600), false)
	f.Add("GET", "//a/../b%", "a=b&a=c&c", "X-Amz-Meta-A", "  a   b  ", uint32(1), true)
	f.Add("PUT", "/\u20ac =+", "x=%2F+", "X", "\t", uint32(604800), true)
	f.Fuzz(func(t *testing.T, method, path, query, name, value string, seconds uint32, object bool) {
		service := "sts"
		if object {
			service = "s3"
		}
		fresh := func() *http.Request {
			return &http.Request{Method: method, Host: "h.example.com", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{name: {value}}}
		}
		options := sigv4.SignOptions{Region: "us-east-1", Service: service, Time: noon}
		r := fresh()
		if err := sigv4.Sign(r, ours, options); err == nil {
			roundTrip(t, r, service, noon)
		} else if r.Header.Get("Authorization") != "" && name != "Authorization" {
			t.Errorf("a signature beside %v", err)
		}
		r = fresh()
		expires := time.Duration(seconds) * time.Second
		u, err := sigv4.Presign(r, ours, options, expires)
		if err != nil {
			return
		}
		r.URL = u
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
			delete(r.Header, name)
		}
		roundTrip(t, r, service, noon.Add(expires-1))
	})
}

func roundTrip(t *testing.T, r *http.Request, service string, now time.Time) {
	t.Helper()
	v := sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: now, Service: service, BodyHash: sigv4.EmptyPayloadHash, AllowUnsigned: true}
	verify := func() error {
		q, err := sigv4.Parse(r, sigv4.ParseOptions{AllowRepeatedKeys: true})
		if err != nil {
			return err
		}
		return q.Verify(v)
	}
	if err := verify(); err != nil {
		t.Fatalf("%s %s %v: %v", r.Method, r.URL, r.Header, err)
	}
	for what, change := range map[string]func(){
		"host":   func() { r.Host += "x" },
		"method": func() { r.Method += "X" },
		"path":   func() { r.URL.Path, r.URL.RawPath = r.URL.Path+"/x", "" },
		"query":  func() { r.URL.RawQuery += "&zz" },
		"secret": func() { v.Secret = countersign.NewSecret("x") },
	} {
		was, wasURL, wasSecret := *r, *r.URL, v.Secret
		change()
		if verify() == nil {
			t.Errorf("another %s verified", what)
		}
		*r, *r.URL, v.Secret = was, wasURL, wasSecret
	}
}
