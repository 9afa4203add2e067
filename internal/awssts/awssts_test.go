package awssts_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
)

// TestEveryEndpointOfAWS holds the table against botocore's endpoint tests: each host,
// the right region, and as the region's own where it is that.
func TestEveryEndpointOfAWS(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../shared/vectors/sts-endpoint-tests.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ../shared/vectors")
	}
	var table struct {
		TestCases []struct {
			Params struct {
				Region, Endpoint                         string
				UseFIPS, UseDualStack, UseGlobalEndpoint bool
			}
			Expect struct{ Endpoint struct{ URL string } }
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(map[string]bool)
	for _, c := range table.TestCases {
		url, p := c.Expect.Endpoint.URL, c.Params
		if url == "" || p.Endpoint != "" {
			continue
		}
		hosts[url] = true
		e, ok := awssts.Lookup(url + "/")
		if !ok || "https://"+e.Host != url || e.URL != url+"/" || e.Partition == "" {
			t.Errorf("%s: %+v, %v", url, e, ok)
		}
		if global := url == "https://sts.amazonaws.com"; !global && e.Region != p.Region || global && e.Region != "" {
			t.Errorf("%s: region %q", url, e.Region)
		}
		if p.UseFIPS || p.UseDualStack || p.UseGlobalEndpoint || p.Region == "aws-global" {
			continue
		}
		if own, ok := awssts.OfRegion(p.Region); !ok || own != e {
			t.Errorf("%s: %+v, %v", p.Region, own, ok)
		}
	}
	if len(hosts) < 44 {
		t.Errorf("%d hosts only", len(hosts))
	}
	if _, ok := awssts.OfRegion("aws-global"); ok {
		t.Error("aws-global is a region")
	}
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]awssts.Endpoint{
		"http://127.0.0.1:4566":  {URL: "http://127.0.0.1:4566/", Host: "127.0.0.1:4566", Partition: "aws"},
		"http://localhost:4566/": {URL: "http://localhost:4566/", Host: "localhost:4566", Partition: "aws"},
		"https://sts.test/base":  {URL: "https://sts.test/base", Host: "sts.test", Partition: "aws"},
		"https://vpce-1.sts.eu-west-1.vpce.amazonaws.com": {URL: "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com/",
			Host: "vpce-1.sts.eu-west-1.vpce.amazonaws.com", Region: "eu-west-1", Partition: "aws"},
		"https://vpce-1.sts.cn-north-1.vpce.amazonaws.com.cn": {URL: "https://vpce-1.sts.cn-north-1.vpce.amazonaws.com.cn/",
			Host: "vpce-1.sts.cn-north-1.vpce.amazonaws.com.cn", Region: "cn-north-1", Partition: "aws-cn"},
	} {
		if got, err := awssts.ParseEndpoint(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sts.test", "http://sts.test", "https://sts.test?x", "https://sts.test/?", "https://sts.test/#", "https://a@sts.test",
		"https://STS.test", "https://sts.test/%2e", "ftp://127.0.0.1"} {
		if got, err := awssts.ParseEndpoint(text); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func document(inner string) string {
	return `<R xmlns="` + awssts.Namespace + `">` + inner + `</R>`
}

func TestParse(t *testing.T) {
	t.Parallel()
	root, err := awssts.Parse([]byte(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+document("\n <A>x &amp; y</A>\n <B><C></C></B>\n")+"\n"), "R")
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := root.One("A"); !ok || text != "x & y" {
		t.Errorf("A = %q, %v", text, ok)
	}
	if _, ok := root.One("B"); ok {
		t.Error("an element with children has a text")
	}
	if _, ok := root.Child("D"); ok || !root.Only("A", "B", "D") || root.Only("A") {
		t.Error("children are others")
	}
	twice, err := awssts.Parse([]byte(document("<A>1</A><A>2</A>")), "R")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := twice.One("A"); ok || twice.Only("A") {
		t.Error("one of two was taken")
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": time.Second, "7": 7 * time.Second, "-1": time.Second, "999999999999999999999": time.Second, "86400": 5 * time.Minute, "x": time.Second, "0": 0,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		client := awssts.NewClient(nil, false)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = awssts.Call(client, r, "GetCallerIdentity")
		var e *countersign.Error
		if !errors.As(err, &e) || e.Code != countersign.Throttled || e.RetryAfter != want {
			t.Errorf("%q: %v, %v", header, err, e.RetryAfter)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}

// TestRefusalsOfEmulators: moto writes no namespace and calls it HTML; a no is a no.
func TestRefusalsOfEmulators(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<?xml version="1.0" encoding="utf-8"?>
<ErrorResponse><Errors><Error><Code>SignatureDoesNotMatch</Code><Message>m</Message><Type>Sender</Type></Error></Errors></ErrorResponse>`))
	}))
	defer server.Close()
	client := awssts.NewClient(nil, false)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = awssts.Call(client, r, "GetCallerIdentity"); countersign.CodeOf(err) != countersign.BadSignature {
		t.Errorf("got %v", err)
	}
}

// TestRefusalsSayNothingOfTheirs: what stands in somebody else's answer is no text of ours.
func TestRefusalsSayNothingOfTheirs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`<ErrorResponse xmlns="` + awssts.Namespace + `"><Error><Code>Evil&lt;script&gt;</Code><Message>canary</Message></Error></ErrorResponse>`))
	}))
	defer server.Close()
	client := awssts.NewClient(nil, false)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = awssts.Call(client, r, "GetCallerIdentity")
	if countersign.CodeOf(err) != countersign.Upstream || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "script") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: whatever comes, what is read is what stands there: bounded, without anything
// around it, and the same when it is written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document("<A>1</A>")))
	f.Add([]byte(`<?xml version="1.0"?>` + document("<A><B>x</B></A>")))
	f.Add([]byte(document("<![CDATA[x]]>")))
	f.Add([]byte(`<x:R xmlns:x="` + awssts.Namespace + `"/>`))
	f.Add([]byte(document("<A>&#65;</A>") + "x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := awssts.Parse(text, "R")
		if err != nil {
			return
		}
		if root.Name != "R" || strings.Count(string(text), "<R")+strings.Count(string(text), "</R") < 1 {
			t.Errorf("%q is a document", text)
		}
		var out strings.Builder
		if n := write(&out, root, true); n > 64 {
			t.Errorf("%d elements", n)
		}
		again, err := awssts.Parse([]byte(out.String()), "R")
		if err != nil {
			t.Fatalf("%q, written again as %q: %v", text, out.String(), err)
		}
		var second strings.Builder
		write(&second, again, true)
		if second.String() != out.String() {
			t.Errorf("%q and %q", out.String(), second.String())
		}
	})
}

func write(b *strings.Builder, e *awssts.Element, root bool) int {
	b.WriteString("<" + e.Name)
	if root {
		b.WriteString(` xmlns="` + awssts.Namespace + `"`)
	}
	b.WriteString(">" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(e.Text))
	n := 1
	for _, c := range e.Children {
		n += write(b, c, false)
	}
	b.WriteString("</" + e.Name + ">")
	return n
}
