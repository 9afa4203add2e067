package oauth_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
)

// RULES A5, A6: an audience is the service that it was granted for. A name that is deleted and
// made again by another tenant is another service, and gets nobody's tokens but its tenant's
// and those of tenants that it is shared with.
func TestRuleA6AudienceIsNotTheNextOfItsName(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	ask := func(id, secret string) answer {
		t.Helper()
		return f.do(t, call{id: id, secret: secret, form: url.Values{"grant_type": {"client_credentials"}, "audience": {"foo"}}})
	}
	acme := f.service(t, admin.ServiceSpec{Name: "caller", Tenant: "acme", Audiences: []string{"foo"}})
	platform := f.service(t, admin.ServiceSpec{Name: "platform-caller", Audiences: []string{"foo"}})
	if got := ask("caller", acme); got.status != 200 { // foo is nobody's, and a super-admin granted it
		t.Fatal(got.status, got.text)
	}
	want := func(when string, status int) {
		t.Helper()
		if got := ask("caller", acme); got.status != status || status == 400 && got.word("error") != "invalid_target" {
			t.Errorf("%s: %d %s", when, got.status, got.text)
		}
		if got := ask("platform-caller", platform); got.status != 200 {
			t.Errorf("%s, the platform's: %d %s", when, got.status, got.text)
		}
	}
	for _, c := range []struct {
		when, document string
		status         int
	}{
		{"of its tenant", "kind: Service\nname: foo\ntenant: acme\n", 200},
		{"of another tenant", "kind: Service\nname: foo\ntenant: beta\n", 400},
		{"of another one, shared", "kind: Service\nname: foo\ntenant: beta\nshared_with: [acme]\n", 200},
		{"of the platform", "kind: Service\nname: foo\n", 200},
	} {
		f.apply(t, c.document)
		want(c.when, c.status)
		if err := f.admin.DeleteService(t.Context(), root, "foo", admin.AnyRevision); err != nil {
			t.Fatal(err)
		}
		want("deleted, "+c.when, 200)
	}
	f.apply(t, "kind: Service\nname: foo\ntenant: beta\nshared_with: [acme]\n")
	want("shared", 200)
	f.apply(t, "kind: Service\nname: foo\ntenant: beta\n")
	want("shared no more", 400)
	if _, _, err := f.admin.CreateService(t.Context(), root, admin.ServiceSpec{Name: "late", Tenant: "acme", Audiences: []string{"foo"}}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("granted across tenants: %v", err)
	}
}
