package iam_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/policy"
)

// people is an issuer of users.
type people struct {
	url    string
	signer jose.Signer
	jwks   string
	rig    *rig
}

func newPeople(t testing.TB, r *rig, url string) *people {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	must(t, err)
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	must(t, err)
	return &people{url: url, signer: signer, jwks: string(jwks), rig: r}
}

// token signs somebody in.
func (p *people) token(t testing.TB, subject string, claims map[string]any) string {
	t.Helper()
	now := p.rig.Clock.Now()
	all := map[string]any{"iss": p.url, "sub": subject, "aud": "spa", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	text, err := jwt.Signed(p.signer).Claims(all).Serialize()
	must(t, err)
	return text
}

// document is the Issuer document.
func (p *people) document(name, rest string) string {
	return "kind: Issuer\nname: " + name + "\nurl: " + p.url + "\nsubject: user\nprofile: oidc\naudiences: [spa]\nalgorithms: [ES256]\njwks: " + p.jwks + "\n" + rest
}

func id(p *people, subject string) string { return policy.UserID(p.url, subject) }

// configure applies documents as those of the configuration.
func (r *rig) configure(t testing.TB, documents ...string) {
	t.Helper()
	actor := admin.Actor{ID: "local:1", SuperAdmin: true}
	for _, text := range documents {
		_, err := r.admin.Apply(t.Context(), actor, admin.ApplyRequest{Files: []admin.File{{Name: "f", Content: []byte(text)}}})
		must(t, err)
	}
}

// office is a rig with two tenants, an issuer and users.
type office struct {
	*rig
	people *people
	// boss is a super-admin by assignment; ann and bob administer acme and beta by their
	// tokens; kim is a member of acme and helps by a role of its own that was assigned.
	boss, ann, bob, kim, eve string
	// service is a token with every scope, for iam-service.
	service string
}

const helpdesk = "kind: UserRole\nname: helpdesk\npermissions: [users.read, users.write]\n"

func newOffice(t testing.TB, cfg rigConfig) *office {
	t.Helper()
	cfg.localUID = uint32(os.Geteuid())
	o := &office{rig: newRigWith(t, cfg)}
	o.people = newPeople(t, o.rig, "https://people.example")
	o.configure(t, "kind: Tenant\nname: acme\ndisplay_name: Acme\n---\nkind: Tenant\nname: beta\n---\n"+helpdesk+"---\n"+
		o.people.document("people", "may_assert: {tenants: [acme, beta], roles: {admins: tenant-admin, helpers: helpdesk}}\n"))
	local := admin.Actor{ID: "local:1", SuperAdmin: true}
	boss, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "boss", "")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: boss.ID}, "super-admin", admin.AnyRevision)
	must(t, err)
	kim, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "kim", "acme")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: kim.ID, Tenant: "acme"}, "helpdesk", admin.AnyRevision)
	must(t, err)
	o.boss = o.people.token(t, "boss", nil)
	o.ann = o.people.token(t, "ann", map[string]any{"tenant": "acme", "roles": []string{"admins"}})
	o.bob = o.people.token(t, "bob", map[string]any{"tenant": "beta", "roles": []string{"admins"}})
	o.kim = o.people.token(t, "kim", nil)
	o.eve = o.people.token(t, "eve", map[string]any{"roles": []string{"admins", "super-admin"}, "scope": "s2s:internal iam:admin iam:apply"})
	o.create(t, "bff")
	o.service = o.token(t, "bff", "iam-service", "s2s:internal audit:write iam:admin iam:apply")
	return o
}

// as sends a request with a user's token.
func (o *office) as(t *testing.T, token, method, path, body string, header ...string) reply {
	t.Helper()
	a := ask{method: method, path: path, body: body, bearer: token, header: map[string]string{}}
	for i := 0; i+1 < len(header); i += 2 {
		a.header[header[i]] = header[i+1]
	}
	return o.ask(t, a)
}

func (g reply) want(t *testing.T, status int, parts ...string) reply {
	t.Helper()
	if g.status != status {
		t.Errorf("status %d, want %d: %s", g.status, status, g.body)
	}
	for _, part := range parts {
		if !strings.Contains(g.body, part) {
			t.Errorf("%q is not in %s", part, g.body)
		}
	}
	return g
}
