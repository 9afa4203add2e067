package admin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// cutOff is a rig whose store can be taken away, with a spool and a pending file as a
// replica has them.
type cutOff struct {
	*rig
	mode    atomic.Int32
	pending string
}

func newCutOff(t *testing.T) *cutOff {
	t.Helper()
	c := &cutOff{pending: filepath.Join(t.TempDir(), "pending.json")}
	c.rig = newRig(t, func(s store.Store) store.Store { return doubtful{s, &c.mode} })
	log, err := audit.Open(t.Context(), audit.Config{
		Store: c.Store, Replica: "replica-a", Signer: c.Keys, Now: c.Clock.Now,
		Spool: filepath.Join(t.TempDir(), "spool"), SpoolMax: 1 << 20,
	})
	must(t, err)
	t.Cleanup(func() { c.mode.Store(healthy); _ = log.Close(context.WithoutCancel(t.Context())) })
	c.Parts.Audit = log
	c.Admin = c.open(t, c.Registry)
	return c
}

func (c *cutOff) open(t *testing.T, r *registry.Registry) *admin.Admin {
	t.Helper()
	a, err := admin.New(admin.Config{Store: c.Store, Audit: c.Audit, Registry: r, Keys: c.Keys, PendingFile: c.pending, Now: c.Clock.Now})
	must(t, err)
	return a
}

// RULES E4: revoke --local works on a replica in an outage, outlives a restart of it,
// and is stored later.
func TestRuleE4RevokeLocalInAnOutage(t *testing.T) {
	t.Parallel()
	tests := map[string]admin.HereSelector{
		"token":   {JTI: "some-token"},
		"service": {Service: "a"},
	}
	for name, selector := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutOff(t)
			d, _ := c.create(t, "a")
			issued := c.Clock.Now()
			if c.revoked(t, d, issued) {
				t.Fatal("revoked already")
			}
			c.mode.Store(lost)
			stored, err := c.RevokeHere(t.Context(), super(), selector)
			if err != nil || stored {
				t.Fatalf("stored = %t, %v", stored, err)
			}
			if !c.revoked(t, d, issued) {
				t.Error("it does not hold here")
			}
			// The process ends before the store is back.
			again := reopen(t, c.rig)
			restarted := c.open(t, again)
			if revoked, err := again.Revoked(t.Context(), registry.TokenFacts{JTI: "some-token", Service: d.Name, ServiceUID: d.UID, IssuedAt: issued}); err != nil || !revoked {
				t.Errorf("after a restart: %t, %v", revoked, err)
			}
			c.mode.Store(healthy)
			for c.Audit.Degraded() { // until its own probe finds the store again
				runtime.Gosched()
			}
			must(t, restarted.Settle(t.Context()))
			if got := revocations(t, c.rig); got != 1 {
				t.Errorf("%d revocations in the store, want 1", got)
			}
			if _, err := os.Stat(c.pending); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there: %v", err)
			}
		})
	}
}

func TestRevokeHereWithAStoreIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	stored, err := c.RevokeHere(t.Context(), super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Issuer: "https://idp.example.com", Subject: "alice"}})
	if err != nil || !stored || revocations(t, c.rig) != 1 {
		t.Errorf("stored = %t, %v, %d in the store", stored, err, revocations(t, c.rig))
	}
}

func TestRevokeHereRefuses(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	all := admin.RevokeSelector{All: true}
	tests := map[string]struct {
		actor    admin.Actor
		selector admin.HereSelector
		code     countersign.Code
	}{
		"nobody":            {nobody(), admin.HereSelector{Service: "a"}, countersign.Denied},
		"nothing":           {super(), admin.HereSelector{}, countersign.Invalid},
		"two":               {super(), admin.HereSelector{JTI: "x", Service: "a"}, countersign.Invalid},
		"token and all":     {super(), admin.HereSelector{JTI: "x", RevokeSelector: all}, countersign.Invalid},
		"service and all":   {super(), admin.HereSelector{Service: "a", RevokeSelector: all}, countersign.Invalid},
		"no token's id":     {super(), admin.HereSelector{JTI: "a\nb"}, countersign.Invalid},
		"no name":           {super(), admin.HereSelector{Service: "A B"}, countersign.NotFound},
		"user, no issuer":   {super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Subject: "alice"}}, countersign.Invalid},
		"before tomorrow":   {super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{All: true, Before: c.Clock.Now().Add(time.Hour)}}, countersign.Invalid},
		"service and issue": {super(), admin.HereSelector{Service: "a", RevokeSelector: admin.RevokeSelector{Issuer: "https://i"}}, countersign.Invalid},
	}
	for name, test := range tests {
		if _, err := c.RevokeHere(t.Context(), test.actor, test.selector); !errors.Is(err, test.code) {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	if got := revocations(t, c.rig); got != 0 {
		t.Errorf("%d revocations, want none", got)
	}
}

// A file that can't be read is not taken for an empty one.
func TestPendingFileThatIsBrokenIsRefused(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	for _, content := range []string{"", "{", "[]", "null garbage"} {
		must(t, os.WriteFile(c.pending, []byte(content), 0o600))
		_, err := admin.New(admin.Config{Store: c.Store, Audit: c.Audit, Registry: c.Registry, Keys: c.Keys, PendingFile: c.pending, Now: c.Clock.Now})
		if !errors.Is(err, countersign.Invalid) {
			t.Errorf("%q: %v, want invalid", content, err)
		}
	}
}

// What a full data folder can't keep is told.
func TestRevokeHereTellsWhenARestartWouldForget(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	c.pending = filepath.Join(t.TempDir(), "gone", "pending.json")
	a := c.open(t, c.Registry)
	d, _ := c.create(t, "a")
	issued := c.Clock.Now()
	c.mode.Store(lost)
	if _, err := a.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "a"}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	if !c.revoked(t, d, issued) {
		t.Error("it does not hold here")
	}
}
