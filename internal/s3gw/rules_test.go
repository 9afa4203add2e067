package s3gw_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/sigv4"
)

// Anonymous is a request without any material of authentication, for an object of a bucket
// that is open to anybody, and for nothing else.
func TestRuleF2Anonymous(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("public", "a", "hello")
	w.put("documents", "a", "hello")
	for _, tt := range []struct {
		method, path string
		header       []string
		status       int
		code         string
	}{
		{"GET", "/public/a", nil, 200, ""},
		{"HEAD", "/public/a", nil, 200, ""},
		{"GET", "/public/a?partNumber=1", []string{"Range", "bytes=0-1"}, 200, ""},
		{"GET", "/documents/a", nil, 403, "AccessDenied"},
		{"GET", "/nowhere/a", nil, 403, "AccessDenied"},
		{"GET", "/public/missing", nil, 403, "AccessDenied"}, // it may not list
		{"GET", "/public", nil, 403, "AccessDenied"},
		{"GET", "/public?list-type=2", nil, 403, "AccessDenied"},
		{"HEAD", "/public", nil, 403, ""},
		{"GET", "/", nil, 403, "AccessDenied"},
		{"GET", "/public?versions", nil, 403, "AccessDenied"},
		{"GET", "/public/a?versionId=1", nil, 403, "AccessDenied"},
		{"GET", "/public/a?response-content-type=text%2Fhtml", nil, 403, "AccessDenied"},
		{"GET", "/public/a?tagging", nil, 403, "AccessDenied"},
		{"GET", "/public/a?acl", nil, 403, "AccessDenied"},
		{"GET", "/public/a?attributes", nil, 403, "AccessDenied"},
		{"PUT", "/public/a", nil, 403, "AccessDenied"},
		{"DELETE", "/public/a", nil, 403, "AccessDenied"},
		{"POST", "/public?delete", nil, 403, "AccessDenied"},
		{"PATCH", "/public/a", nil, 403, "AccessDenied"},
		{"GET", "/public/a", []string{"x-amz-server-side-encryption-customer-algorithm", "AES256"}, 403, "AccessDenied"},
		{"GET", "/public/a", []string{"Authorization", ""}, 403, "AuthorizationHeaderMalformed"},
		{"GET", "/public/a", []string{"Authorization", "x"}, 403, "AuthorizationHeaderMalformed"},
		{"GET", "/public/a", []string{"x-amz-security-token", "x"}, 403, "InvalidRequest"},
		{"GET", "/public/a", []string{"x-amz-security-token", ""}, 403, "InvalidRequest"},
		{"GET", "/public/a?X-Amz-Signature=", nil, 403, "InvalidRequest"},
		{"GET", "/public/a?X-Amz-Algorithm=AWS4-HMAC-SHA256", nil, 403, "InvalidRequest"},
		{"GET", "/public/a?x-amz-security-token=x", nil, 403, "InvalidRequest"},
		{"GET", "/public/a?AWSAccessKeyId=x&Signature=y&Expires=1", nil, 403, "InvalidRequest"},
	} {
		got := w.send(t, w.request(t, tt.method, tt.path, nil, tt.header...))
		if tt.method == http.MethodHead {
			tt.code = ""
		}
		if got.status != tt.status || got.code != tt.code {
			t.Errorf("%s %s %v: %d %s, want %d %s", tt.method, tt.path, tt.header, got.status, got.code, tt.status, tt.code)
		}
	}
	if e := w.event(t, "s3:GetObject"); e.Proof != "anonymous" && e.Decision == audit.Allowed {
		t.Errorf("%+v", e)
	}
}

// Links of signature version 2 get AWS's own text.
func TestRuleF3SignatureVersion2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	for _, r := range []*http.Request{
		w.request(t, http.MethodGet, "/documents/a?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D", nil),
		// That of a session, as boto3 makes it.
		w.request(t, http.MethodGet, "/documents/a?AWSAccessKeyId=ASIAIOSFODNN7EXAMPLE&Signature=x%3D&x-amz-security-token=y&Expires=1175139620", nil),
		w.request(t, http.MethodGet, "/documents/a", nil, "Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="),
	} {
		got := w.send(t, r)
		got.want(t, 403, "InvalidRequest")
		if !strings.Contains(got.body, text) {
			t.Error(got.body)
		}
	}
}

// A presigned link ends with itself or with the session, whichever is first; a revocation
// ends it too. The query is in no log.
func TestRuleF3PresignedLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("documents", "one.txt", "hello")
	c := w.session(t, "acme")
	link := func(expires time.Duration) *http.Request {
		r := w.request(t, http.MethodGet, "/documents/one.txt?response-content-type=text%2Fplain", nil)
		signed, err := sigv4.Presign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: w.Clock.Now()}, expires)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = signed
		return r
	}
	short, long := link(time.Second), link(7*24*time.Hour)
	w.send(t, short).want(t, 200, "")
	w.send(t, long).want(t, 200, "")
	w.Clock.Advance(time.Second)
	w.send(t, short).want(t, 403, "AccessDenied")
	w.send(t, long).want(t, 200, "")
	if calls := w.origins.calls(); len(calls[0].Query) != 1 || calls[0].Query.Get("response-content-type") != "text/plain" {
		t.Errorf("%v", calls[0].Query)
	}
	w.Clock.Advance(time.Hour)
	w.send(t, long).want(t, 403, "AccessDenied")
	if text := w.log.String(); strings.Contains(text, "X-Amz-") || strings.Contains(text, "one.txt") {
		t.Error(text)
	}
	for _, e := range w.Events(t, audit.Query{}) {
		if strings.Contains(e.Target+e.Detail+e.Route, "X-Amz") {
			t.Errorf("%+v", e)
		}
	}
}

// UNSIGNED-PAYLOAD is for TLS and loopback; who is neither may not.
func TestRuleF4UnsignedBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *s3gw.Config) { c.AllowUnsigned = nil })
	m := &matrix{world: w, t: t, creds: w.session(t, "all")}
	for _, send := range []func() *http.Request{
		func() *http.Request {
			r := m.plain(samples[s3api.PutObject])
			w.signAs(t, r, m.creds, sigv4.UnsignedPayload)
			return r
		},
		func() *http.Request { return m.presign(samples[s3api.PutObject], m.creds, time.Minute) },
		func() *http.Request { return m.chunked(samples[s3api.PutObject], sigv4.StreamingUnsignedTrailer, nil) },
	} {
		w.send(t, send()).want(t, 403, "AccessDenied")
	}
	w.send(t, m.header(samples[s3api.PutObject], m.creds)).want(t, 200, "")
	w.send(t, m.chunked(samples[s3api.PutObject], sigv4.StreamingPayloadTrailer, nil)).want(t, 200, "")
}

// What is not there is told to those who may list there, or read the key.
func TestRuleF5WhoMayKnowWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all, acme, writer, nothing := w.session(t, "all"), w.session(t, "acme"), w.session(t, "writer"), w.session(t, "nothing")
	for _, tt := range []struct {
		who          sigv4.Credentials
		method, path string
		status       int
		code         string
	}{
		{all, "GET", "/missing/a", 404, "NoSuchBucket"},
		{all, "HEAD", "/missing", 404, ""},
		{all, "GET", "/missing?list-type=2", 404, "NoSuchBucket"},
		{acme, "PUT", "/missing/acme/a", 403, "AccessDenied"}, // it may write there, and not list
		{acme, "HEAD", "/missing", 403, ""},
		{acme, "GET", "/missing/acme/a", 403, "AccessDenied"},
		{acme, "GET", "/nowhere/a", 403, "AccessDenied"},
		{nothing, "GET", "/documents/a", 403, "AccessDenied"},
		{nothing, "GET", "/missing/a", 403, "AccessDenied"},
		{acme, "GET", "/documents/resumes/acme/no", 404, "NoSuchKey"},
		{acme, "HEAD", "/documents/resumes/acme/no", 404, ""},
		{acme, "GET", "/documents/resumes/other/no", 403, "AccessDenied"},
		{acme, "GET", "/documents/one.txt", 404, "NoSuchKey"},
		{writer, "GET", "/documents/no?tagging", 403, "AccessDenied"},
		{acme, "GET", "/documents/resumes/acme/no?tagging", 404, "NoSuchKey"},
		{all, "GET", "/closed/a", 403, "AccessDenied"},
		{all, "HEAD", "/closed", 403, ""},
	} {
		got := w.do(t, tt.who, tt.method, tt.path, nil)
		if got.status != tt.status || got.code != tt.code {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, got.status, got.code, tt.status, tt.code)
		}
	}
	if e := w.event(t, "s3:HeadBucket"); e.Reason != string(countersign.ReasonBucketNotOpen) {
		t.Errorf("%+v", e)
	}
}

// The prefix of a list must itself start with an allowed one, and there is one prefix.
func TestRuleD2ListsByPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, "acme")
	for query, want := range map[string]verdict{
		"prefix=resumes/acme/":                        {200, ""},
		"prefix=resumes%2Facme%2F":                    {200, ""},
		"prefix=resumes/acme/x&delimiter=/":           {200, ""},
		"prefix=%72esumes/acme/":                      {200, ""},
		"":                                            denied,
		"prefix=":                                     denied,
		"prefix=resumes/acme":                         denied, // resumes/acme-other starts so too
		"prefix=resumes/":                             denied,
		"prefix=resumes/other/":                       denied,
		"prefix=one.txt":                              denied,
		"prefix=resumes/acme/&prefix=":                {403, "InvalidRequest"},
		"prefix=&prefix=resumes/acme/":                {403, "InvalidRequest"},
		"prefix=resumes/acme/&Prefix=":                {403, "InvalidRequest"},
		"prefix=resumes/acme/../other/":               {400, "InvalidArgument"},
		"prefix=resumes/acme/%2e%2e/other/":           {400, "InvalidArgument"},
		"prefix=resumes/acme//":                       {400, "InvalidArgument"},
		"prefix=/resumes/acme/":                       {400, "InvalidArgument"},
		"prefix=resumes/acme/%0a":                     {400, "InvalidArgument"},
		"prefix=resumes/acme/&marker=zzz&max-keys=10": {200, ""},
		"prefix=resumes/acme/&max-keys=-1":            {400, "InvalidArgument"},
		"prefix=resumes/acme/&encoding-type=base64":   {400, "InvalidArgument"},
	} {
		w.origins.forget()
		got := w.do(t, c, http.MethodGet, "/documents?"+query, nil)
		if got.status != want.status || got.code != want.code {
			t.Errorf("%q: %d %s, want %d %s", query, got.status, got.code, want.status, want.code)
		}
		calls := w.origins.calls()
		if (len(calls) == 1) != (want.status == 200) {
			t.Errorf("%q: %d requests at the origin", query, len(calls))
		}
		if len(calls) == 1 && !strings.HasPrefix(calls[0].Query.Get("prefix"), "resumes/acme/") {
			t.Errorf("%q: the origin lists %q", query, calls[0].Query.Get("prefix"))
		}
	}
}

// Rights are those of the role and of the session's policy.
func TestRuleD7SessionPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("documents", "resumes/acme/a", "x")
	w.put("documents", "resumes/other/a", "x")
	narrow := w.session(t, "acme", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/*"}]}`)
	w.do(t, narrow, http.MethodGet, "/documents/resumes/acme/a", nil).want(t, 200, "")
	w.do(t, narrow, http.MethodPut, "/documents/resumes/acme/a", nil).want(t, 403, "AccessDenied")
	w.do(t, narrow, http.MethodGet, "/documents?prefix=resumes/acme/", nil).want(t, 403, "AccessDenied")
	w.do(t, narrow, http.MethodGet, "/documents/resumes/other/a", nil).want(t, 403, "AccessDenied") // the role does not
	w.do(t, narrow, http.MethodPut, "/documents/copy", nil, "x-amz-copy-source", "documents/resumes/acme/a").want(t, 403, "AccessDenied")
	if got := w.do(t, narrow, http.MethodGet, "/", nil); !strings.Contains(got.body, "<Name>documents</Name>") || strings.Contains(got.body, "archive") {
		t.Error(got.body)
	}
}

// A host of somebody else's page is not served; below the domain each bucket is a host.
func TestRuleG7Hosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("public", "a/b", "hello")
	for host, want := range map[string]int{
		"127.0.0.1": 200, "localhost:99": 200, "[::1]": 200, domain: 200, "S3.example.com:443": 200,
		"evil.example.com": 403, "s3.example.com.evil.org": 403, "evils3.example.com": 403, "192.0.2.1": 403, "": 403,
	} {
		r := w.request(t, http.MethodGet, "/public/a/b", nil)
		if r.Host = host; host == "" {
			r.Host = ":"
		}
		if got, err := w.trySend(r); err != nil || got.status != want && (want != 403 || got.status != 400) {
			t.Errorf("%q: %d, %v", host, got.status, err)
		}
	}
	r := w.request(t, http.MethodGet, "/a/b", nil)
	r.Host = "Public." + domain
	if got := w.send(t, r); got.body != "hello" {
		t.Errorf("%d %s", got.status, got.body)
	}
	r = w.request(t, http.MethodGet, "/public/a/b", nil)
	r.Host = "documents." + domain
	w.send(t, r).want(t, 403, "AccessDenied") // the bucket is that of the host
	c := w.session(t, "all")
	r = w.request(t, http.MethodPut, "/x/y%20z", []byte("1"))
	r.Host = "documents." + domain
	w.sign(t, r, c)
	w.send(t, r).want(t, 200, "")
	if calls := w.origins.of("documents").calls; len(calls) != 1 || calls[0].Key != "x/y z" {
		t.Errorf("%+v", calls)
	}
}

// The table of errors has a row for each code.
func TestEveryCodeHasAnAnswer(t *testing.T) {
	t.Parallel()
	known := s3gw.WireErrors()
	for _, code := range countersign.Codes() {
		if !known[code] {
			t.Errorf("%s has no row", code)
		}
	}
}
