package awscreds_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
)

const (
	awsKeyID  = "ASIAIOSFODNN7EXAMPLE"
	awsSecret = "aws-secret-canary"
	awsToken  = "aws-session-token-canary"
)

func awsCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: awsKeyID, SecretAccessKey: awsSecret, SessionToken: awsToken}, nil
}

func awsConfig(e *endpoint) awscreds.AWSIdentityConfig {
	return awscreds.AWSIdentityConfig{
		STS: "https://auth.example.com/sts", RoleARN: roleARN, ServerID: "auth.example.com",
		Credentials: aws.CredentialsProviderFunc(awsCredentials), HTTPClient: &http.Client{Transport: e},
	}
}

// sentProof is what a server makes of the three parameters.
type sentProof struct {
	url, body string
	headers   map[string]string
}

func decodeProof(t *testing.T, form url.Values) sentProof {
	t.Helper()
	decode := func(name string) string {
		text, err := base64.StdEncoding.DecodeString(form.Get(name))
		if err != nil || len(form[name]) != 1 {
			t.Fatalf("%s: %v, %d times", name, err, len(form[name]))
		}
		return string(text)
	}
	p := sentProof{url: decode("IamRequestUrl"), body: decode("IamRequestBody")}
	if err := json.Unmarshal([]byte(decode("IamRequestHeaders")), &p.headers); err != nil {
		t.Fatal(err)
	}
	return p
}

// prove asks once and returns what was sent.
func prove(t *testing.T, cfg awscreds.AWSIdentityConfig, e *endpoint) (url.Values, sentProof) {
	t.Helper()
	p := awscreds.NewAWSIdentity(cfg)
	defer p.Close()
	mustRetrieve(t, p)
	form := e.form()
	return form, decodeProof(t, form)
}

func TestAWSIdentitySignedPost(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	var serverID string
	e.set(func(r *http.Request, _ url.Values) (int, http.Header, string) {
		serverID = r.Header.Get("X-Countersign-Server-ID")
		return 200, nil, answerXML(1, time.Hour)
	})
	at := time.Now().Truncate(time.Second)
	cfg := awsConfig(e)
	cfg.Region, cfg.Now = "eu-central-1", func() time.Time { return at }
	form, proof := prove(t, cfg, e)
	if form.Get("Action") != "AssumeRoleWithAWSIdentity" || form.Get("RoleArn") != roleARN || form.Has("RoleSessionName") || serverID != "auth.example.com" {
		t.Errorf("form %v, server id %q", form, serverID)
	}
	if proof.url != "https://sts.eu-central-1.amazonaws.com/" || proof.body != "Action=GetCallerIdentity&Version=2011-06-15" {
		t.Errorf("url %q, body %q", proof.url, proof.body)
	}
	// A verifier signs what it got and compares.
	r, err := http.NewRequest(http.MethodPost, proof.url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Content-Type", "X-Countersign-Server-Id", "Amz-Sdk-Invocation-Id"} {
		r.Header.Set(name, proof.headers[name])
	}
	credentials, _ := awsCredentials(t.Context())
	sum := sha256.Sum256([]byte(proof.body))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "sts", "eu-central-1", at); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for name := range r.Header {
		want[name] = r.Header.Get(name)
	}
	if diff := cmp.Diff(want, proof.headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	signed := "SignedHeaders=amz-sdk-invocation-id;content-type;host;x-amz-date;x-amz-security-token;x-countersign-server-id,"
	if !strings.Contains(proof.headers["Authorization"], signed) {
		t.Errorf("%q does not sign just what is sent", proof.headers["Authorization"])
	}
}

func TestAWSIdentityPresigned(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	cfg := awsConfig(e)
	cfg.Presigned, cfg.AWSSTS = true, "https://vpce-1.sts.us-east-1.vpce.amazonaws.com"
	_, proof := prove(t, cfg, e)
	at, err := url.Parse(proof.url)
	if err != nil || at.Host != "vpce-1.sts.us-east-1.vpce.amazonaws.com" || at.Path != "/" || proof.body != "" {
		t.Errorf("url %q, body %q", proof.url, proof.body)
	}
	query, err := url.ParseQuery(at.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, values := range query {
		names = append(names, name)
		if len(values) != 1 {
			t.Errorf("%s comes %d times", name, len(values))
		}
	}
	slices.Sort(names)
	want := []string{"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
		"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if query.Get("X-Amz-SignedHeaders") != "amz-sdk-invocation-id;host;x-countersign-server-id" || query.Get("Action") != "GetCallerIdentity" || query.Get("X-Amz-Expires") != "60" {
		t.Errorf("query %v", query)
	}
	wantHeaders := map[string]string{"X-Countersign-Server-Id": "auth.example.com", "Amz-Sdk-Invocation-Id": proof.headers["Amz-Sdk-Invocation-Id"]}
	if diff := cmp.Diff(wantHeaders, proof.headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// A proof serves once, so every login makes its own; the secret never travels.
func TestAWSIdentityTheSecretStays(t *testing.T) {
	t.Parallel()
	for _, presigned := range []bool{false, true} {
		e := &endpoint{}
		cfg := awsConfig(e)
		cfg.Presigned = presigned
		form, proof := prove(t, cfg, e)
		if sent := fmt.Sprint(form, proof); strings.Contains(sent, awsSecret) {
			t.Errorf("the secret access key was sent: %s", sent)
		}
	}
}

func TestAWSIdentityRegions(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"":                "https://sts.amazonaws.com/",
		"aws-global":      "https://sts.amazonaws.com/",
		"us-east-1":       "https://sts.us-east-1.amazonaws.com/",
		"us-gov-west-1":   "https://sts.us-gov-west-1.amazonaws.com/",
		"cn-northwest-1":  "https://sts.cn-northwest-1.amazonaws.com.cn/",
		"us-iso-east-1":   "https://sts.us-iso-east-1.c2s.ic.gov/",
		"us-isob-east-1":  "https://sts.us-isob-east-1.sc2s.sgov.gov/",
		"us-isof-south-1": "https://sts.us-isof-south-1.csp.hci.ic.gov/",
		"eu-isoe-west-1":  "https://sts.eu-isoe-west-1.cloud.adc-e.uk/",
		"eusc-de-east-1":  "https://sts.eusc-de-east-1.amazonaws.eu/",
	} {
		e := &endpoint{}
		cfg := awsConfig(e)
		cfg.Region = region
		_, proof := prove(t, cfg, e)
		if proof.url != want {
			t.Errorf("%s: %s, want %s", region, proof.url, want)
		}
		scope := region
		if region == "" || region == "aws-global" {
			scope = "us-east-1"
		}
		if !strings.Contains(proof.headers["Authorization"], "/"+scope+"/sts/aws4_request,") {
			t.Errorf("%s: %s", region, proof.headers["Authorization"])
		}
	}
}

func TestAWSIdentityConfigThatCanNotWork(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*awscreds.AWSIdentityConfig){
		"no sts":               func(c *awscreds.AWSIdentityConfig) { c.STS = "" },
		"no role":              func(c *awscreds.AWSIdentityConfig) { c.RoleARN = "" },
		"no server id":         func(c *awscreds.AWSIdentityConfig) { c.ServerID = "" },
		"server id, break":     func(c *awscreds.AWSIdentityConfig) { c.ServerID = "a\r\nb" },
		"two server ids":       func(c *awscreds.AWSIdentityConfig) { c.ServerID = "a,b" },
		"no credentials":       func(c *awscreds.AWSIdentityConfig) { c.Credentials = nil },
		"region is a host":     func(c *awscreds.AWSIdentityConfig) { c.Region = "evil.example.com/" },
		"region of one word":   func(c *awscreds.AWSIdentityConfig) { c.Region = "evil" },
		"region in capitals":   func(c *awscreds.AWSIdentityConfig) { c.Region = "US-EAST-1" },
		"region, line break":   func(c *awscreds.AWSIdentityConfig) { c.Region = "us-east-1\n" },
		"plain http at aws":    func(c *awscreds.AWSIdentityConfig) { c.AWSSTS = "http://sts.amazonaws.com" },
		"query at aws":         func(c *awscreds.AWSIdentityConfig) { c.AWSSTS = "https://sts.amazonaws.com/?a=b" },
		"password at aws":      func(c *awscreds.AWSIdentityConfig) { c.AWSSTS = "https://a:b@sts.amazonaws.com/" },
		"session name of one":  func(c *awscreds.AWSIdentityConfig) { c.RoleSessionName = "a" },
		"duration of a minute": func(c *awscreds.AWSIdentityConfig) { c.Duration = time.Minute },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			cfg := awsConfig(e)
			change(&cfg)
			p := awscreds.NewAWSIdentity(cfg)
			defer p.Close()
			_, err := p.Retrieve(t.Context())
			wantCode(t, err, countersign.Invalid)
			if e.calls.Load() != 0 {
				t.Error("it asked nevertheless")
			}
		})
	}
}

func TestAWSIdentityWithoutAWSCredentials(t *testing.T) {
	t.Parallel()
	cause := errors.New("no instance here")
	e := &endpoint{}
	cfg := awsConfig(e)
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, cause })
	p := awscreds.NewAWSIdentity(cfg)
	defer p.Close()
	_, err := p.Retrieve(t.Context())
	wantCode(t, err, countersign.Unavailable)
	if !errors.Is(err, cause) || e.calls.Load() != 0 {
		t.Errorf("%v after %d requests", err, e.calls.Load())
	}
}

// TestVulnerability30NoProofInErrors: a server that repeats the proof it was sent.
func TestVulnerability30NoProofInErrors(t *testing.T) {
	t.Parallel()
	for _, presigned := range []bool{false, true} {
		e := &endpoint{}
		e.set(func(_ *http.Request, form url.Values) (int, http.Header, string) {
			headers, _ := base64.StdEncoding.DecodeString(form.Get("IamRequestHeaders"))
			at, _ := base64.StdEncoding.DecodeString(form.Get("IamRequestUrl"))
			text := url.QueryEscape(string(headers) + string(at))
			return 403, nil, errorXML("AccessDenied", text[max(0, len(text)-200):])
		})
		cfg := awsConfig(e)
		cfg.Presigned = presigned
		p := awscreds.NewAWSIdentity(cfg)
		_, err := p.Retrieve(t.Context())
		wantCode(t, err, countersign.Denied)
		proof := decodeProof(t, e.form())
		signature := proof.headers["Authorization"]
		if at, _ := url.Parse(proof.url); presigned {
			signature = at.Query().Get("X-Amz-Signature")
		}
		signature = signature[len(signature)-64:]
		if text := fmt.Sprint(err); strings.Contains(text, signature[:20]) || strings.Contains(text, signature[44:]) || strings.Contains(text, awsToken) {
			t.Errorf("a piece of the proof in %q", text)
		}
		_ = p.Close()
	}
}
