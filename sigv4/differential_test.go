package sigv4_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

var ours = sigv4.Credentials{
	AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: countersign.NewSecret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
	SessionToken: countersign.NewSecret("FwoGZXIvYXdzEBYaD//+=="),
}

var theirs = aws.Credentials{
	AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "FwoGZXIvYXdzEBYaD//+==",
}

// wire sends r through a real reader of HTTP, as a server would get it.
func wire(tb testing.TB, r *http.Request) *http.Request {
	tb.Helper()
	got := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
	got.Host = r.Host
	if got.Host == "" {
		got.Host = r.URL.Host
	}
	got.Header = r.Header.Clone()
	got.ContentLength = r.ContentLength
	return got
}

// random makes requests that any client could send.
type random struct{ *rand.Rand }

func (g random) text(letters string, most int) string {
	var out strings.Builder
	for range g.IntN(most + 1) {
		out.WriteByte(letters[g.IntN(len(letters))])
	}
	return out.String()
}

func (g random) request() *http.Request {
	const any = "abcXYZ019-._~!$&'()*+,;=:@/%?# \"<>[]\\^`{|}\u00e9\u20ac"
	u := &url.URL{Scheme: "https", Host: "host.example.com" + []string{"", ":443", ":8443"}[g.IntN(3)], Path: "/" + g.text(any, 24)}
	query := make(url.Values)
	for range g.IntN(5) {
		query.Add("k"+g.text(any, 6), g.text(any, 12))
	}
	u.RawQuery = query.Encode()
	r := &http.Request{Method: []string{"GET", "PUT", "POST", "HEAD"}[g.IntN(4)], URL: u, Header: make(http.Header)}
	for i := range g.IntN(6) {
		name := []string{"Content-Type", "X-Amz-Meta-Name", "Range", "X-Custom", "User-Agent", "X-Amz-Acl"}[i]
		for range 1 + g.IntN(2) {
			r.Header.Add(name, "v"+g.text("abc  =;,\"'", 12)+"v")
		}
	}
	if r.Method == "PUT" || r.Method == "POST" {
		r.ContentLength = int64(g.IntN(3))
	}
	return r
}

// signTheirs signs as the SDK's client of service does.
func signTheirs(tb testing.TB, r *http.Request, service, payload string) {
	tb.Helper()
	r.Header.Set("X-Amz-Content-Sha256", payload)
	err := v4.NewSigner().SignHTTP(context.Background(), theirs, r, payload, service, "eu-west-1", noon, func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = service == "s3"
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// TestDifferentialSigner holds both ends against the AWS SDK's signer: what it signs
// verifies, and what we sign is the same to the byte.
func TestDifferentialSigner(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		g := random{rand.New(rand.NewPCG(seed, 4))}
		r := g.request()
		service := []string{"s3", "sts", "execute-api"}[g.IntN(3)]
		payload := []string{sigv4.EmptyPayloadHash, sigv4.HashPayload([]byte("x")), sigv4.UnsignedPayload}[g.IntN(3)]
		mine := r.Clone(t.Context())
		signTheirs(t, r, service, payload)
		checkVerifies(t, fmt.Sprintf("seed %d", seed), wire(t, r), service, payload)

		options := sigv4.SignOptions{Region: "eu-west-1", Service: service, Time: noon, PayloadHash: payload, SendPayloadHash: true}
		if err := sigv4.Sign(mine, ours, options); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkVerifies(t, fmt.Sprintf("seed %d, ours", seed), wire(t, mine), service, payload)
		// Their path is as it was sent; ours has the form that AWS specifies.
		if plainPath(r.URL, service) && mine.Header.Get("Authorization") != r.Header.Get("Authorization") {
			t.Fatalf("seed %d: %s\nours   %s\ntheirs %s", seed, r.URL, mine.Header.Get("Authorization"), r.Header.Get("Authorization"))
		}
	}
}

// plainPath reports whether the two ways to make a path canonical agree about u's.
func plainPath(u *url.URL, service string) bool {
	if service != "s3" {
		return !strings.Contains(u.Path, "//") && !strings.Contains(u.Path, "/.")
	}
	return strings.Trim(u.EscapedPath(), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%/") == ""
}

func checkVerifies(tb testing.TB, what string, r *http.Request, service, payload string) {
	tb.Helper()
	q, err := sigv4.Parse(r, sigv4.ParseOptions{AllowRepeatedKeys: true})
	if err != nil {
		tb.Fatalf("%s: %s %s: %v", what, r.Method, r.URL, err)
	}
	v := sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: noon, Service: service, AllowUnsigned: true}
	if payload != sigv4.UnsignedPayload {
		v.BodyHash = payload
	}
	if err := q.Verify(v); err != nil {
		tb.Fatalf("%s: %s %s: %v", what, r.Method, r.URL, err)
	}
}

// TestDifferentialPresigner does the same for presigned URLs.
func TestDifferentialPresigner(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		g := random{rand.New(rand.NewPCG(seed, 5))}
		r := g.request()
		service, payload := "s3", sigv4.UnsignedPayload
		if g.IntN(2) == 0 {
			service, payload = "sts", sigv4.EmptyPayloadHash
		}
		expires := time.Duration(1+g.IntN(604800)) * time.Second
		mine, err := sigv4.Presign(r, ours, sigv4.SignOptions{Region: "eu-west-1", Service: service, Time: noon}, expires)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		query := r.URL.Query()
		query.Set("X-Amz-Expires", strconv.Itoa(int(expires/time.Second)))
		before := r.URL.String()
		r.URL.RawQuery = query.Encode()
		hoist := g.IntN(2) == 0
		text, _, err := v4.NewSigner().PresignHTTP(t.Context(), theirs, r, payload, service, "eu-west-1", noon, func(o *v4.SignerOptions) {
			o.DisableURIPathEscaping = service == "s3"
			o.DisableHeaderHoisting = !hoist
		})
		if err != nil {
			t.Fatal(err)
		}
		if !hoist && plainPath(r.URL, service) && mine.String() != text {
			t.Fatalf("seed %d: %s\nours   %s\ntheirs %s", seed, before, mine, text)
		}
		for _, u := range []string{text, mine.String()} {
			got := r.Clone(t.Context())
			if got.URL, err = url.Parse(u); err != nil {
				t.Fatal(err)
			}
			got.Host = strings.TrimSuffix(got.URL.Host, ":443")
			checkVerifies(t, fmt.Sprintf("seed %d, hoisted %v", seed, hoist), wire(t, got), service, payload)
		}
	}
}

// FuzzDifferentialSigner: whatever the SDK's signer signs and we take verifies, and what
// we sign of the same request is the same where the two paths are.
func FuzzDifferentialSigner(f *testing.F) {
	f.Add("POST", "/sts", "Action=GetCallerIdentity", "text/plain", false)
	f.Add("GET", "//a/../b%/%2F", "a=b&a=c&c&d=%2B+~*", "  a   \t b ", true)
	f.Add("PUT", "/\u20ac =+!'()*;@:&", "\u20ac=/-&a-=1&a/=2", "\"a   b\",,", true)
	f.Fuzz(func(t *testing.T, method, path, query, value string, object bool) {
		service := "sts"
		if object {
			service = "s3"
		}
		r := &http.Request{
			Method: method, Host: "h.example.com", Header: http.Header{"X-Amz-Meta-A": {value, value}, "Content-Type": {value}},
			URL: &url.URL{Scheme: "https", Host: "h.example.com", Path: path, RawQuery: query},
		}
		mine := r.Clone(t.Context())
		signTheirs(t, r, service, sigv4.EmptyPayloadHash)
		q, err := sigv4.Parse(r, sigv4.ParseOptions{AllowRepeatedKeys: true})
		if err != nil || method == "" || value != strings.ToValidUTF8(value, "") || strings.Trim(value, " \t") != strings.TrimSpace(value) {
			return // the SDK takes Unicode's white space off a value
		}
		v := sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: noon, Service: service, BodyHash: sigv4.EmptyPayloadHash}
		if err := q.Verify(v); err != nil {
			t.Fatalf("%s %q %q %q: %v", method, r.URL.EscapedPath(), r.URL.RawQuery, value, err)
		}
		mine.URL.RawQuery = r.URL.RawQuery // which the SDK has rewritten
		options := sigv4.SignOptions{Region: "eu-west-1", Service: service, Time: noon, SendPayloadHash: true}
		if err := sigv4.Sign(mine, ours, options); err != nil {
			t.Fatalf("parsed, and not signed: %v", err)
		}
		if plainPath(r.URL, service) && mine.Header.Get("Authorization") != r.Header.Get("Authorization") {
			t.Errorf("ours %s\ntheirs %s", mine.Header.Get("Authorization"), r.Header.Get("Authorization"))
		}
	})
}
