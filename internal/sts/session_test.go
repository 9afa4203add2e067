package sts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign/authtest"
)

// ended asks for the identity of credentials until it is refused, and fails the test if that
// does not happen.
func (w *world) ended(t *testing.T, c *types.Credentials, code, reason string) {
	t.Helper()
	_, err := w.identity(t.Context(), c)
	if got := errorCode(err); got != code {
		t.Fatalf("%v, want %s", err, code)
	}
	if got := w.reason(t, "session.identity"); got != reason {
		t.Errorf("reason %s, want %s", got, reason)
	}
}

func (w *world) alive(t *testing.T, c *types.Credentials) {
	t.Helper()
	if _, err := w.identity(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

const (
	otherWriter = `
kind: Role
name: writer
trust:
  - service: {names: [builder]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`
	moreTrust = `
kind: Role
name: writer
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
  - oidc: {issuer: workloads, subject_conditions: ["deploy:*"]}
permissions:
  - {bucket: documents, prefixes: ["other/"], actions: [get_object]}
`
)

// TestRuleA5 holds what ends a session beside its expiry.
func TestRuleA5SessionsEndWithWhatProvedThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		ours   bool // the proof is a service token of ours
		change func(t *testing.T, w *world)
		reason string
	}{
		{"the role is deleted", false, func(t *testing.T, w *world) { w.DeleteObject(t, "Role", "writer") }, "session_ended"},
		{"the role is deleted and made again", false, func(t *testing.T, w *world) {
			w.DeleteObject(t, "Role", "writer")
			w.Apply(t, w.fill(documents))
		}, "session_ended"},
		{"its trust statement is gone", false, func(t *testing.T, w *world) { w.Apply(t, otherWriter) }, "session_ended"},
		{"its issuer is removed", false, func(t *testing.T, w *world) {
			w.Apply(t, strings.Replace(otherWriter, "name: writer", "name: templated", 1))
			w.Apply(t, strings.Replace(otherWriter, "name: writer", "name: brokered", 1))
			w.Apply(t, otherWriter)
			w.DeleteObject(t, "Issuer", "workloads")
		}, "session_ended"},
		{"the service is disabled", true, func(t *testing.T, w *world) { w.DisableService(t, "builder") }, "session_revoked"},
		{"the service is disabled and enabled", true, func(t *testing.T, w *world) {
			w.DisableService(t, "builder")
			w.EnableService(t, "builder")
		}, "session_revoked"},
		{"the service is deleted", true, func(t *testing.T, w *world) { w.DeleteService(t, "builder") }, "session_revoked"},
		{"the service is deleted and made again", true, func(t *testing.T, w *world) {
			w.DeleteService(t, "builder")
			w.CreateService(t, "builder", authtest.Service{Audiences: []string{"sts"}})
		}, "session_revoked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := w.token(t, "build:main", nil)
			if test.ours {
				token = w.builder.Token(t, "sts").Reveal()
			}
			c := w.session(t, token)
			w.alive(t, c)
			test.change(t, w)
			w.ended(t, c, "InvalidClientTokenId", test.reason)
		})
	}
}

func TestSessionsOutliveWhatDoesNotConcernThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, w.token(t, "build:main", nil))
	w.Apply(t, moreTrust) // other permissions, another statement beside its own
	w.alive(t, c)
	w.RevokeToken(t, w.builder.Token(t, "sts"))
	w.alive(t, c)
}

func TestRevokedTokenEndsTheSessionThatItProved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.builder.Token(t, "sts")
	c := w.session(t, token.Reveal())
	w.RevokeToken(t, token)
	w.ended(t, c, "InvalidClientTokenId", "session_revoked")
}

// TestRuleC3NoSkewForSessions: a session ends to the second.
func TestRuleC3NoSkewForSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, w.builder.Token(t, "sts").Reveal())
	// The SDK signs by the real clock, so that the session has to be from the past: the
	// server's clock goes on by less than the skew of a signature.
	w.Clock.Advance(time.Hour + time.Second)
	_, err := w.identity(t.Context(), c)
	if got := errorCode(err); got != "ExpiredToken" {
		t.Errorf("%v, want ExpiredToken", err)
	}
}

// TestVulnerability25 holds that no part of a session's credentials can be changed.
func TestVulnerability25ChangedCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, other := w.session(t, w.token(t, "build:main", nil)), w.session(t, w.token(t, "build:main", nil))
	for name, test := range map[string]struct {
		id, secret, token *string
		code              string
	}{
		"another secret":      {good.AccessKeyId, other.SecretAccessKey, good.SessionToken, "SignatureDoesNotMatch"},
		"another id":          {other.AccessKeyId, good.SecretAccessKey, good.SessionToken, "InvalidClientTokenId"},
		"another token":       {good.AccessKeyId, good.SecretAccessKey, other.SessionToken, "InvalidClientTokenId"},
		"a shorter token":     {good.AccessKeyId, good.SecretAccessKey, cut(good.SessionToken), "InvalidClientTokenId"},
		"a longer token":      {good.AccessKeyId, good.SecretAccessKey, join(good.SessionToken, "A"), "InvalidClientTokenId"},
		"no token":            {good.AccessKeyId, good.SecretAccessKey, join(nil, ""), "InvalidClientTokenId"},
		"AKIA with a token":   {replace(good.AccessKeyId, "ASIA", "AKIA"), good.SecretAccessKey, good.SessionToken, "InvalidClientTokenId"},
		"an id in small case": {lower(good.AccessKeyId), good.SecretAccessKey, good.SessionToken, "InvalidClientTokenId"},
	} {
		_, err := w.identity(t.Context(), &types.Credentials{AccessKeyId: test.id, SecretAccessKey: test.secret, SessionToken: test.token})
		if got := errorCode(err); got != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	w.alive(t, good)
}

func cut(s *string) *string { text := (*s)[:len(*s)-1]; return &text }

func join(s *string, more string) *string {
	if s != nil {
		more = *s + more
	}
	return &more
}

func replace(s *string, from, to string) *string {
	text := strings.Replace(*s, from, to, 1)
	return &text
}

func lower(s *string) *string { text := strings.ToLower(*s); return &text }

// TestSignedRequestsRefuse holds unsigned requests of actions that need a signature.
func TestSignedRequestsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]struct {
		body   string
		header map[string][]string
		status int
		code   string
	}{
		"unsigned":           {"Action=GetCallerIdentity&Version=2011-06-15", nil, 403, "MissingAuthenticationToken"},
		"a bearer":           {"Action=GetCallerIdentity", map[string][]string{"Authorization": {"Bearer " + w.token(t, "build:main", nil)}}, 400, "IncompleteSignature"},
		"a broken signature": {"Action=GetCallerIdentity", map[string][]string{"Authorization": {"AWS4-HMAC-SHA256 Credential=x"}}, 400, "IncompleteSignature"},
		"key info unsigned":  {"Action=GetAccessKeyInfo&AccessKeyId=ASIAAAAAAAAAAAAAAAAA", nil, 403, "MissingAuthenticationToken"},
		"another parameter":  {"Action=GetCallerIdentity&RoleArn=x", nil, 400, "ValidationError"},
	} {
		if got := send(t, "POST", w.URL+"/sts", test.body, test.header); got.status != test.status || got.code != test.code {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.code, test.status, test.code)
		}
	}
}

// TestSignedPaths: what is signed for any of our paths is taken there, whether its client
// normalises paths or not.
func TestSignedPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.session(t, w.token(t, "build:main", nil))
	for _, path := range []string{"", "/", "//", "/sts", "/sts/"} {
		client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.URL + path), RetryMaxAttempts: 1,
			Credentials: w.client(c).Options().Credentials})
		if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}
