package broker_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/keys"
)

func TestErrorsOfAWS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for code, want := range map[string]countersign.Code{
		"AccessDenied": countersign.Denied, "Throttling": countersign.Throttled, "PackedPolicyTooLarge": countersign.TooLarge,
		"MalformedPolicyDocument": countersign.Upstream, "InvalidIdentityToken": countersign.Upstream, "ExpiredTokenException": countersign.Upstream,
		"IDPCommunicationError": countersign.Upstream, "IDPRejectedClaim": countersign.Upstream, "RegionDisabledException": countersign.Denied,
		"ValidationError": countersign.Upstream, "SomethingNew": countersign.Upstream, "SignatureDoesNotMatch": countersign.Upstream,
	} {
		r.sts.doBefore(refuseWith(http.StatusBadRequest, code))
		_, err := r.aws.Credentials(t.Context(), r.request())
		if countersign.CodeOf(err) != want {
			t.Errorf("%s: %v", code, err)
		}
		if strings.Contains(fmt.Sprint(err), "eyJ") {
			t.Errorf("%s: the token stands in %v", code, err)
		}
	}
}

func TestRepliesThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	replace := func(from, to string) func(string) string {
		return func(text string) string {
			changed := strings.Replace(text, from, to, 1)
			if changed == text {
				t.Errorf("nothing to replace: %s", from)
			}
			return changed
		}
	}
	for name, change := range map[string]func(string) string{
		"another role":       replace("assumed-role/Real/", "assumed-role/Other/"),
		"another account":    replace("sts::123456789012", "sts::210987654321"),
		"another session":    replace("/run-1</Arn>", "/run-2</Arn>"),
		"another partition":  replace("arn:aws:sts", "arn:aws-cn:sts"),
		"no key":             replace("<AccessKeyId>", "<AccessKey>"),
		"two keys":           replace("<AccessKeyId>", "<AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><AccessKeyId>"),
		"two credentials":    replace("<Credentials>", "<Credentials></Credentials><Credentials>"),
		"an empty secret":    replace("secret/", "</SecretAccessKey><SecretAccessKey>"),
		"blanks in a token":  replace("token/", "to ken/"),
		"another element":    replace("<Credentials>", "<Extra></Extra><Credentials>"),
		"another root":       func(s string) string { return strings.ReplaceAll(s, "WebIdentityResponse", "SAMLResponse") },
		"no date":            replace("<Expiration>", "<Expiration>x"),
		"an old date":        replace("<Expiration>20", "<Expiration>19"),
		"no namespace":       replace(xmlns, ""),
		"something in front": func(s string) string { return "x" + s },
	} {
		r.sts.doChange(change)
		c, err := r.aws.Credentials(t.Context(), r.request())
		if countersign.CodeOf(err) != countersign.Upstream || c.AccessKeyID != "" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestRuleD9AtMostWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sts.life = 12 * time.Hour
	if c := r.get(t, r.request()); !c.ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("until %v", c.ExpiresAt)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, change := range map[string]func(*broker.Request){
		"no role":              func(q *broker.Request) { q.Role = "" },
		"no uid":               func(q *broker.Request) { q.RoleUID = "" },
		"no issuer":            func(q *broker.Request) { q.Issuer = "" },
		"no subject":           func(q *broker.Request) { q.Subject = "" },
		"no policy":            func(q *broker.Request) { q.Policy = "" },
		"a short session name": func(q *broker.Request) { q.SessionName = "a" },
		"a session name":       func(q *broker.Request) { q.SessionName = "a b" },
		"too short":            func(q *broker.Request) { q.Duration = 899 * time.Second },
		"too long":             func(q *broker.Request) { q.Duration = time.Hour + time.Second },
		"a user":               func(q *broker.Request) { q.RoleARN = "arn:aws:iam::123456789012:user/x" },
		"a role with a star":   func(q *broker.Request) { q.RoleARN = "arn:aws:iam::123456789012:role/*" },
		"no account":           func(q *broker.Request) { q.RoleARN = "arn:aws:iam::aws:role/x" },
		"plain http":           func(q *broker.Request) { q.Endpoint = "http://sts.example.com" },
		"no region":            func(q *broker.Request) { q.Endpoint, q.Region = "", "" },
		"an unknown region":    func(q *broker.Request) { q.Endpoint, q.Region = "", "us-east-1.evil" },
		"another partition":    func(q *broker.Request) { q.Endpoint, q.Region = "", "cn-north-1" },
		"a long subject":       func(q *broker.Request) { q.Subject = strings.Repeat("x", 1100) },
	} {
		request := r.request()
		change(&request)
		if _, err := r.aws.Credentials(t.Context(), request); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	request := r.request()
	request.Policy = strings.Repeat("x", 2049)
	if _, err := r.aws.Credentials(t.Context(), request); countersign.CodeOf(err) != countersign.TooLarge {
		t.Errorf("a large policy: %v", err)
	}
	if n := r.sts.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestNoSignerNoCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, signer := range map[string]func() (*keys.Signer, error){
		"none":      func() (*keys.Signer, error) { return nil, countersign.NewError(countersign.Unavailable, "", "no key") },
		"of others": func() (*keys.Signer, error) { return r.ring.Signer(keys.Token) },
	} {
		a, err := broker.New(broker.Config{Issuer: ourIssuer, Now: r.clock.Now, Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Credentials(t.Context(), r.request()); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.sts.calls.Load() != 0 {
		t.Error("AWS was called")
	}
}

func TestClosedBrokerCallsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.aws.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.aws.Credentials(t.Context(), r.request()); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsACall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	asked := make(chan struct{})
	r.sts.doBefore(func(_ http.ResponseWriter, q *http.Request) bool { close(asked); <-q.Context().Done(); return false })
	failed := make(chan error, 1)
	go func() {
		_, err := r.aws.Credentials(t.Context(), r.request())
		failed <- err
	}()
	select {
	case <-asked:
	case err := <-failed:
		t.Fatal(err)
	}
	_ = r.aws.Close()
	if err := <-failed; !errors.Is(err, countersign.Upstream) {
		t.Errorf("got %v", err)
	}
}

// An origin of a bucket asks for itself: its subject is none that a caller could have, and its
// credentials are nobody else's.
func TestRuleD9OriginsAskForThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	origin := r.request()
	origin.Role, origin.RoleUID, origin.Issuer, origin.Subject, origin.Bucket = "", "", "", "", "documents"
	first := r.get(t, origin)
	r.sts.mu.Lock()
	token := r.sts.form.Get("WebIdentityToken")
	r.sts.mu.Unlock()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !strings.Contains(string(payload), `"sub":"bucket:documents"`) {
		t.Errorf("the token says %s (%v)", payload, err)
	}
	other := origin
	other.Bucket = "others"
	if r.get(t, other).AccessKeyID == first.AccessKeyID || r.get(t, r.request()).AccessKeyID == first.AccessKeyID {
		t.Error("credentials are shared")
	}
	if r.get(t, origin).AccessKeyID != first.AccessKeyID {
		t.Error("credentials are not kept")
	}
	r.aws.Forget(origin, "another")
	if r.get(t, origin).AccessKeyID != first.AccessKeyID {
		t.Error("newer credentials were forgotten")
	}
	r.aws.Forget(origin, first.AccessKeyID)
	if r.get(t, origin).AccessKeyID == first.AccessKeyID {
		t.Error("credentials that AWS refuses are kept")
	}
	both := r.request()
	both.Bucket = "documents"
	if _, err := r.aws.Credentials(t.Context(), both); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("a bucket and a caller: %v", err)
	}
}
