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

// TestRuleC3SkewIsFifteenMinutes: to the second, on both sides.
func TestRuleC3SkewIsFifteenMinutes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		after             time.Duration
		header, presigned countersign.Code
	}{
		{0, "", ""},
		{15 * time.Minute, "", ""},
		{15*time.Minute + time.Second, countersign.Skewed, ""},
		{-15 * time.Minute, "", ""},
		{-15*time.Minute - time.Second, countersign.Skewed, countersign.Skewed},
		{time.Hour - time.Second, countersign.Skewed, ""},
		{time.Hour, countersign.Skewed, countersign.Expired},
		{24 * 365 * time.Hour, countersign.Skewed, countersign.Expired},
		{-24 * 365 * time.Hour, countersign.Skewed, countersign.Skewed},
	} {
		v := stsOptions()
		v.Now = noon.Add(test.after)
		wantCode(t, check(signedRequest(t), v), test.header)
		v.BodyHash = sigv4.EmptyPayloadHash
		wantCode(t, check(presignedRequest(t), v), test.presigned)
	}
}

// TestRuleF2BrokenAuthIsNeverAnonymous: only a request that does not try at all is
// Unauthenticated, and that is the one code that may become anonymous.
func TestRuleF2BrokenAuthIsNeverAnonymous(t *testing.T) {
	t.Parallel()
	targets := []string{"/"}
	for _, key := range []string{"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token", "AWSAccessKeyId", "Signature"} {
		for _, spelled := range []string{key, strings.ToLower(key), strings.ToUpper(key), strings.Replace(key, "A", "%41", 1)} {
			targets = append(targets, "/?"+spelled, "/?"+spelled+"=", "/?"+spelled+"=x")
		}
	}
	headers := []http.Header{{}, {"Authorization": {""}}, {"Authorization": nil}, {"Authorization": {"Bearer x"}}, {"Authorization": {"AWS4-HMAC-SHA256"}}, {"X-Amz-Security-Token": {""}}}
	for _, target := range targets {
		for _, header := range headers {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Header = header.Clone()
			_, err := sigv4.Parse(r, sigv4.ParseOptions{})
			if anonymous := target == "/" && len(header) == 0; anonymous != (countersign.CodeOf(err) == countersign.Unauthenticated) || err == nil {
				t.Errorf("%s %v: %v", target, header, err)
			}
		}
	}
}

// TestRuleF3OldSignatures: clients look for AWS's own text.
func TestRuleF3OldSignatures(t *testing.T) {
	t.Parallel()
	const want = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	link := httptest.NewRequest(http.MethodGet, "/b/k?AWSAccessKeyId=AKIA&Expires=1&Signature=x%3D", nil)
	header := httptest.NewRequest(http.MethodGet, "/b/k", nil)
	header.Header.Set("Authorization", "AWS AKIA:x=")
	session := httptest.NewRequest(http.MethodGet, "/b/k?AWSAccessKeyId=ASIA&Signature=x%3D&x-amz-security-token=y&Expires=1", nil)
	for _, r := range []*http.Request{link, session, header} {
		_, err := sigv4.Parse(r, sigv4.ParseOptions{})
		wantCode(t, err, countersign.Invalid)
		if got := countersign.MessageOf(err); got != want {
			t.Errorf("message %q", got)
		}
	}
}

// TestRuleF3PresignedCoversTokenAndHost: neither can be added, taken away or changed.
func TestRuleF3PresignedCoversTokenAndHost(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *http.Request){
		"other host":  func(r *http.Request) { r.Host = "evil.example.com" },
		"other port":  func(r *http.Request) { r.Host += ":8443" },
		"no token":    func(r *http.Request) { dropParameter(r, "X-Amz-Security-Token") },
		"other token": func(r *http.Request) { requery(r, "X-Amz-Security-Token=", "X-Amz-Security-Token=x") },
	} {
		r := presignedRequest(t)
		change(r)
		if err := check(r, emptyBody()); countersign.CodeOf(err) != countersign.BadSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Signed without one, and one was added.
	c := ours
	c.SessionToken = countersign.Secret{}
	r := httptest.NewRequest(http.MethodGet, "https://auth.example.com/", nil)
	u, err := sigv4.Presign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: noon}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, check(httptest.NewRequest(http.MethodGet, u.String(), nil), emptyBody()), "")
	wantCode(t, check(httptest.NewRequest(http.MethodGet, u.String()+"&X-Amz-Security-Token=x", nil), emptyBody()), countersign.BadSignature)
}

func dropParameter(r *http.Request, key string) {
	query := r.URL.Query()
	query.Del(key)
	r.URL.RawQuery = query.Encode()
}

// TestRuleF3ScopeDateIsTheDate in both forms.
func TestRuleF3ScopeDateIsTheDate(t *testing.T) {
	t.Parallel()
	r := signedRequest(t)
	replace(r, "/20261126/", "/20261125/")
	wantCode(t, check(r, stsOptions()), countersign.BadHeader)
	r = presignedRequest(t)
	requery(r, "%2F20261126%2F", "%2F20261125%2F")
	wantCode(t, check(r, emptyBody()), countersign.Invalid)
	r = presignedRequest(t)
	requery(r, "X-Amz-Date=20261126", "X-Amz-Date=20261127")
	wantCode(t, check(r, emptyBody()), countersign.Invalid)
}

// TestRuleF4ServiceOfTheScope: a signature for one service is none for another.
func TestRuleF4ServiceOfTheScope(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"s3", "document-service", "st", "sts2"} {
		v := stsOptions()
		v.Service = service
		err := check(signedRequest(t), v)
		wantCode(t, err, countersign.BadSignature)
		if got := countersign.ReasonOf(err); got != countersign.ReasonCredentialScope {
			t.Errorf("reason %s", got)
		}
	}
}
