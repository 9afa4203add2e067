package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

const roleSpec = `{"trust":[{"service":{"names":["document-service"]}}],"permissions":[{"bucket":"documents","prefixes":[""],"actions":["get_object"]}]}`

// keyWorld is a replica that writes and one that follows, with an access key of a service.
type keyWorld struct {
	clock  *fixture.Clock
	writer replica
	*registry.Registry
	row store.AccessKey
}

func newKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	w := &keyWorld{clock: fixture.NewClock(start)}
	var ring *keys.Ring
	both := replicas(t, w.clock, 2, func(c *registry.Config) {
		if ring == nil {
			ring = fixture.OpenKeys(t, keys.Config{Store: c.Store, Now: w.clock.Now})
		}
		c.OpenAccessKey = ring.OpenAccessKey
	})
	w.writer, w.Registry = both[0], both[1].Registry
	update(t, w.writer.store, func(ctx context.Context, tx store.Tx) (err error) {
		service := store.Service{UID: "uid-s", Name: "document-service", Tenant: "acme", Revision: 1}
		role := store.Object{UID: "uid-r", Kind: "Role", Name: "writer", Tenant: "acme", Spec: []byte(roleSpec), Revision: 1}
		if err := errors.Join(tx.CreateService(ctx, service), tx.CreateObject(ctx, role)); err != nil {
			return err
		}
		w.row, _, err = ring.NewAccessKeyIn(ctx, tx, store.AccessKey{
			UID: "uid-k", Name: "uploader", Tenant: "acme", Service: "document-service", ServiceUID: "uid-s", Role: "writer", RoleUID: "uid-r",
			Trust: fingerprint(t, roleSpec), CreatedAt: start, ExpiresAt: start.Add(time.Hour), Revision: 1,
		})
		if err != nil {
			return err
		}
		return tx.CreateAccessKey(ctx, w.row)
	})
	w.sync(t)
	return w
}

// fingerprint is that of the one statement of a role.
func fingerprint(t *testing.T, spec string) string {
	t.Helper()
	c := fixture.NewClock(start)
	only := replicas(t, c, 1)[0]
	update(t, only.store, func(ctx context.Context, tx store.Tx) error {
		return tx.CreateObject(ctx, store.Object{UID: "u", Kind: "Role", Name: "r", Spec: []byte(spec), Revision: 1})
	})
	role, err := only.Role(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	return role.Trust[0].Fingerprint()
}

func (w *keyWorld) sync(t *testing.T) {
	t.Helper()
	if err := w.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *keyWorld) revoked(t *testing.T) bool {
	t.Helper()
	k, err := w.AccessKey(t.Context(), w.row.ID)
	if errors.Is(err, countersign.NotFound) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := w.AccessKeyRevoked(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

func (w *keyWorld) role(t *testing.T, spec, tenant string) {
	t.Helper()
	update(t, w.writer.store, func(ctx context.Context, tx store.Tx) error {
		return tx.UpdateObject(ctx, store.Object{UID: "uid-r", Kind: "Role", Name: "writer", Tenant: tenant, Spec: []byte(spec), Revision: 2})
	})
}

func TestAccessKeyIsHeldUntilItChanges(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	k, err := w.AccessKey(t.Context(), w.row.ID)
	if err != nil || k.Secret.IsZero() || k.Name != "uploader" || k.Service != "document-service" || k.Role != "writer" || k.Tenant != "acme" ||
		k.UID != "uid-k" || !k.ExpiresAt.Equal(w.row.ExpiresAt) {
		t.Fatalf("%+v, %v", k, err)
	}
	if w.revoked(t) {
		t.Fatal("a fresh key is revoked")
	}
	if again, err := w.AccessKey(t.Context(), w.row.ID); again != k || err != nil {
		t.Errorf("read again: %v", err)
	}
	for _, id := range []string{"", "AKIA", "ASIAABCDEFGHIJ234567", "AKIAABCDEFGHIJ234567", strings.ToLower(w.row.ID)} {
		if _, err := w.AccessKey(t.Context(), id); !errors.Is(err, countersign.NotFound) || countersign.ReasonOf(err) != countersign.ReasonAccessKeyUnknown {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestRuleA5AccessKeysEndWithWhatTheyStandOn: on every replica, and what is made again under
// an old name revives none.
func TestRuleA5AccessKeysEndWithWhatTheyStandOn(t *testing.T) {
	t.Parallel()
	change := func(fn func(ctx context.Context, tx store.Tx) error) func(*testing.T, *keyWorld) {
		return func(t *testing.T, w *keyWorld) { t.Helper(); update(t, w.writer.store, fn) }
	}
	revoke := func(rev store.Revocation) func(*testing.T, *keyWorld) {
		return func(t *testing.T, w *keyWorld) {
			t.Helper()
			rev.CreatedAt = start
			if rev.Session == "" {
				rev.Before = start
			} else {
				rev.Session = w.row.ID
			}
			put(t, w.writer.store, rev)
		}
	}
	service := store.Service{UID: "uid-s", Name: "document-service", Tenant: "acme", Revision: 2}
	shared := strings.Replace(roleSpec, `"permissions"`, `"shared_with":["acme"],"permissions"`, 1)
	for name, test := range map[string]struct {
		do    func(*testing.T, *keyWorld)
		alive bool
	}{
		"nothing happens": {func(*testing.T, *keyWorld) {}, true},
		"revoked":         {change(func(ctx context.Context, tx store.Tx) error { return tx.RevokeAccessKey(ctx, "uid-k", start) }), false},
		"deleted":         {change(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccessKey(ctx, "uid-k") }), false},
		"service disabled": {change(func(ctx context.Context, tx store.Tx) error {
			off := service
			off.Disabled = true
			return tx.UpdateService(ctx, off)
		}), false},
		"service changed": {change(func(ctx context.Context, tx store.Tx) error { return tx.UpdateService(ctx, service) }), true},
		"service deleted": {change(func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-s") }), false},
		"service made again": {change(func(ctx context.Context, tx store.Tx) error {
			again := service
			again.UID = "uid-2"
			return errors.Join(tx.DeleteService(ctx, "uid-s"), tx.CreateService(ctx, again))
		}), false},
		"service of another tenant": {change(func(ctx context.Context, tx store.Tx) error {
			other := service
			other.Tenant = "other"
			return tx.UpdateService(ctx, other)
		}), false},
		"that is shared": {change(func(ctx context.Context, tx store.Tx) error {
			other := service
			other.Tenant, other.SharedWith = "other", []string{"acme"}
			return tx.UpdateService(ctx, other)
		}), true},
		"role deleted": {change(func(ctx context.Context, tx store.Tx) error { return tx.DeleteObject(ctx, "uid-r") }), false},
		"role made again": {change(func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.DeleteObject(ctx, "uid-r"), tx.CreateObject(ctx, store.Object{UID: "uid-2", Kind: "Role", Name: "writer", Tenant: "acme", Spec: []byte(roleSpec), Revision: 1}))
		}), false},
		"role's permissions changed": {func(t *testing.T, w *keyWorld) {
			w.role(t, strings.Replace(roleSpec, "get_object", "put_object", 1), "acme")
		}, true},
		"role shared": {func(t *testing.T, w *keyWorld) { w.role(t, shared, "acme") }, true},
		"role's trust changed": {func(t *testing.T, w *keyWorld) {
			w.role(t, strings.Replace(roleSpec, "document-service", "document-*", 1), "acme")
		}, false},
		"role trusts nobody":     {func(t *testing.T, w *keyWorld) { w.role(t, `{"trust":[]}`, "acme") }, false},
		"role of another tenant": {func(t *testing.T, w *keyWorld) { w.role(t, roleSpec, "other") }, false},
		"role brokers": {func(t *testing.T, w *keyWorld) {
			w.role(t, strings.Replace(roleSpec, `"permissions"`, `"broker":{"aws":{"role_arn":"arn:aws:iam::123456789012:role/R","region":"us-east-1"}},"permissions"`, 1), "acme")
		}, false},
		"expired":                {func(_ *testing.T, w *keyWorld) { w.clock.Set(w.row.ExpiresAt) }, false},
		"in its last moment":     {func(_ *testing.T, w *keyWorld) { w.clock.Set(w.row.ExpiresAt.Add(-time.Microsecond)) }, true},
		"revoked by its id":      {revoke(store.Revocation{Session: "its"}), false},
		"service's are revoked":  {revoke(store.Revocation{Service: "document-service", ServiceUID: "uid-s"}), false},
		"service's, by its name": {revoke(store.Revocation{Service: "document-service"}), false},
		"another's are revoked":  {revoke(store.Revocation{Service: "parse-service"}), true},
		"a former one's":         {revoke(store.Revocation{Service: "document-service", ServiceUID: "uid-0"}), true},
		"role's are revoked":     {revoke(store.Revocation{Role: "writer", RoleUID: "uid-r"}), false},
		"role's, by its name":    {revoke(store.Revocation{Role: "writer"}), false},
		"another role's":         {revoke(store.Revocation{Role: "reader"}), true},
		"everything is revoked":  {revoke(store.Revocation{All: true}), false},
		"a signing key's tokens": {revoke(store.Revocation{KID: "k1"}), true},
		"an issuer's":            {revoke(store.Revocation{Issuer: "https://i.example"}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newKeyWorld(t)
			if w.revoked(t) {
				t.Fatal("revoked from the start")
			}
			held, err := w.AccessKey(t.Context(), w.row.ID)
			if err != nil {
				t.Fatal(err)
			}
			test.do(t, w)
			w.sync(t)
			if got := w.revoked(t); got == test.alive {
				t.Errorf("revoked: %v", got)
			}
			// Who holds the view from before learns it too, where that is not in the view itself.
			if revoked, err := w.AccessKeyRevoked(t.Context(), held); err != nil || revoked == test.alive && name != "revoked" && name != "deleted" {
				t.Errorf("of the view before: %v, %v", revoked, err)
			}
		})
	}
}

// What was made after the time that a revocation names goes on.
func TestAccessKeyIsNotHitByWhatCameBefore(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	put(t, w.writer.store, store.Revocation{Role: "writer", RoleUID: "uid-r", Before: start.Add(-time.Minute), CreatedAt: start})
	w.sync(t)
	if w.revoked(t) {
		t.Error("revoked")
	}
}

// TestRuleE4StaleAccessKeys: what may have been revoked is refused with Unavailable, never
// taken, and a row that somebody has changed opens nothing.
func TestRuleE4StaleAccessKeys(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	k, err := w.AccessKey(t.Context(), w.row.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(20 * time.Minute)
	if revoked, err := w.AccessKeyRevoked(t.Context(), k); !revoked || !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%v, %v", revoked, err)
	}
	if _, err := w.AccessKey(t.Context(), w.row.ID); !errors.Is(err, countersign.Unavailable) {
		t.Error(err)
	}
}

func TestRuleF7ARowThatWasChangedDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	update(t, w.writer.store, func(ctx context.Context, tx store.Tx) error {
		longer := w.row
		longer.UID, longer.ExpiresAt = "uid-2", longer.ExpiresAt.Add(time.Hour)
		return errors.Join(tx.DeleteAccessKey(ctx, "uid-k"), tx.CreateAccessKey(ctx, longer))
	})
	w.sync(t)
	if k, err := w.AccessKey(t.Context(), w.row.ID); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%+v, %v", k, err)
	}
	closed := replicas(t, w.clock, 1)[0] // no keys at all
	update(t, closed.store, func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.CreateService(ctx, store.Service{UID: "uid-s", Name: "document-service", Revision: 1}), tx.CreateAccessKey(ctx, w.row))
	})
	if k, err := closed.AccessKey(t.Context(), w.row.ID); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("%+v, %v", k, err)
	}
}
