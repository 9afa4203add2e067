package broker_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/verify"
)

func TestCredentialsOfAWS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	request := r.request()
	request.Tags = map[string]string{"team": "docs", "env": "prod"}
	c := r.get(t, request)
	if c.AccessKeyID != "ASIAIOSFODNN70000001" || c.SecretAccessKey.Reveal() != "secret/1+" || c.SessionToken.Reveal() != "token/1==" ||
		!c.ExpiresAt.Equal(start.Add(time.Hour)) || c.AssumedRoleARN != "arn:aws:sts::123456789012:assumed-role/Real/run-1" || c.PackedPolicySize != 7 {
		t.Errorf("got %+v", c)
	}
	for name, want := range map[string]string{
		"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": request.RoleARN, "RoleSessionName": "run-1",
		"DurationSeconds": "3600", "Policy": request.Policy,
	} {
		if got := r.sts.form[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q", name, got)
		}
	}
	// The token verifies by what AWS fetches.
	set, _ := r.ring.JWKS()
	source, err := verify.ParseJWKS(set)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Audience: "sts.amazonaws.com", Now: r.clock.Now, Issuers: []verify.Issuer{
		{URL: ourIssuer, Subject: verify.User, Keys: source, Algorithms: []string{verify.RS256}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token, err := v.Verify(t.Context(), r.sts.form.Get("WebIdentityToken"))
	if err != nil {
		t.Fatal(err)
	}
	if token.Subject != "role:document-writer:https://idp.example.com:job-1" || token.ID == "" || !token.IssuedAt.Equal(start) ||
		token.ExpiresAt.Sub(start) > 300*time.Second {
		t.Errorf("token %+v", token)
	}
	var tags struct {
		Principal map[string][]string `json:"principal_tags"`
	}
	if err := json.Unmarshal(token.Claims["https://aws.amazon.com/tags"], &tags); err != nil || tags.Principal["team"][0] != "docs" {
		t.Errorf("tags %s, %v", token.Claims["https://aws.amazon.com/tags"], err)
	}
	head, _ := base64.RawURLEncoding.DecodeString(strings.Split(r.sts.form.Get("WebIdentityToken"), ".")[0])
	if !strings.Contains(string(head), `"typ":"JWT"`) {
		t.Errorf("header %s", head)
	}
	// RULES B7: it is no access token of ours.
	own, err := verify.New(verify.Config{Audience: "sts.amazonaws.com", Now: r.clock.Now, Issuers: []verify.Issuer{{URL: ourIssuer, Keys: source}}})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := own.Verify(t.Context(), r.sts.form.Get("WebIdentityToken")); countersign.ReasonOf(err) != countersign.ReasonTypMismatch {
		t.Errorf("as an access token: %v", err)
	}
}

// TestRuleD9CacheKey: whatever is different about a request gets credentials of its own.
func TestRuleD9CacheKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	changes := map[string]func(*broker.Request){
		"the same":        func(*broker.Request) {},
		"role uid":        func(q *broker.Request) { q.RoleUID = "u-2" },
		"issuer":          func(q *broker.Request) { q.Issuer = "https://other.example.com" },
		"subject":         func(q *broker.Request) { q.Subject = "job-2" },
		"moved boundary":  func(q *broker.Request) { q.Issuer, q.Subject = q.Issuer+"j", "ob-1" },
		"session name":    func(q *broker.Request) { q.SessionName = "run-2" },
		"policy":          func(q *broker.Request) { q.Policy = `{"Version":"2012-10-17","Statement":[{}]}` },
		"tag":             func(q *broker.Request) { q.Tags = map[string]string{"a": "b"} },
		"another tag":     func(q *broker.Request) { q.Tags = map[string]string{"a": "c"} },
		"moved tag":       func(q *broker.Request) { q.Tags = map[string]string{"ab": ""} },
		"duration":        func(q *broker.Request) { q.Duration = 30 * time.Minute },
		"role at AWS":     func(q *broker.Request) { q.RoleARN = "arn:aws:iam::123456789012:role/Other" },
		"region":          func(q *broker.Request) { q.Region = "eu-west-1" },
		"another address": func(q *broker.Request) { q.Endpoint += "/" },
	}
	seen := make(map[string]string)
	for name, change := range changes {
		request := r.request()
		change(&request)
		c := r.get(t, request)
		if other, twice := seen[c.AccessKeyID]; twice {
			t.Errorf("%s has the credentials of %s", name, other)
		}
		seen[c.AccessKeyID] = name
		if again := r.get(t, request); again.AccessKeyID != c.AccessKeyID {
			t.Errorf("%s: asked twice", name)
		}
	}
	if n := r.sts.calls.Load(); n != int64(len(changes)) {
		t.Errorf("%d calls, want %d", n, len(changes))
	}
}

func TestRuleD9OneCallInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	waiting := make(chan struct{})
	r.sts.doBefore(func(http.ResponseWriter, *http.Request) bool { <-waiting; return true })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if c, err := r.aws.Credentials(t.Context(), r.request()); err != nil || c.AccessKeyID != "ASIAIOSFODNN70000001" {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.aws.Credentials(gone, r.request()); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("who leaves: %v", err)
	}
	close(waiting)
	wg.Wait()
	if n := r.sts.calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// TestRuleD9RenewalBlocksNobody: from a minute before the end on there is one renewal, and
// callers get what they have until it ends.
func TestRuleD9RenewalBlocksNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.get(t, r.request())
	r.clock.Advance(59*time.Minute - time.Second)
	r.get(t, r.request())
	if n := r.sts.calls.Load(); n != 1 {
		t.Fatalf("%d calls with 61 s left", n)
	}
	started, waiting := make(chan struct{}, 10), make(chan struct{})
	r.sts.doBefore(func(http.ResponseWriter, *http.Request) bool { started <- struct{}{}; <-waiting; return true })
	r.clock.Advance(2 * time.Second)
	for range 10 {
		if c := r.get(t, r.request()); c.AccessKeyID != first.AccessKeyID {
			t.Errorf("got %s", c.AccessKeyID)
		}
	}
	<-started
	// 5 seconds before the end nobody gets the old ones any more.
	r.clock.Advance(54*time.Second + 500*time.Millisecond)
	if left := first.ExpiresAt.Sub(r.clock.Now()); left >= 5*time.Second {
		t.Fatalf("%v left", left)
	}
	done := make(chan broker.Credentials)
	go func() {
		c, err := r.aws.Credentials(t.Context(), r.request())
		if err != nil {
			t.Errorf("got %v", err)
		}
		done <- c
	}()
	close(waiting)
	if c := <-done; c.AccessKeyID == first.AccessKeyID || c.ExpiresAt.Before(r.clock.Now().Add(time.Minute)) {
		t.Errorf("got %+v", c)
	}
	if n := r.sts.calls.Load(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

// TestRuleD9FailedRenewal: while AWS is away callers keep what is valid, and afterwards
// they get new ones: a failure is not remembered.
func TestRuleD9FailedRenewal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.get(t, r.request())
	failed := make(chan struct{}, 100)
	r.sts.doBefore(func(w http.ResponseWriter, q *http.Request) bool {
		defer func() { failed <- struct{}{} }()
		return refuseWith(http.StatusServiceUnavailable, "ServiceUnavailable")(w, q)
	})
	r.clock.Advance(59*time.Minute + time.Second)
	for range 10 {
		if c := r.get(t, r.request()); c.AccessKeyID != first.AccessKeyID {
			t.Errorf("got %s", c.AccessKeyID)
		}
	}
	<-failed
	r.clock.Advance(58 * time.Second)
	for range 2 {
		if _, err := r.aws.Credentials(t.Context(), r.request()); countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("too late: %v", err)
		}
	}
	r.sts.doBefore(nil)
	if c := r.get(t, r.request()); c.AccessKeyID == first.AccessKeyID {
		t.Error("the old ones")
	}
}
