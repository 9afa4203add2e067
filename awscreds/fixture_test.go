package awscreds_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/tokensource"
)

const roleARN = "arn:aws:iam::000000000000:role/document-writer"

// endpoint is somebody's STS, without a network so that it works with the clock of
// testing/synctest. answer may be replaced between calls.
type endpoint struct {
	calls  atomic.Int64
	mu     sync.Mutex
	forms  []url.Values
	answer func(r *http.Request, form url.Values) (status int, header http.Header, body string)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	n := e.calls.Add(1)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.forms = append(e.forms, r.PostForm)
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		return response(200, nil, answerXML(n, time.Hour)), nil
	}
	status, header, body := answer(r, r.PostForm)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return response(status, header, body), nil
}

func (e *endpoint) set(answer func(*http.Request, url.Values) (int, http.Header, string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) fail(status int, code string) {
	e.set(func(*http.Request, url.Values) (int, http.Header, string) { return status, nil, errorXML(code, "no") })
}

func (e *endpoint) form() url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forms[len(e.forms)-1]
}

func response(status int, header http.Header, body string) *http.Response {
	recorder := httptest.NewRecorder()
	for name, values := range header {
		recorder.Header()[name] = values
	}
	recorder.WriteHeader(status)
	_, _ = recorder.WriteString(body)
	return recorder.Result()
}

// accessKeyID is the id of the n-th credentials that an endpoint gives out.
func accessKeyID(n int64) string { return fmt.Sprintf("ASIAEXAMPLE%09d", n) }

func answerXML(n int64, life time.Duration) string {
	return fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>document-service</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/document-writer/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>%s</AccessKeyId><SecretAccessKey>secret-%d</SecretAccessKey>
      <SessionToken>session-%d</SessionToken><Expiration>%s</Expiration>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`, accessKeyID(n), n, n, time.Now().Add(life).UTC().Format(time.RFC3339))
}

func errorXML(code, message string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` +
		code + `</Code><Message>` + message + `</Message></Error><RequestId>request-1</RequestId></ErrorResponse>`
}

func jwt(payload string) string {
	return "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJlLWNhbmFyeQ"
}

// tokens is a source that remembers what it was asked.
type tokens struct {
	mu        sync.Mutex
	value     string
	err       error
	audiences []string
	refused   []string
	next      string // given after a refusal; "" = the same again
}

func (s *tokens) Token(_ context.Context, audience string) (tokensource.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.audiences = append(s.audiences, audience)
	return tokensource.Token{Value: countersign.NewSecret(s.value)}, s.err
}

func (s *tokens) Invalidate(_ string, token tokensource.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, token.Value.Reveal())
	if s.next != "" {
		s.value = s.next
	}
}

func webConfig(e *endpoint) awscreds.WebIdentityConfig {
	return awscreds.WebIdentityConfig{
		STS: "https://auth.example.com/sts", RoleARN: roleARN, HTTPClient: &http.Client{Transport: e},
		Source: &tokens{value: jwt(`{"sub":"document-service"}`)},
	}
}

func newWeb(t *testing.T, cfg awscreds.WebIdentityConfig) *awscreds.Provider {
	t.Helper()
	p := awscreds.NewWebIdentity(cfg)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func mustRetrieve(t *testing.T, p aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	credentials, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatalf("Retrieve: %v", err)
	}
	return credentials
}

func wantCode(t *testing.T, err error, want countersign.Code) {
	t.Helper()
	if got := countersign.CodeOf(err); got != want {
		t.Errorf("code %q, want %q (%v)", got, want, err)
	}
}
