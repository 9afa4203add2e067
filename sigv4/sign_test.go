package sigv4_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *http.Request, c *sigv4.Credentials, s *sigv4.SignOptions){
		"no id":           func(_ *http.Request, c *sigv4.Credentials, _ *sigv4.SignOptions) { c.AccessKeyID = "" },
		"slash in the id": func(_ *http.Request, c *sigv4.Credentials, _ *sigv4.SignOptions) { c.AccessKeyID = "a/b" },
		"no secret": func(_ *http.Request, c *sigv4.Credentials, _ *sigv4.SignOptions) {
			c.SecretAccessKey = countersign.Secret{}
		},
		"line in the token": func(_ *http.Request, c *sigv4.Credentials, _ *sigv4.SignOptions) {
			c.SessionToken = countersign.NewSecret("a\nb")
		},
		"huge token": func(_ *http.Request, c *sigv4.Credentials, _ *sigv4.SignOptions) {
			c.SessionToken = countersign.NewSecret(strings.Repeat("x", 20000))
		},
		"no region":           func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.Region = "" },
		"no service":          func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.Service = "" },
		"slash in the region": func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.Region = "a/b" },
		"no time":             func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.Time = time.Time{} },
		"year of five digits": func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.Time = noon.AddDate(9000, 0, 0) },
		"garbage hash":        func(_ *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) { s.PayloadHash = "x" },
		"body without a hash": func(r *http.Request, _ *sigv4.Credentials, s *sigv4.SignOptions) {
			r.Body, s.PayloadHash = io.NopCloser(strings.NewReader("x")), ""
		},
		"presigned already": func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.URL.RawQuery = "x-amz-signature=" },
		"semicolon":         func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.URL.RawQuery = "a;b" },
		"line in a header":  func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.Header.Set("A", "b\nc") },
		"two spellings":     func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.Header["a"] = []string{"b"} },
		"host as a header":  func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.Header["Host"] = []string{"b"} },
		"opaque":            func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.URL.Opaque = "//x/y" },
		"relative path":     func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.URL.Path = "x" },
		"no host":           func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) { r.Host, r.URL.Host = "", "" },
		"too many headers": func(r *http.Request, _ *sigv4.Credentials, _ *sigv4.SignOptions) {
			for _, name := range strings.Split(strings.Trim(manyHeaders(200), ";"), ";") {
				r.Header.Set(name, "x")
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, c := presignable(), ours
			r.Body = nil
			s := sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon, PayloadHash: sigv4.EmptyPayloadHash}
			change(r, &c, &s)
			wantCode(t, sigv4.Sign(r, c, s), countersign.Invalid)
			if r.Header.Get("Authorization") != "" {
				t.Error("it is signed")
			}
			u, err := sigv4.Presign(r, c, s, time.Hour)
			wantCode(t, err, countersign.Invalid)
			if u != nil {
				t.Errorf("it is presigned: %s", u)
			}
		})
	}
	wantCode(t, sigv4.Sign(nil, ours, sigv4.SignOptions{}), countersign.Invalid)
}

// TestSignAgain: a request that is sent again is signed anew, with nothing of the old one.
func TestSignAgain(t *testing.T) {
	t.Parallel()
	r := signedRequest(t)
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	c := ours
	c.SessionToken = countersign.Secret{}
	signSTS(t, r, c)
	wantCode(t, check(r, stsOptions()), "")
	for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		if got := r.Header.Get(name); got != "" {
			t.Errorf("%s is still %s", name, got)
		}
	}
	if got := len(r.Header["Authorization"]); got != 1 {
		t.Errorf("%d signatures", got)
	}
}

func TestSignLeavesHeadersOut(t *testing.T) {
	t.Parallel()
	r := presignable()
	for _, name := range []string{"User-Agent", "Expect", "X-Amzn-Trace-Id", "Connection", "Accept-Encoding", "X-Mine", "X-Amz-Acl"} {
		r.Header.Set(name, "x")
	}
	s := sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon, UnsignedHeaders: []string{"accept-encoding", "X-Amz-Acl"}}
	if err := sigv4.Sign(r, ours, s); err != nil {
		t.Fatal(err)
	}
	q, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"host", "x-amz-acl", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-mine"}
	if !slices.Equal(q.SignedHeaders, want) {
		t.Errorf("signed %v, want %v", q.SignedHeaders, want)
	}
}

// TestSignHosts: the default port is not sent, so it is not signed.
func TestSignHosts(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://h.example.com/": "h.example.com", "https://h.example.com:443/": "h.example.com", "http://h.example.com:80/": "h.example.com",
		"https://h.example.com:80/": "h.example.com:80", "http://h.example.com:443/": "h.example.com:443", "http://127.0.0.1:9000/": "127.0.0.1:9000",
		"https://[::1]:443/": "[::1]", "https://[::1]/": "[::1]", "https://[::1]:8443/": "[::1]:8443",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon}); err != nil {
			t.Fatal(err)
		}
		if r.Host != want {
			t.Errorf("%s: host %s, want %s", target, r.Host, want)
		}
	}
}

// TestSignOverHTTP: what a client sends is what a server verifies, with all that both
// sides of net/http change on the way.
func TestSignOverHTTP(t *testing.T) {
	t.Parallel()
	results := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			v := stsOptions()
			v.BodyHash = sigv4.HashPayload(body)
			err = check(r, v)
		}
		results <- err
	}))
	defer server.Close()
	for _, target := range []string{"/", "//", "/sts/", "/a%20b/%2F?x=%2B&y=+&z", "/%E2%82%AC?%E2%82%AC"} {
		for _, body := range []string{"", stsBody} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+target, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Amz-Target", " a   b ")
			err = sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon, PayloadHash: sigv4.HashPayload([]byte(body))})
			if err != nil {
				t.Fatal(err)
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if err := <-results; err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
}

// TestPresignChangesNothing of the request that it is given.
func TestPresignChangesNothing(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "https://h.example.com:443/a?b=c", nil)
	r.Header.Set("X-Amz-Date", "x")
	r.Header.Set("Range", "bytes=0-1")
	before, header := *r.URL, r.Header.Clone()
	u, err := sigv4.Presign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if *r.URL != before || r.Host != "h.example.com:443" || len(r.Header) != len(header) || r.Header.Get("X-Amz-Date") != "x" {
		t.Errorf("now %s of %s with %v", r.URL, r.Host, r.Header)
	}
	if got := u.Query().Get("X-Amz-SignedHeaders"); got != "host;range" {
		t.Errorf("signed %s", got)
	}
}
