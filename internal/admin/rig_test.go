package admin_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// rig is an Admin on real parts.
type rig struct {
	*admin.Admin
	*fixture.Parts
}

// wrap lets a test stand between the rig and its store.
type wrap func(store.Store) store.Store

func newRig(t *testing.T, wraps ...wrap) *rig {
	t.Helper()
	return newRigWithPaths(t, hostpath.Paths{}, wraps...)
}

// newRigWithPaths lets documents name paths.
func newRigWithPaths(t *testing.T, paths hostpath.Paths, wraps ...wrap) *rig {
	t.Helper()
	r := &rig{Parts: fixture.Open(t, fixture.Config{WrapStore: func(s store.Store) store.Store {
		for _, w := range wraps {
			s = w(s)
		}
		return s
	}})}
	var err error
	r.Admin, err = admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Paths: paths, Now: r.Clock.Now})
	must(t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// super is the local administrator.
func super() admin.Actor {
	return admin.Actor{ID: "local:1000", Proof: "unix_socket", SuperAdmin: true}
}

func (r *rig) create(t *testing.T, name string) (admin.ServiceDetail, admin.Credentials) {
	t.Helper()
	d, c, err := r.CreateService(t.Context(), super(), admin.ServiceSpec{
		Name: name, Scopes: []string{"s2s:internal"}, Audiences: []string{"parse-service"},
	})
	must(t, err)
	return d, c
}

// works reports whether the secret would be taken at the token endpoint now.
func (r *rig) works(t *testing.T, name string, c admin.Credentials) bool {
	t.Helper()
	s, err := r.Registry.Service(t.Context(), name)
	must(t, err)
	hash := r.Keys.HashClientSecret(c.ClientSecret.Reveal())
	for _, secret := range s.Secrets {
		if secret.Hash == hash && (secret.ExpiresAt.IsZero() || r.Clock.Now().Before(secret.ExpiresAt)) {
			return true
		}
	}
	return false
}

// revoked asks the registry about a token of the service that was issued at a time.
func (r *rig) revoked(t *testing.T, d admin.ServiceDetail, issuedAt time.Time) bool {
	t.Helper()
	revoked, err := r.Registry.Revoked(t.Context(), registry.TokenFacts{JTI: "some-token", Service: d.Name, ServiceUID: d.UID, IssuedAt: issuedAt})
	must(t, err)
	return revoked
}
