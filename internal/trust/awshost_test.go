package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// endpointTable returns the URLs of botocore's endpoint tests.
func endpointTable(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/sts-endpoint-tests.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ../shared/vectors")
	}
	var table struct {
		TestCases []struct {
			Params struct{ Endpoint string }
			Expect struct{ Endpoint struct{ URL string } }
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, c := range table.TestCases {
		if c.Params.Endpoint == "" && c.Expect.Endpoint.URL != "" {
			urls = append(urls, c.Expect.Endpoint.URL)
		}
	}
	if len(urls) < 40 {
		t.Fatalf("%d endpoints only", len(urls))
	}
	return urls
}

// recorder answers for the whole of AWS and keeps where a request went.
type recorder struct{ host, partition string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.host = request.Host + "|" + request.URL.String()
	body := identityXML("123456789012", strings.Replace(roleARN, "arn:aws:", "arn:"+r.partition+":", 1), roleID)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))),
	}, nil
}

func partitionOf(host string) string {
	for suffix, partition := range map[string]string{
		".com.cn": "aws-cn", ".c2s.ic.gov": "aws-iso", ".sc2s.sgov.gov": "aws-iso-b",
	} {
		if strings.HasSuffix(host, suffix) {
			return partition
		}
	}
	if strings.Contains(host, "us-gov-") {
		return "aws-us-gov"
	}
	return "aws"
}

// TestVulnerability8 is the other side of it: every host of AWS's own table is asked, at
// that host, and may speak of its own partition only.
func TestVulnerability8EveryHostOfAWS(t *testing.T) {
	t.Parallel()
	for _, url := range endpointTable(t) {
		a, r := newAWS(t, trust.AWSConfig{}), &recorder{partition: partitionOf(url)}
		a.SetClient(&http.Client{Transport: r})
		id, err := a.Verify(t.Context(), signPost(t, url+"/", keyPair, nil))
		if err != nil || id.AWS.Partition != r.partition {
			t.Errorf("%s: %v", url, err)
		}
		if want := strings.TrimPrefix(url, "https://") + "|" + url + "/"; r.host != want {
			t.Errorf("asked %s, want %s", r.host, want)
		}
		a, r = newAWS(t, trust.AWSConfig{}), &recorder{partition: "aws-other"}
		a.SetClient(&http.Client{Transport: r})
		if id, err := a.Verify(t.Context(), signPost(t, url+"/", keyPair, nil)); countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%s speaks of another partition: %+v, %v", url, id, err)
		}
	}
}

// TestVulnerability8: nobody else's host is ever asked.
func TestVulnerability8(t *testing.T) {
	t.Parallel()
	a, r := newAWS(t, trust.AWSConfig{Endpoints: []string{"https://vpce-1-2.sts.us-east-1.vpce.amazonaws.com"}}), &recorder{partition: "aws"}
	a.SetClient(&http.Client{Transport: r})
	proof := signPost(t, "https://sts.amazonaws.com/", keyPair, nil)
	for _, url := range []string{
		"", "/", "sts.amazonaws.com", "//sts.amazonaws.com/", "http://sts.amazonaws.com/", "HTTPS://sts.amazonaws.com/",
		"https://sts.amazonaws.com", "https://sts.amazonaws.com:443/", "https://sts.amazonaws.com:8443/",
		"https://sts.amazonaws.com./", "https://STS.amazonaws.com/", "https://sts.amazonaws.com//", "https://sts.amazonaws.com/x",
		"https://sts.amazonaws.com/..", "https://sts.amazonaws.com/#", "https://sts.amazonaws.com/#x", "https://sts.amazonaws.com/?",
		"https://sts.amazonaws.com/%2e", "https://sts.amazonaws.com\\/", "https://sts.amazonaws.com /", " https://sts.amazonaws.com/",
		"https://sts.amazonaws.com/\n", "https://sts.amazonaws.com\t/", "https://sts.amazonaws.com@evil.example.com/",
		"https://evil.example.com@sts.amazonaws.com/", "https://a:b@sts.amazonaws.com/", "https://sts.amazonaws.com.evil.example.com/",
		"https://sts.evil.example.com/", "https://sts.s3.amazonaws.com/", "https://sts.evil.amazonaws.com/", "https://sts-x.amazonaws.com/",
		"https://sts-fips.amazonaws.com/", "https://sts-fips.eu-west-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com.cn/",
		"https://sts.cn-north-1.amazonaws.com/", "https://evil-sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.s3.amazonaws.com/",
		"https://sts.us-east-1.api.aws.evil.example.com/", "https://sts.xn--us-east-1.amazonaws.com/", "https://ѕts.amazonaws.com/",
		"https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://0x7f.1/", "https://2130706433/", "https://localhost/",
		"file:///etc/passwd", "gopher://sts.amazonaws.com/",
		"https://vpce-1-2.sts.us-east-1.vpce.amazonaws.com:444/", "https://vpce-1-2.sts.us-east-1.vpce.amazonaws.com/x", "https://vpce-1-3.sts.us-east-1.vpce.amazonaws.com/",
	} {
		for _, p := range []trust.AWSProof{{URL: url, Body: proof.Body, Headers: proof.Headers}, {URL: url + "?" + callBody, Headers: proof.Headers}} {
			if id, err := a.Verify(t.Context(), p); countersign.CodeOf(err) != countersign.BadToken || r.host != "" {
				t.Errorf("%q: %+v, %v, asked %s", url, id, err, r.host)
			}
		}
	}
}

// TestVulnerability8Redirect: where an STS points to is not where we go.
func TestVulnerability8Redirect(t *testing.T) {
	t.Parallel()
	target := newSTS(t, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := newSTS(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, code) })
		if id, err := login(t, s, signPost(t, s.URL+"/", keyPair, nil)); countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%d: %+v, %v", code, id, err)
		}
	}
	if target.calls.Load() != 0 {
		t.Error("a redirect was followed")
	}
}
