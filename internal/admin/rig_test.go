package admin_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is an Admin on real parts.
type rig struct {
	*admin.Admin
	clock    *clock
	path     string
	store    store.Store
	audit    *audit.Log
	registry *registry.Registry
	keys     *keys.Ring
}

// wrap lets a test stand between the rig and its store.
type wrap func(store.Store) store.Store

func newRig(t *testing.T, wraps ...wrap) *rig {
	t.Helper()
	ctx := t.Context()
	r := &rig{clock: &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, path: filepath.Join(t.TempDir(), "db")}
	database, err := sqlstore.OpenSQLite(ctx, r.path, sqlstore.Options{})
	must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	r.store = database
	for _, w := range wraps {
		r.store = w(r.store)
	}
	var key [32]byte
	_, _ = rand.Read(key[:])
	master, err := keys.ParseMaster(base64.StdEncoding.EncodeToString(key[:]))
	must(t, err)
	r.keys, err = keys.Open(ctx, keys.Config{Store: r.store, Master: master, DeploymentID: "test", Now: r.clock.now})
	must(t, err)
	r.audit, err = audit.Open(ctx, audit.Config{Store: r.store, Replica: "test", Signer: r.keys, Now: r.clock.now})
	must(t, err)
	t.Cleanup(func() { _ = r.audit.Close(context.WithoutCancel(ctx)) })
	r.registry, err = registry.New(ctx, registry.Config{Store: r.store, Now: r.clock.now})
	must(t, err)
	r.Admin, err = admin.New(admin.Config{Store: r.store, Audit: r.audit, Registry: r.registry, Keys: r.keys, Now: r.clock.now})
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
	s, err := r.registry.Service(t.Context(), name)
	must(t, err)
	hash := r.keys.HashClientSecret(c.ClientSecret.Reveal())
	for _, secret := range s.Secrets {
		if secret.Hash == hash && (secret.ExpiresAt.IsZero() || r.clock.now().Before(secret.ExpiresAt)) {
			return true
		}
	}
	return false
}

// revoked asks the registry about a token of the service that was issued at a time.
func (r *rig) revoked(t *testing.T, d admin.ServiceDetail, issuedAt time.Time) bool {
	t.Helper()
	revoked, err := r.registry.Revoked(t.Context(), "some-token", d.Name, d.UID, issuedAt)
	must(t, err)
	return revoked
}

// events returns what the audit log has, newest last.
func (r *rig) events(t *testing.T, q audit.Query) []audit.Event {
	t.Helper()
	q.Limit = 1000
	result, err := r.audit.Query(t.Context(), q)
	must(t, err)
	return result.Events
}
