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

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(v *sigv4.VerifyOptions)
		want   countersign.Code
	}{
		"nothing":        {func(*sigv4.VerifyOptions) {}, ""},
		"no secret":      {func(v *sigv4.VerifyOptions) { v.Secret = countersign.Secret{} }, countersign.BadSignature},
		"other secret":   {func(v *sigv4.VerifyOptions) { v.Secret = countersign.NewSecret("x") }, countersign.BadSignature},
		"no service":     {func(v *sigv4.VerifyOptions) { v.Service = "" }, countersign.Internal},
		"other service":  {func(v *sigv4.VerifyOptions) { v.Service = "s3" }, countersign.BadSignature},
		"service's case": {func(v *sigv4.VerifyOptions) { v.Service = "STS" }, countersign.BadSignature},
		"region":         {func(v *sigv4.VerifyOptions) { v.Regions = []string{"eu-west-1", "us-east-1"} }, ""},
		"other region":   {func(v *sigv4.VerifyOptions) { v.Regions = []string{"eu-west-1"} }, countersign.BadSignature},
		"no time":        {func(v *sigv4.VerifyOptions) { v.Now = time.Time{} }, countersign.Skewed},
		"smaller skew":   {func(v *sigv4.VerifyOptions) { v.Now, v.MaxSkew = noon.Add(2*time.Minute), time.Minute }, countersign.Skewed},
		"no hash":        {func(v *sigv4.VerifyOptions) { v.BodyHash = "" }, countersign.Invalid},
		"no hash, later": {func(v *sigv4.VerifyOptions) { v.BodyHash, v.BodyLater = "", true }, countersign.Invalid},
		"other hash":     {func(v *sigv4.VerifyOptions) { v.BodyHash = sigv4.EmptyPayloadHash }, countersign.BadSignature},
		"no real hash":   {func(v *sigv4.VerifyOptions) { v.BodyHash = sigv4.UnsignedPayload }, countersign.BadSignature},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := stsOptions()
			test.change(&v)
			wantCode(t, check(signedRequest(t), v), test.want)
		})
	}
}

func TestVerifyRefusesWhatWasNotParsed(t *testing.T) {
	t.Parallel()
	var none *sigv4.Request
	wantCode(t, none.Verify(stsOptions()), countersign.BadSignature)
	wantCode(t, (&sigv4.Request{AccessKeyID: ours.AccessKeyID, Time: noon}).Verify(stsOptions()), countersign.BadSignature)
}

// TestVerifyBody: what the header says, what came, and what the caller allows.
func TestVerifyBody(t *testing.T) {
	t.Parallel()
	body, other := sigv4.HashPayload([]byte(stsBody)), sigv4.HashPayload([]byte("Action=AssumeRole"))
	const streaming = sigv4.StreamingPayload
	tests := map[string]struct {
		sent   string
		change func(v *sigv4.VerifyOptions)
		want   countersign.Code
	}{
		"hash":                           {body, func(*sigv4.VerifyOptions) {}, ""},
		"another body":                   {body, func(v *sigv4.VerifyOptions) { v.BodyHash = other }, countersign.BodyMismatch},
		"capital hash":                   {body, func(v *sigv4.VerifyOptions) { v.BodyHash = strings.ToUpper(body) }, countersign.BodyMismatch},
		"short hash":                     {body, func(v *sigv4.VerifyOptions) { v.BodyHash = body[:63] }, countersign.BodyMismatch},
		"another body, wrong secret":     {body, func(v *sigv4.VerifyOptions) { v.BodyHash, v.Secret = other, countersign.NewSecret("x") }, countersign.BadSignature},
		"forgotten":                      {body, func(v *sigv4.VerifyOptions) { v.BodyHash = "" }, countersign.Internal},
		"later":                          {body, func(v *sigv4.VerifyOptions) { v.BodyHash, v.BodyLater = "", true }, ""},
		"later, but it is here":          {body, func(v *sigv4.VerifyOptions) { v.BodyHash, v.BodyLater = other, true }, countersign.BodyMismatch},
		"unsigned":                       {sigv4.UnsignedPayload, func(*sigv4.VerifyOptions) {}, countersign.BodyMismatch},
		"unsigned, streaming allowed":    {sigv4.UnsignedPayload, func(v *sigv4.VerifyOptions) { v.AllowStreaming, v.BodyLater = true, true }, countersign.BodyMismatch},
		"unsigned, allowed":              {sigv4.UnsignedPayload, func(v *sigv4.VerifyOptions) { v.AllowUnsigned = true }, ""},
		"streaming":                      {streaming, func(*sigv4.VerifyOptions) {}, countersign.BodyMismatch},
		"streaming, unsigned allowed":    {streaming, func(v *sigv4.VerifyOptions) { v.AllowUnsigned, v.BodyLater = true, true }, countersign.BodyMismatch},
		"streaming, allowed":             {streaming, func(v *sigv4.VerifyOptions) { v.AllowStreaming = true }, ""},
		"streaming, trailer":             {sigv4.StreamingPayloadTrailer, func(v *sigv4.VerifyOptions) { v.AllowStreaming = true }, ""},
		"streaming, unsigned trailer":    {sigv4.StreamingUnsignedTrailer, func(v *sigv4.VerifyOptions) { v.AllowStreaming, v.AllowUnsigned = true, true }, ""},
		"streaming, unsigned, forbidden": {sigv4.StreamingUnsignedTrailer, func(v *sigv4.VerifyOptions) { v.AllowStreaming = true }, countersign.BodyMismatch},
		"streaming, the secret is wrong": {streaming, func(v *sigv4.VerifyOptions) { v.AllowStreaming, v.Secret = true, countersign.NewSecret("x") }, countersign.BadSignature},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/", nil)
			err := sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon, PayloadHash: test.sent, SendPayloadHash: true})
			if err != nil {
				t.Fatal(err)
			}
			v := stsOptions()
			test.change(&v)
			wantCode(t, check(r, v), test.want)
		})
	}
}

// TestVerifyPresignedBody: at S3 a link that says nothing leaves the body open; elsewhere
// the body is what came.
func TestVerifyPresignedBody(t *testing.T) {
	t.Parallel()
	v := emptyBody()
	v.Service = "s3"
	wantCode(t, check(presignedFor(t, "s3", time.Hour), v), countersign.BodyMismatch)
	v.AllowUnsigned = true
	wantCode(t, check(presignedFor(t, "s3", time.Hour), v), "")

	v = emptyBody()
	wantCode(t, check(presignedRequest(t), v), "")
	v.BodyHash = sigv4.HashPayload([]byte(stsBody))
	wantCode(t, check(presignedRequest(t), v), countersign.BadSignature)
	v.BodyHash, v.AllowUnsigned = "", true
	wantCode(t, check(presignedRequest(t), v), countersign.Invalid)
}

// TestVerifyPaths: which paths a client may send and sign at the STS, and what S3 keeps
// apart. The signature is made over the left one.
func TestVerifyPaths(t *testing.T) {
	t.Parallel()
	tests := []struct {
		service, signed, sent string
		want                  countersign.Code
	}{
		{"sts", "/", "/", ""},
		{"sts", "", "/", ""},
		{"sts", "/", "//", ""}, // a client that normalises before it signs
		{"sts", "/sts", "/sts/", countersign.BadSignature},
		{"sts", "/sts/", "/sts/", ""},
		{"sts", "/sts", "/a/../sts", ""},
		{"sts", "/a/../sts", "/sts", ""}, // our signer normalises as well
		{"sts", "/sts", "/a/%2e%2e/sts", countersign.BadSignature},
		{"sts", "/a b", "/a%20b", ""},
		{"sts", "/a/b", "/a%2Fb", countersign.BadSignature},
		{"s3", "/b/k", "/b/k", ""},
		{"s3", "/b/k", "/b//k", countersign.BadSignature},
		{"s3", "/b/k", "/b/./k", countersign.BadSignature},
		{"s3", "/b/k", "/c/../b/k", countersign.BadSignature},
		{"s3", "/b/a/k", "/b/a%2Fk", countersign.BadSignature}, // what decides by the path must not meet another one
		{"s3", "/b/a=b+c", "/b/a%3Db%2Bc", ""},                 // one path, written in two ways
		{"s3", "/b/a=b+c", "/b/a=b+c", ""},
		{"s3", "/b/a%3db", "/b/a%3Db", ""},
		{"s3", "/b/%41", "/b/A", ""},
		{"s3", "/b/a%00", "/b/a", countersign.BadSignature},
	}
	for _, test := range tests {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h.example.com"+strings.ReplaceAll(test.signed, " ", "%20"), nil)
		if err != nil {
			t.Fatal(err)
		}
		options := sigv4.SignOptions{Region: "us-east-1", Service: test.service, Time: noon}
		if err := sigv4.Sign(r, ours, options); err != nil {
			t.Fatal(err)
		}
		sent := httptest.NewRequest(http.MethodGet, "https://h.example.com"+test.sent, nil)
		sent.Header = r.Header
		v := emptyBody()
		v.Service = test.service
		if got := countersign.CodeOf(check(sent, v)); got != test.want {
			t.Errorf("%s: signed %s, sent %s: %q, want %q", test.service, test.signed, test.sent, got, test.want)
		}
	}
}

// TestVerifyClientsThatDoNotNormalise: some sign the path as it is.
func TestVerifyClientsThatDoNotNormalise(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "//", "/sts/", "/a//b/../c", "/.", "/a%20b//", "/%E2%82%AC/"} {
		r := httptest.NewRequest(http.MethodGet, "https://h.example.com"+path, nil)
		signTheirs(t, r, "sts", sigv4.EmptyPayloadHash)
		wantCode(t, check(r, emptyBody()), "")
		r.URL.Path, r.URL.RawPath = r.URL.Path+"x", ""
		wantCode(t, check(r, emptyBody()), countersign.BadSignature)
	}
}
