package sigv4_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	q, err := sigv4.Parse(signedRequest(t), sigv4.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if q.AccessKeyID != ours.AccessKeyID || q.Scope != (sigv4.Scope{Date: "20261126", Region: "us-east-1", Service: "sts"}) ||
		!q.Time.Equal(noon) || q.Presigned || q.Expires != 0 || !q.SessionToken.Equal(ours.SessionToken) || q.PayloadHash != "" {
		t.Errorf("parsed %+v %v %v", q, q.Time, q.PayloadHash)
	}
	if want := []string{"content-length", "content-type", "host", "x-amz-date", "x-amz-security-token"}; !slices.Equal(q.SignedHeaders, want) {
		t.Errorf("signed headers %v, want %v", q.SignedHeaders, want)
	}
}

func TestParseTakesEveryOrderAndSpacing(t *testing.T) {
	t.Parallel()
	for _, change := range []func(r *http.Request){
		func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", ","))
		},
		func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", " ,\t  "))
		},
		func(r *http.Request) {
			parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ", ")
			slices.Reverse(parts)
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256   "+strings.Join(parts, ", "))
		},
		func(r *http.Request) { r.Header.Del("Content-Length") },
		func(r *http.Request) { r.Header.Set("Content-Length", fmt.Sprint(len(stsBody))) },
		func(r *http.Request) { r.Header.Set("Accept", "*/*") }, // not one of AWS's
		func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=1-2-3") },
		func(r *http.Request) { r.Header.Set("Content-Type", "  application/x-www-form-urlencoded ") },
	} {
		r := signedRequest(t)
		change(r)
		if err := check(r, stsOptions()); err != nil {
			t.Errorf("%s: %v", r.Header.Get("Authorization"), err)
		}
	}
}

// refusal is a request that does not parse, and how it came to be.
type refusal struct {
	change func(r *http.Request)
	want   countersign.Code
}

func checkRefusals(t *testing.T, tests map[string]refusal) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedRequest(t)
			test.change(r)
			q, err := sigv4.Parse(r, sigv4.ParseOptions{})
			if err == nil || q != nil {
				t.Fatalf("parsed %v", q)
			}
			wantCode(t, err, test.want)
		})
	}
}

func TestParseRefusesAuthorization(t *testing.T) {
	t.Parallel()
	const bad, invalid = countersign.BadHeader, countersign.Invalid
	checkRefusals(t, map[string]refusal{
		"none":                    {func(r *http.Request) { clear(r.Header) }, countersign.Unauthenticated},
		"empty":                   {func(r *http.Request) { r.Header.Set("Authorization", "") }, bad},
		"nil":                     {func(r *http.Request) { r.Header["Authorization"] = nil }, bad},
		"twice":                   {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, bad},
		"bearer":                  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, bad},
		"only a token":            {func(r *http.Request) { r.Header.Del("Authorization") }, invalid},
		"version 2":               {func(r *http.Request) { r.Header.Set("Authorization", "AWS AKIA:sig") }, invalid},
		"version 4a":              {func(r *http.Request) { replace(r, "AWS4-HMAC", "AWS4-ECDSA-P256") }, invalid},
		"scheme in small letters": {func(r *http.Request) { replace(r, "AWS4", "aws4") }, bad},
		"no scheme":               {func(r *http.Request) { replace(r, "AWS4-HMAC-SHA256 ", "") }, bad},
		"scheme alone":            {func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256") }, bad},
		"no credential":           {func(r *http.Request) { replace(r, "Credential=", "Cred=") }, bad},
		"no signature":            {func(r *http.Request) { replace(r, ", Signature=", ", Sig=") }, bad},
		"empty signature": {func(r *http.Request) {
			text := r.Header.Get("Authorization")
			r.Header.Set("Authorization", text[:strings.Index(text, "Signature=")+len("Signature=")])
		}, bad},
		"part twice":        {func(r *http.Request) { replace(r, "Credential=", "Credential=a/b/c/d/aws4_request, Credential=") }, bad},
		"signature twice":   {func(r *http.Request) { replace(r, "Signature=", "Signature="+strings.Repeat("a", 64)+", Signature=") }, bad},
		"another part":      {func(r *http.Request) { replace(r, "Signature=", "X=y, Signature=") }, bad},
		"comma at the end":  {func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+",") }, bad},
		"capital signature": {upperSignature, bad},
		"short signature": {func(r *http.Request) {
			replace(r, r.Header.Get("Authorization")[len(r.Header.Get("Authorization"))-1:], "")
		}, bad},
		"no region":           {func(r *http.Request) { replace(r, "/us-east-1/", "/") }, bad},
		"empty region":        {func(r *http.Request) { replace(r, "/us-east-1/", "//") }, bad},
		"slash in the key id": {func(r *http.Request) { replace(r, "Credential=", "Credential=a/") }, bad},
		"other terminator":    {func(r *http.Request) { replace(r, "aws4_request", "aws4-request") }, bad},
		"longer scope":        {func(r *http.Request) { replace(r, "aws4_request", "aws4_request/x") }, bad},
		"long key id":         {func(r *http.Request) { replace(r, "Credential=", "Credential="+strings.Repeat("A", 128)) }, bad},
	})
}

func TestParseRefusesHeaders(t *testing.T) {
	t.Parallel()
	const bad, invalid = countersign.BadHeader, countersign.Invalid
	checkRefusals(t, map[string]refusal{
		"no host":              {func(r *http.Request) { replace(r, "host;", "") }, bad},
		"not sorted":           {func(r *http.Request) { replace(r, "content-length;content-type", "content-type;content-length") }, bad},
		"header twice":         {func(r *http.Request) { replace(r, "host;", "host;host;") }, bad},
		"capital header":       {func(r *http.Request) { replace(r, "host;", "Host;") }, bad},
		"empty header":         {func(r *http.Request) { replace(r, "SignedHeaders=", "SignedHeaders=;") }, bad},
		"space in headers":     {func(r *http.Request) { replace(r, "host;", "host; ") }, bad},
		"too many headers":     {func(r *http.Request) { replace(r, "host;", manyHeaders(130)+"host;") }, bad},
		"too long":             {func(r *http.Request) { replace(r, "host;", strings.Repeat("a", 9000)+";host;") }, bad},
		"signed and not there": {func(r *http.Request) { r.Header.Del("Content-Type") }, bad},
		"date not signed":      {func(r *http.Request) { replace(r, ";x-amz-date", "") }, bad},
		"token not signed":     {func(r *http.Request) { replace(r, ";x-amz-security-token", "") }, bad},
		"added header of aws":  {func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, bad},
		"no date":              {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, bad},
		"only Date":            {func(r *http.Request) { r.Header.Del("X-Amz-Date"); r.Header.Set("Date", noon.Format(http.TimeFormat)) }, bad},
		"two dates":            {func(r *http.Request) { r.Header.Add("X-Amz-Date", "20261126T120000Z") }, bad},
		"extended date":        {func(r *http.Request) { r.Header.Set("X-Amz-Date", "2026-11-26T12:00:00Z") }, bad},
		"fraction in the date": {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261126T120000.5Z") }, bad},
		"no such date":         {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261326T120000Z") }, bad},
		"zone in the date":     {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261126T120000+0") }, bad},
		"two tokens":           {func(r *http.Request) { r.Header.Add("X-Amz-Security-Token", "x") }, invalid},
		"empty token":          {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", " ") }, invalid},
		"huge token":           {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", strings.Repeat("x", 20000)) }, invalid},
		"garbage hash":         {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "garbage") }, invalid},
		"capital hash":         {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("A", 64)) }, invalid},
		"other streaming hash": {func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
		}, invalid},
		"length that is not":      {func(r *http.Request) { r.Header.Set("Content-Length", "7") }, invalid},
		"two spellings of a name": {func(r *http.Request) { r.Header["x-amz-date"] = []string{"20261126T120000Z"} }, invalid},
		"second host":             {func(r *http.Request) { r.Header["Host"] = []string{"evil.example.com"} }, invalid},
		"line in a value":         {func(r *http.Request) { r.Header.Set("Content-Type", "a\nhost:b") }, invalid},
		"line in the host":        {func(r *http.Request) { r.Host = "a\nb" }, invalid},
		"empty host":              {func(r *http.Request) { r.Host, r.URL.Host = "", "" }, bad},
		"line in the method":      {func(r *http.Request) { r.Method = "POST\n/other" }, invalid},
		"opaque":                  {func(r *http.Request) { r.URL.Opaque = "//x/y" }, invalid},
		"path without a slash":    {func(r *http.Request) { r.URL.Path, r.URL.RawPath = "*", "" }, invalid},
		"huge path":               {func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("x", 20000) }, invalid},
		"huge query":              {func(r *http.Request) { r.URL.RawQuery = strings.Repeat("x", 20000) }, invalid},
		"many parameters":         {func(r *http.Request) { r.URL.RawQuery = strings.Repeat("&", 200) }, invalid},
		"semicolon":               {func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" }, invalid},
		"bad encoding":            {func(r *http.Request) { r.URL.RawQuery = "a=%2" }, invalid},
		"worse encoding":          {func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, invalid},
	})
}

func upperSignature(r *http.Request) {
	text := r.Header.Get("Authorization")
	at := strings.Index(text, "Signature=") + len("Signature=")
	r.Header.Set("Authorization", text[:at]+strings.ToUpper(text[at:]))
}

func manyHeaders(count int) string {
	var out strings.Builder
	for i := range count {
		fmt.Fprintf(&out, "a%03d;", i)
	}
	return out.String()
}

func TestParseRefusesNothing(t *testing.T) {
	t.Parallel()
	_, err := sigv4.Parse(nil, sigv4.ParseOptions{})
	wantCode(t, err, countersign.Invalid)
	_, err = sigv4.Parse(&http.Request{}, sigv4.ParseOptions{})
	wantCode(t, err, countersign.Invalid)
	_, err = sigv4.Parse(httptest.NewRequest(http.MethodGet, "/", nil), sigv4.ParseOptions{})
	wantCode(t, err, countersign.Unauthenticated)
	_, err = sigv4.Parse(httptest.NewRequest(http.MethodGet, "/?Expires=1&versionId=2", nil), sigv4.ParseOptions{})
	wantCode(t, err, countersign.Unauthenticated)
}

func TestParsePresigned(t *testing.T) {
	t.Parallel()
	q, err := sigv4.Parse(presignedRequest(t), sigv4.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !q.Presigned || q.Expires != time.Hour || !q.SessionToken.Equal(ours.SessionToken) || !slices.Equal(q.SignedHeaders, []string{"host"}) {
		t.Errorf("parsed %v %v %v", q, q.Expires, q.SignedHeaders)
	}
}

func TestParseRefusesQueries(t *testing.T) {
	t.Parallel()
	add := func(text string) func(r *http.Request) {
		return func(r *http.Request) { r.URL.RawQuery += "&" + text }
	}
	change := func(before, after string) func(r *http.Request) {
		return func(r *http.Request) { requery(r, before, after) }
	}
	tests := map[string]func(r *http.Request){
		"no algorithm":           change("X-Amz-Algorithm=", "Algorithm="),
		"no credential":          change("X-Amz-Credential=", "Credential="),
		"no date":                change("X-Amz-Date=", "Date="),
		"empty expiry":           change("X-Amz-Expires=3600", "X-Amz-Expires="),
		"no expiry at S3":        func(r *http.Request) { change("%2Fsts%2F", "%2Fs3%2F")(r); change("X-Amz-Expires=", "Expires=")(r) },
		"no signed headers":      change("X-Amz-SignedHeaders=", "SignedHeaders="),
		"no signature":           change("X-Amz-Signature=", "Signature="),
		"empty date":             change("X-Amz-Date=20261126T120000Z", "X-Amz-Date="),
		"version 4a":             change("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
		"capital algorithm":      change("X-Amz-Algorithm=", "X-AMZ-ALGORITHM="),
		"small signature key":    change("X-Amz-Signature=", "x-amz-signature="),
		"small key beside":       add("x-amz-date=20261126T120000Z"),
		"small hash":             add("x-amz-content-sha256=UNSIGNED-PAYLOAD"),
		"algorithm twice":        add("X-Amz-Algorithm=AWS4-HMAC-SHA256"),
		"signature twice":        add("X-Amz-Signature=" + strings.Repeat("a", 64)),
		"encoded key beside":     add("X-Amz%2DExpires=604800"),
		"expiry twice":           add("X-Amz-Expires=604800"),
		"other key twice":        add("Action=AssumeRole"),
		"other key in small":     add("action=AssumeRole"),
		"other key encoded":      add("%41ction=AssumeRole"),
		"no host":                change("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=range"),
		"signed and not there":   change("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Brange"),
		"header too":             func(r *http.Request) { r.Header = signedRequest(t).Header },
		"empty header too":       func(r *http.Request) { r.Header.Set("Authorization", "") },
		"bearer too":             func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		"date in a header":       func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261126T120000Z") },
		"token in a header":      func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") },
		"unsigned header of aws": func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
		"unsigned hash":          func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload) },
		"hash in both places": func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
			add("X-Amz-Content-Sha256=UNSIGNED-PAYLOAD")(r)
		},
		"garbage hash":            add("X-Amz-Content-Sha256=x"),
		"capital signature":       func(r *http.Request) { upper(r) },
		"long signature":          func(r *http.Request) { r.URL.RawQuery += "0" },
		"credential of four":      change("%2Fsts%2F", "%2F"),
		"plain text of version 2": func(r *http.Request) { r.URL.RawQuery = "AWSAccessKeyId=AKIA&Expires=1&Signature=x" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := presignedRequest(t)
			change(r)
			q, err := sigv4.Parse(r, sigv4.ParseOptions{})
			if err == nil || q != nil {
				t.Fatalf("parsed %v", q)
			}
			wantCode(t, err, countersign.Invalid)
		})
	}
}

func upper(r *http.Request) {
	before, after, _ := strings.Cut(r.URL.RawQuery, "X-Amz-Signature=")
	r.URL.RawQuery = before + "X-Amz-Signature=" + strings.ToUpper(after)
}

func TestParseRepeatedKeysWhenAllowed(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "https://h.example.com/?tag=b&tag=a&Tag=c", nil)
	u, err := sigv4.Presign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "api", Time: noon}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r = httptest.NewRequest(http.MethodGet, u.String(), nil)
	wantCode(t, check(r, emptyBody()), countersign.Invalid)
	options := sigv4.ParseOptions{AllowRepeatedKeys: true}
	q, err := sigv4.Parse(r, options)
	if err != nil {
		t.Fatal(err)
	}
	v := emptyBody()
	v.Service = "api"
	if err := q.Verify(v); err != nil {
		t.Error(err)
	}
	for _, more := range []string{"&X-Amz-Expires=9", "&X-Amz-Security-Token=x", "&x-amz-expires=9"} {
		again := httptest.NewRequest(http.MethodGet, u.String()+more, nil)
		_, err := sigv4.Parse(again, options)
		wantCode(t, err, countersign.Invalid)
	}
}

// TestParseCopies: what was parsed does not change with the request.
func TestParseCopies(t *testing.T) {
	t.Parallel()
	r := signedRequest(t)
	q, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Method, r.Host, r.URL.Path, r.URL.RawQuery = http.MethodGet, "evil.example.com", "/other", "a=b"
	r.Header.Set("Content-Type", "text/plain")
	if err := q.Verify(stsOptions()); err != nil {
		t.Error(err)
	}
	wantCode(t, check(r, stsOptions()), countersign.BadSignature)
}

// TestRequestNeverPrintsSecrets: not by any verb, and not inside of another struct.
func TestRequestNeverPrintsSecrets(t *testing.T) {
	t.Parallel()
	q, err := sigv4.Parse(presignedRequest(t), sigv4.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{q, *q, struct{ hidden *sigv4.Request }{q}, struct{ hidden sigv4.Request }{*q}, []*sigv4.Request{q}} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, ours.SessionToken.Reveal()) || strings.Contains(text, "X-Amz-Security-Token=") {
				t.Errorf("%s of %T: %s", verb, value, text)
			}
		}
	}
}
