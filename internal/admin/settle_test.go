package admin_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// vulnerabilities 22: a revocation that could not be stored holds in this process, is
// not called stored before it is, and is there after a restart then.
func TestVulnerability22RevocationIsSettledLate(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *rig) error{
		"token": func(r *rig) error {
			return r.RevokeToken(t.Context(), super(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now().Add(time.Minute)})
		},
		"service": func(r *rig) error { return r.RevokeService(t.Context(), super(), "a") },
		"disable": func(r *rig) error {
			_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
			return err
		},
	}
	for name, revoke := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mode atomic.Int32
			r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
			d, _ := r.create(t, "a")
			issued := r.Clock.Now()
			mode.Store(lost)
			if err := revoke(r); !errors.Is(err, countersign.Unavailable) {
				t.Fatalf("got %v, want unavailable", err)
			}
			if err := r.Settle(t.Context()); !errors.Is(err, countersign.Unavailable) {
				t.Errorf("settle while the disk is full: %v, want unavailable", err)
			}
			mode.Store(healthy)
			if got := revocations(t, r); got != 0 {
				t.Errorf("%d revocations on the disk, want 0", got)
			}
			must(t, r.Settle(t.Context()))
			must(t, r.Settle(t.Context())) // nothing is left
			if got := revocations(t, r); got != 1 {
				t.Errorf("%d revocations on the disk, want 1", got)
			}
			revoked, err := reopen(t, r).Revoked(t.Context(), registry.TokenFacts{JTI: "token-1", Service: d.Name, ServiceUID: d.UID, IssuedAt: issued})
			if err != nil || !revoked {
				t.Errorf("after a restart: revoked = %t, %v", revoked, err)
			}
			events := r.Events(t, audit.Query{Action: "revoke", Decision: audit.Changed})
			if len(events) != 1 || events[0].Detail != "stored late" {
				t.Errorf("events %+v", events)
			}
		})
	}
}

// The next change that succeeds takes along what could not be stored before.
func TestRevocationIsSettledWithTheNextChange(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
	mode.Store(lost)
	if err := r.RevokeToken(t.Context(), super(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now().Add(time.Minute)}); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	mode.Store(healthy)
	r.create(t, "a")
	if got := revocations(t, r); got != 1 {
		t.Errorf("%d revocations on the disk, want 1", got)
	}
}

// What has ended meanwhile is not worth a row.
func TestRevocationThatEndedIsNotSettled(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
	mode.Store(lost)
	_ = r.RevokeToken(t.Context(), super(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now().Add(time.Minute), NoSessions: true})
	mode.Store(healthy)
	r.Clock.Advance(time.Hour)
	must(t, r.Settle(t.Context()))
	if got := revocations(t, r); got != 0 {
		t.Errorf("%d revocations on the disk, want 0", got)
	}
}

func revocations(t *testing.T, r *rig) int {
	t.Helper()
	list, err := r.Store.Revocations(t.Context(), 0, r.Clock.Now(), 0)
	must(t, err)
	return len(list)
}
