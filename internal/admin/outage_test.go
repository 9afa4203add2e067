package admin_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// reopen reads the view from the disk again, as after a restart.
func reopen(t *testing.T, r *rig) *registry.Registry {
	t.Helper()
	again, err := registry.New(t.Context(), registry.Config{Store: fixture.OpenStore(t, r.Path), Now: r.Clock.Now})
	must(t, err)
	return again
}

// doubtful is a store whose commits fail on demand, before or after the disk has them.
type doubtful struct {
	store.Store
	mode *atomic.Int32
}

const (
	healthy   int32 = iota
	lost            // rolled back, and reported so
	ambiguous       // committed, and reported as failed
	away            // lost, and the chain of the audit log can't be read
	unaudited       // healthy, but for that chain
)

func (d doubtful) AuditTail(ctx context.Context, replica string) (store.AuditBlock, error) {
	if mode := d.mode.Load(); mode == away || mode == unaudited {
		return store.AuditBlock{}, countersign.Unavailable
	}
	return d.Store.AuditTail(ctx, replica)
}

func (d doubtful) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	switch d.mode.Load() {
	case lost, away:
		return d.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := fn(ctx, tx); err != nil {
				return err
			}
			return countersign.Unavailable
		})
	case ambiguous:
		if err := d.Store.Update(ctx, fn); err != nil {
			return err
		}
		return countersign.Unavailable
	default:
		return d.Store.Update(ctx, fn)
	}
}

// TestCommitOfUnknownOutcome: whatever the disk says afterwards, nobody goes on with
// what was to be ended.
func TestCommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]int32{"lost": lost, "ambiguous": ambiguous} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mode atomic.Int32
			r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
			d, secret := r.create(t, "a")
			issued := r.Clock.Now()
			if !r.works(t, "a", secret) { // now the view is cached
				t.Fatal("the secret does not work")
			}
			mode.Store(failure)
			_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
			mode.Store(healthy)
			if err != nil && !errors.Is(err, countersign.Unavailable) || failure == lost && err == nil {
				t.Fatalf("got %v", err)
			}
			if !r.revoked(t, d, issued) {
				t.Error("the tokens live on in this process")
			}
			onDisk, err := r.Service(t.Context(), "a")
			must(t, err)
			view, err := r.Registry.Service(t.Context(), "a")
			must(t, err)
			if view.Disabled != onDisk.Disabled || onDisk.Disabled != (failure == ambiguous) {
				t.Errorf("the view says disabled=%t, the disk %t", view.Disabled, onDisk.Disabled)
			}
		})
	}
}

// A write that the store was not there for changes nothing, so the service goes on getting
// tokens by what is known here.
func TestRuleE4AWriteInAnOutageEndsNoTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, secret := r.create(t, "a")
	issued := r.Clock.Now()
	if !r.works(t, "a", secret) { // now the view is cached
		t.Fatal("the secret does not work")
	}
	must(t, r.Store.Close())
	_, disableErr := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	_, _, rotateErr := r.RotateSecret(t.Context(), super(), "a", admin.AnyRevision, admin.Rotation{})
	for what, err := range map[string]error{
		"disable": disableErr, "rotate": rotateErr,
		"delete": r.DeleteService(t.Context(), super(), "a", admin.AnyRevision),
	} {
		if !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !r.works(t, "a", secret) {
		t.Error("the service gets no tokens")
	}
	if r.revoked(t, d, issued) {
		t.Error("its tokens are revoked")
	}
}

func TestStoreDownIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	must(t, r.Store.Close())
	_, readErr := r.Service(t.Context(), "a")
	_, _, createErr := r.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "b"})
	for what, err := range map[string]error{
		"read": readErr, "create": createErr,
		"delete": r.DeleteService(t.Context(), super(), "a", admin.AnyRevision),
		"revoke": r.RevokeToken(t.Context(), super(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now()}),
	} {
		if !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCallerThatHungUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.DeleteService(gone, super(), "a", admin.AnyRevision); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Service(t.Context(), "a"); err != nil {
		t.Errorf("it is gone: %v", err)
	}
	if events := r.Events(t, audit.Query{Action: "service.delete", Decision: audit.Refused}); len(events) != 1 {
		t.Errorf("events %+v", events)
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	t.Parallel()
	if _, err := admin.New(admin.Config{}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("got %v", err)
	}
}
