package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/trust"
)

// A service may trust a user of an issuer. Who is disabled, on the platform or in the tenant of
// the service, gets no token of it either, however fresh their proof is.
func TestRuleA5DisabledUsersProveNoClient(t *testing.T) {
	t.Parallel()
	people := authtest.NewUserIssuer(t, "countersign")
	f := newRig(t, func(cfg *oauth.Config) {
		verifier, err := trust.New(trust.Config{OwnIssuer: issuer, OwnKeys: authn.OwnKeys(cfg.Keys), Issuers: cfg.Registry, Now: cfg.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = verifier.Close() })
		cfg.WebIdentity = verifier
	})
	documents := strings.ReplaceAll(`
kind: Tenant
name: acme
---
kind: Issuer
name: people
url: %ISSUER%
subject: user
profile: oidc
audiences: [countersign]
---
kind: Service
name: desk
tenant: acme
audiences: [parse-service]
trust: [{oidc: {issuer: people, subject_conditions: [ann, ben, eve]}}]
`, "%ISSUER%", people.URL)
	_, err := f.admin.Apply(t.Context(), root, admin.ApplyRequest{Files: []admin.File{{Name: "test.yaml", Content: []byte(documents)}}, FromConfig: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(subject string) answer {
		return f.do(t, call{form: url.Values{
			"grant_type": {"client_credentials"}, "audience": {"parse-service"}, "client_id": {"desk"},
			"client_assertion_type": {jwtAssertion}, "client_assertion": {people.Token(t, subject, map[string]any{
				"iat": f.Clock.Now().Unix(), "exp": f.Clock.Now().Add(time.Hour).Unix(),
			})},
		}})
	}
	disabled := true
	for subject, tenant := range map[string]string{"ann": "", "ben": "acme"} {
		if a := ask(subject); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", subject, a.status, a.text)
		}
		if _, _, err := f.admin.AddUser(t.Context(), root, people.URL, subject, tenant); err != nil {
			t.Fatal(err)
		}
		ref := admin.UserRef{ID: policy.UserID(people.URL, subject), Tenant: tenant}
		if _, err := f.admin.ChangeUser(t.Context(), root, ref, admin.AnyRevision, admin.UserChange{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		f.Clock.Advance(10 * time.Second)
		a := ask(subject)
		if a.status != http.StatusUnauthorized || a.word("error") != "invalid_client" {
			t.Errorf("%s is disabled in %q: %d %s", subject, tenant, a.status, a.text)
		}
		if events := f.Events(t, audit.Query{ID: a.header.Get("X-Request-Id")}); len(events) != 1 || events[0].Reason != "user_disabled" {
			t.Errorf("%+v", events)
		}
	}
	if a := ask("eve"); a.status != http.StatusOK {
		t.Errorf("somebody else: %d %s", a.status, a.text)
	}
}
