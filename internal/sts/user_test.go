package sts_test

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/sts"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/sigv4"
)

// reads counts those of users' records.
type reads struct {
	store.Store
	users atomic.Int64
}

func (r *reads) UserRecords(ctx context.Context, id string) ([]store.User, error) {
	r.users.Add(1)
	return r.Store.UserRecords(ctx, id)
}

// staff is an STS whose callers are users of the platform.
type staff struct {
	*fixture.Parts
	admin  *admin.Admin
	reads  *reads
	issuer *authtest.UserIssuer
	door   http.Handler
	asked  func() // each time that the STS asks for the time; nil = nothing
}

var root = admin.Actor{ID: "local:0", Proof: "config", SuperAdmin: true}

func newStaff(t *testing.T) *staff {
	t.Helper()
	s := &staff{reads: new(reads), issuer: authtest.NewUserIssuer(t, "sts-clients")}
	s.Parts = fixture.Open(t, fixture.Config{Start: time.Now(), WrapStore: func(inner store.Store) store.Store {
		s.reads.Store = inner
		return s.reads
	}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.admin, err = admin.New(admin.Config{Store: s.Store, Audit: s.Audit, Registry: s.Registry, Keys: s.Keys, Now: s.Clock.Now})
	must(err)
	text := strings.ReplaceAll(`
kind: Tenant
name: acme
---
kind: Issuer
name: people
url: %ISSUER%
subject: user
profile: oidc
audiences: [sts-clients]
may_assert: {tenants: [acme]}
---
kind: Role
name: everywhere
trust: [{oidc: {issuer: people, subject_conditions: [ann, ben]}}]
permissions: [{bucket: documents, prefixes: [""], actions: [get_object]}]
---
kind: Role
name: acme-only
tenant: acme
trust: [{oidc: {issuer: people, subject_conditions: [ann, ben]}}]
permissions: [{bucket: documents, prefixes: ["acme/"], actions: [get_object]}]
`, "%ISSUER%", s.issuer.URL)
	_, err = s.admin.Apply(t.Context(), root, admin.ApplyRequest{Files: []admin.File{{Name: "test.yaml", Content: []byte(text)}}, FromConfig: true})
	must(err)
	const own = "https://auth.example.com"
	verifier, err := trust.New(trust.Config{
		OwnIssuer: own, OwnKeys: authn.OwnKeys(s.Keys), Issuers: s.Registry, Revocations: authn.Revocations(s.Registry, own), Now: s.Clock.Now,
	})
	must(err)
	t.Cleanup(func() { _ = verifier.Close() })
	sealer := session.New(session.Config{Keys: s.Keys, DeploymentID: "test", Now: s.Clock.Now})
	sessions, err := authn.NewSessions(authn.SessionsConfig{Sealer: sealer, Registry: s.Registry, Now: s.Clock.Now})
	must(err)
	handler, err := sts.New(sts.Config{
		AccountID: "000000000000", Registry: s.Registry, WebIdentity: verifier, Sealer: sealer, Sessions: sessions, Audit: s.Audit, ExposeReasons: true,
		Now: func() time.Time {
			if s.asked != nil {
				s.asked()
			}
			return s.Clock.Now()
		},
	})
	must(err)
	s.door = web.Wrap(web.Config{Now: s.Clock.Now}, handler)
	return s
}

// assumed is an answer, with the credentials that it has.
type assumed struct {
	status int
	body   string
	sigv4.Credentials
}

// assume shows a fresh token; tenant is what it says.
func (s *staff) assume(t *testing.T, role, subject, tenant string) assumed {
	t.Helper()
	claims := map[string]any{"iat": s.Clock.Now().Unix(), "exp": s.Clock.Now().Add(time.Hour).Unix()}
	if tenant != "" {
		claims["tenant"] = tenant
	}
	return s.ask(t, url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "RoleArn": {"arn:aws:iam::000000000000:role/" + role}, "RoleSessionName": {"job"},
		"WebIdentityToken": {s.issuer.Token(t, subject, claims)},
	}, sigv4.Credentials{})
}

// alive asks who a session is.
func (s *staff) alive(t *testing.T, a assumed) bool {
	t.Helper()
	return s.ask(t, url.Values{"Action": {"GetCallerIdentity"}}, a.Credentials).status == http.StatusOK
}

func (s *staff) ask(t *testing.T, form url.Values, c sigv4.Credentials) assumed {
	t.Helper()
	body := form.Encode()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://sts.example.com/sts", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.AccessKeyID != "" {
		err := sigv4.Sign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "sts", Time: s.Clock.Now(), PayloadHash: sigv4.HashPayload([]byte(body))})
		if err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	s.door.ServeHTTP(w, r)
	got := assumed{status: w.Code, body: w.Body.String()}
	var answer struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } `xml:"AssumeRoleWithWebIdentityResult>Credentials"` //nolint:revive // AWS's spelling
	}
	_ = xml.Unmarshal(w.Body.Bytes(), &answer) // none in an error
	got.Credentials = sigv4.Credentials{
		AccessKeyID: answer.Credentials.AccessKeyId, SecretAccessKey: countersign.NewSecret(answer.Credentials.SecretAccessKey),
		SessionToken: countersign.NewSecret(answer.Credentials.SessionToken),
	}
	return got
}

// disable makes the record of a user in a tenant, and says whether they are disabled there.
func (s *staff) disable(t *testing.T, subject, tenant string, disabled bool) {
	t.Helper()
	if _, _, err := s.admin.AddUser(t.Context(), root, s.issuer.URL, subject, tenant); err != nil {
		t.Error(err)
	}
	ref := admin.UserRef{ID: policy.UserID(s.issuer.URL, subject), Tenant: tenant}
	if _, err := s.admin.ChangeUser(t.Context(), root, ref, admin.AnyRevision, admin.UserChange{Disabled: &disabled}); err != nil {
		t.Error(err)
	}
}

func (a assumed) refused(t *testing.T) {
	t.Helper()
	if a.status != http.StatusForbidden || !strings.Contains(a.body, "AccessDenied") || !strings.Contains(a.body, "user_disabled") || a.AccessKeyID != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Who is disabled on the platform is disabled everywhere: a fresh token of their own issuer gets
// no session, and those that there are have ended.
func TestRuleA5DisabledUsersGetNoSession(t *testing.T) {
	t.Parallel()
	s := newStaff(t)
	before := s.assume(t, "everywhere", "ann", "")
	if before.status != http.StatusOK || !s.alive(t, before) {
		t.Fatalf("%d %s", before.status, before.body)
	}
	s.disable(t, "ann", "", true)
	s.Clock.Advance(10 * time.Second)
	if s.alive(t, before) {
		t.Error("the session goes on")
	}
	s.assume(t, "everywhere", "ann", "").refused(t)
	s.assume(t, "acme-only", "ann", "acme").refused(t)
	if got := s.assume(t, "everywhere", "ben", ""); got.status != http.StatusOK {
		t.Errorf("somebody else: %d %s", got.status, got.body)
	}
	s.disable(t, "ann", "", false)
	s.Clock.Advance(10 * time.Second)
	if got := s.assume(t, "everywhere", "ann", ""); got.status != http.StatusOK || !s.alive(t, got) || s.alive(t, before) {
		t.Errorf("enabled again: %d %s", got.status, got.body)
	}
}

// Who is disabled in a tenant is no member there, whatever the token says; elsewhere that says
// nothing.
func TestRuleA6DisabledInATenant(t *testing.T) {
	t.Parallel()
	s := newStaff(t)
	ofTenant, said, neither := s.assume(t, "acme-only", "ann", ""), s.assume(t, "everywhere", "ann", "acme"), s.assume(t, "everywhere", "ann", "")
	for _, each := range []assumed{ofTenant, said, neither} {
		if each.status != http.StatusOK || !s.alive(t, each) {
			t.Fatalf("%d %s", each.status, each.body)
		}
	}
	s.disable(t, "ann", "acme", true)
	if s.alive(t, ofTenant) || s.alive(t, said) || !s.alive(t, neither) {
		t.Errorf("of the tenant's role %t, of a token that says it %t, of neither %t", s.alive(t, ofTenant), s.alive(t, said), s.alive(t, neither))
	}
	s.assume(t, "acme-only", "ann", "").refused(t)
	s.assume(t, "acme-only", "ann", "acme").refused(t)
	s.assume(t, "everywhere", "ann", "acme").refused(t)
	if got := s.assume(t, "everywhere", "ann", ""); got.status != http.StatusOK {
		t.Errorf("elsewhere: %d %s", got.status, got.body)
	}
}

// Whenever a user is disabled while the request is under way, no session leaves.
func TestRuleA5UserDisabledWhileAssuming(t *testing.T) {
	t.Parallel()
	s := newStaff(t)
	asked := 0
	s.asked = func() { asked++ }
	if got := s.assume(t, "acme-only", "ann", "acme"); got.status != http.StatusOK || asked < 4 {
		t.Fatalf("%d %s, %d times", got.status, got.body, asked)
	}
	for at := 1; at <= 5; at++ { // the fifth is when the trust has been looked at
		asked = 0
		s.asked = func() {
			if asked++; asked == at {
				s.disable(t, "ann", "acme", true)
			}
		}
		s.assume(t, "acme-only", "ann", "acme").refused(t)
		s.asked = nil
		s.disable(t, "ann", "acme", false)
	}
}

// A user of whom nothing is known costs no read of the store, once that is known.
func TestUsersAreReadOnce(t *testing.T) {
	t.Parallel()
	s := newStaff(t)
	s.assume(t, "everywhere", "ann", "")
	read := s.reads.users.Load()
	for range 5 {
		if got := s.assume(t, "everywhere", "ann", ""); got.status != http.StatusOK || !s.alive(t, got) {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if more := s.reads.users.Load() - read; read != 1 || more != 0 {
		t.Errorf("%d reads, then %d more", read, more)
	}
}
