package trust_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

const (
	serverID = "auth.example.com"
	callBody = "Action=GetCallerIdentity&Version=2011-06-15"
	roleARN  = "arn:aws:sts::123456789012:assumed-role/document-lambda/run-1"
	roleID   = "AROAIOSFODNN7EXAMPLE:run-1"
)

// now is the clock of tests that don't move it.
var now = time.Unix(1_800_000_000, 0).UTC()

func clock() time.Time { return now }

var keyPair = aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

func sessionKeys() aws.Credentials {
	c := keyPair
	c.AccessKeyID, c.SessionToken = "ASIAIOSFODNN7EXAMPLE", "FwoGZXIvYXdzEBYaD+/T0k=="
	return c
}

// memory is a store.SingleUse.
type memory struct {
	mu     sync.Mutex
	used   map[string]time.Time
	failed error
}

func (m *memory) UseOnce(_ context.Context, key string, until, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return false, m.failed
	}
	if _, there := m.used[key]; there {
		return false, nil
	}
	if m.used == nil {
		m.used = make(map[string]time.Time)
	}
	m.used[key] = until
	return true, nil
}

// fakeSTS is an STS that verifies what reaches it with the AWS SDK's own signer, and
// answers what a test wants.
type fakeSTS struct {
	*httptest.Server
	calls atomic.Int64

	mu sync.Mutex
	// reply answers in place of the usual one.
	reply http.HandlerFunc
	seen  *http.Request // the last one
	bad   string        // why it was no good
}

func newSTS(t testing.TB, reply http.HandlerFunc) *fakeSTS {
	t.Helper()
	s := &fakeSTS{reply: reply}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeSTS) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen, s.bad = r, s.judge(r, string(body))
	bad, reply := s.bad, s.reply
	s.mu.Unlock()
	if reply != nil {
		reply(w, r)
		return
	}
	if bad != "" {
		answer(w, http.StatusForbidden, errorXML("SignatureDoesNotMatch"))
		return
	}
	answer(w, http.StatusOK, identityXML("123456789012", roleARN, roleID))
}

// last returns the last request, and why it was no good.
func (s *fakeSTS) last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.bad
}

// doReply sets the answer.
func (s *fakeSTS) doReply(reply http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

// judge signs what came once more, from what came.
func (s *fakeSTS) judge(r *http.Request, body string) string {
	credentials := keyPair
	query := r.URL.Query()
	again, _ := http.NewRequest(r.Method, s.URL+"/", nil)
	at, _ := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")+query.Get("X-Amz-Date"))
	credentials.SessionToken = r.Header.Get("X-Amz-Security-Token") + query.Get("X-Amz-Security-Token")
	if credentials.SessionToken != "" {
		credentials.AccessKeyID = sessionKeys().AccessKeyID
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	if r.Method == http.MethodGet {
		again.Header.Set("X-Countersign-Server-Id", r.Header.Get("X-Countersign-Server-Id"))
		again.URL.RawQuery = "Action=" + query.Get("Action") + "&Version=" + query.Get("Version") + "&X-Amz-Expires=" + query.Get("X-Amz-Expires")
		want, _, err := v4.NewSigner().PresignHTTP(context.Background(), credentials, again, hash, "sts", "us-east-1", at)
		_, wantQuery, _ := strings.Cut(want, "?")
		if err != nil || !slices.Equal(sortedPairs(wantQuery), sortedPairs(r.URL.RawQuery)) {
			return fmt.Sprintf("query %s, want %s, %v", r.URL.RawQuery, want, err)
		}
		return ""
	}
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ := strings.Cut(rest, ",")
	for name := range strings.SplitSeq(signed, ";") {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hash, "sts", "us-east-1", at)
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); err != nil || got != want {
		return fmt.Sprintf("authorization %s, want %s, %v", got, want, err)
	}
	return ""
}

func sortedPairs(query string) []string {
	pairs := strings.Split(query, "&")
	slices.Sort(pairs)
	return pairs
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const xmlns = `xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`

func identityXML(account, arn, userID string) string {
	return `<GetCallerIdentityResponse ` + xmlns + `>
  <GetCallerIdentityResult>
    <Arn>` + arn + `</Arn>
    <UserId>` + userID + `</UserId>
    <Account>` + account + `</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`
}

func errorXML(code string) string {
	return `<ErrorResponse ` + xmlns + `><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>No.</Message></Error><RequestId>1</RequestId></ErrorResponse>`
}

// signPost signs as the SDKs do. More headers are signed with it.
func signPost(t testing.TB, url string, c aws.Credentials, more map[string]string) trust.AWSProof {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Countersign-Server-ID", serverID)
	for name, value := range more {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	sum := sha256.Sum256([]byte(callBody))
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "sts", "us-east-1", now); err != nil {
		t.Fatal(err)
	}
	headers := make(map[string]string)
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	return trust.AWSProof{URL: url, Body: callBody, Headers: toJSON(headers)}
}

// presign makes the other form.
func presign(t testing.TB, url string, c aws.Credentials, expires int) trust.AWSProof {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s?%s&X-Amz-Expires=%d", url, callBody, expires), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Countersign-Server-ID", serverID)
	sum := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "sts", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	return trust.AWSProof{URL: signed, Headers: toJSON(map[string]string{"X-Countersign-Server-Id": serverID})}
}

func toJSON(headers map[string]string) string {
	text, err := json.Marshal(headers)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// withHeaders changes headers of a proof after it was signed; "" takes one out.
func withHeaders(p trust.AWSProof, changes map[string]string) trust.AWSProof {
	headers := make(map[string]string)
	if err := json.Unmarshal([]byte(p.Headers), &headers); err != nil {
		panic(err)
	}
	for name, value := range changes {
		if value == "" {
			delete(headers, name)
		} else {
			headers[name] = value
		}
	}
	p.Headers = toJSON(maps.Clone(headers))
	return p
}

func newAWS(t testing.TB, cfg trust.AWSConfig) *trust.AWSVerifier {
	t.Helper()
	cfg.ServerID = serverID
	if cfg.SingleUse == nil {
		cfg.SingleUse = &memory{}
	}
	if cfg.Now == nil {
		cfg.Now = clock
	}
	a, err := trust.NewAWS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// login proves with a fresh verifier that asks s.
func login(t testing.TB, s *fakeSTS, p trust.AWSProof) (trust.Identity, error) {
	t.Helper()
	return newAWS(t, trust.AWSConfig{Endpoints: []string{s.URL}}).Verify(t.Context(), p)
}

// refusedUnasked checks that a proof is refused with code, before anybody is asked.
func refusedUnasked(t *testing.T, s *fakeSTS, p trust.AWSProof, code countersign.Code) {
	t.Helper()
	before := s.calls.Load()
	id, err := login(t, s, p)
	if countersign.CodeOf(err) != code || id.Kind != "" {
		t.Errorf("got %+v, %v (%s), want %s", id, err, countersign.CodeOf(err), code)
	}
	if s.calls.Load() != before {
		t.Error("the STS was asked")
	}
}
