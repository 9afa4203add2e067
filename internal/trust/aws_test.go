package trust_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

func TestAWSIdentityIsProven(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	url := s.URL + "/"
	tests := []struct {
		name  string
		proof trust.AWSProof
	}{
		{"post", signPost(t, url, keyPair, nil)},
		{"post of a session", signPost(t, url, sessionKeys(), nil)},
		{"presigned", presign(t, url, keyPair, 60)},
		{"presigned by a session", presign(t, url, sessionKeys(), 3600)},
		{"signed body hash", signPost(t, url, keyPair, map[string]string{
			"X-Amz-Content-Sha256": "ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843"})},
		{"signed with all that SDKs add", signPost(t, url, keyPair, map[string]string{
			"X-Amz-User-Agent": "aws-sdk-js/3.1 ua/2.1", "Accept": "text/xml",
			"Amz-Sdk-Invocation-Id": "0190a5f2-0000-7000-8000-000000000001", "Amz-Sdk-Request": "attempt=1; max=3"})},
		{"no content type", signPost(t, url, keyPair, map[string]string{"Content-Type": ""})},
		{"unsigned and unsent", withHeaders(signPost(t, url, keyPair, nil), map[string]string{"User-Agent": "Boto3/1", "Content-Length": "43"})},
		{"names in other case", lowered(signPost(t, url, sessionKeys(), nil))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls := s.calls.Load()
			id, err := login(t, s, test.proof)
			if err != nil {
				_, bad := s.last()
				t.Fatalf("%v: %s", err, bad)
			}
			if n := s.calls.Load() - calls; n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
			want := trust.AWSCaller{
				Partition: "aws", Account: "123456789012", ARN: roleARN, UserID: roleID, UniqueID: "AROAIOSFODNN7EXAMPLE",
				Type: trust.AWSAssumedRole, RoleName: "document-lambda", SessionName: "run-1",
			}
			if id.Kind != trust.KindAWS || id.AWS == nil || *id.AWS != want {
				t.Errorf("got %+v, %+v", id, id.AWS)
			}
			if id.Issuer != "arn:aws:iam::123456789012:root" || id.Subject != "arn:aws:sts::123456789012:assumed-role/document-lambda" {
				t.Errorf("pair %q, %q", id.Issuer, id.Subject)
			}
			if !id.IssuedAt.Equal(now) || !id.ExpiresAt.After(now) || id.Claims != nil {
				t.Errorf("got %+v", id)
			}
			seen, _ := s.last()
			if got := seen.Header.Values("Accept"); len(got) != 1 || got[0] != "text/xml" {
				t.Errorf("Accept %q", got)
			}
			if seen.Header.Get("User-Agent") == "Boto3/1" {
				t.Error("an unsigned header was sent on")
			}
		})
	}
}

func lowered(p trust.AWSProof) trust.AWSProof {
	for _, name := range []string{"Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token", "X-Countersign-Server-Id"} {
		p.Headers = strings.Replace(p.Headers, `"`+name+`"`, `"`+strings.ToLower(name)+`"`, 1)
	}
	return p
}

func TestRuleD8Time(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	post, signed := signPost(t, s.URL+"/", keyPair, nil), presign(t, s.URL+"/", keyPair, 60)
	tests := []struct {
		name  string
		proof trust.AWSProof
		after time.Duration
		want  countersign.Code
	}{
		{"5 minutes old", post, 5 * time.Minute, ""},
		{"older", post, 5*time.Minute + time.Second, countersign.Expired},
		{"a day old", post, 24 * time.Hour, countersign.Expired},
		{"5 minutes ahead", post, -5 * time.Minute, ""},
		{"further ahead", post, -5*time.Minute - time.Second, countersign.Skewed},
		{"presigned, in time", signed, 59 * time.Second, ""},
		{"presigned, too late", signed, time.Minute, countersign.Expired},
		{"presigned for an hour, too late", presign(t, s.URL+"/", keyPair, 3600), 301 * time.Second, countersign.Expired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			once := &memory{}
			at := now.Add(test.after)
			a := newAWS(t, trust.AWSConfig{Endpoints: []string{s.URL}, SingleUse: once, Now: func() time.Time { return at }})
			_, err := a.Verify(t.Context(), test.proof)
			if countersign.CodeOf(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			for _, until := range once.used {
				if until.Before(now.Add(10 * time.Minute)) {
					t.Errorf("remembered until %v only", until)
				}
			}
		})
	}
}

// TestRuleD8SingleUseNeedsTheStore: it is noted before AWS is asked, or not asked at all.
func TestRuleD8SingleUseNeedsTheStore(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	down := countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "down")
	a := newAWS(t, trust.AWSConfig{Endpoints: []string{s.URL}, SingleUse: &memory{failed: down}})
	if _, err := a.Verify(t.Context(), signPost(t, s.URL+"/", keyPair, nil)); countersign.CodeOf(err) != countersign.Unavailable || s.calls.Load() != 0 {
		t.Errorf("got %v, %d calls", err, s.calls.Load())
	}
}

func TestAWSErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := newSTS(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, proof := range []trust.AWSProof{presign(t, s.URL+"/", sessionKeys(), 60), signPost(t, s.URL+"/", sessionKeys(), nil)} {
		_, err := login(t, s, proof)
		if err == nil || strings.Contains(err.Error(), "FwoGZXIvYXdz") || strings.Contains(err.Error(), "X-Amz-Signature") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAWSConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]trust.AWSConfig{
		"no server id":         {SingleUse: &memory{}},
		"no single use":        {ServerID: serverID},
		"a server id of two":   {ServerID: "a\nb", SingleUse: &memory{}},
		"plain http":           {ServerID: serverID, SingleUse: &memory{}, Endpoints: []string{"http://sts.example.com"}},
		"a query":              {ServerID: serverID, SingleUse: &memory{}, Endpoints: []string{"https://sts.example.com/?x"}},
		"user information":     {ServerID: serverID, SingleUse: &memory{}, Endpoints: []string{"https://a:b@sts.example.com/"}},
		"relative":             {ServerID: serverID, SingleUse: &memory{}, Endpoints: []string{"sts.example.com"}},
		"a host with capitals": {ServerID: serverID, SingleUse: &memory{}, Endpoints: []string{"https://STS.example.com"}},
	} {
		if _, err := trust.NewAWS(cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRuleE3 holds that a proof that was signed before a revocation of its caller, and kept,
// proves nothing after it; and that who can't tell says so.
func TestRuleE3AWSProofFromBeforeARevocation(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	verifyWith := func(r revocations) error {
		id, err := newAWS(t, trust.AWSConfig{Endpoints: []string{s.URL}, Revocations: r}).Verify(t.Context(), signPost(t, s.URL+"/", keyPair, nil))
		if (err == nil) != (id.Kind == trust.KindAWS) {
			t.Errorf("got %+v, %v", id, err)
		}
		return err
	}
	const subject = "arn:aws:sts::123456789012:assumed-role/document-lambda"
	until := func(at time.Time) revocations {
		return func(token *verify.Token) (bool, error) {
			if token.Issuer != "arn:aws:iam::123456789012:root" || token.Subject != subject {
				t.Errorf("asked about %q, %q", token.Issuer, token.Subject)
			}
			return !token.IssuedAt.After(at), nil
		}
	}
	if err := verifyWith(until(now.Add(-time.Second))); err != nil {
		t.Errorf("signed after it: %v", err)
	}
	wantRefusal(t, verifyWith(until(now)), countersign.BadToken, countersign.ReasonTokenRevoked)
	down := countersign.NewError(countersign.Unavailable, countersign.ReasonStale, "")
	wantRefusal(t, verifyWith(func(*verify.Token) (bool, error) { return false, down }), countersign.Unavailable, countersign.ReasonStale)
}

type revocations func(*verify.Token) (bool, error)

func (r revocations) Revoked(_ context.Context, t *verify.Token) (bool, error) { return r(t) }
