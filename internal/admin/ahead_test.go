package admin_test

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// RULES E4: what was revoked here in an outage reaches everybody as soon as the store is back,
// and not only when all that the outage's audit log holds is stored.
func TestRuleE4RevokedHereIsStoredAheadOfTheOutagesEvents(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	d, _ := c.create(t, "a")
	issued := c.Clock.Now()
	must(t, c.SettleAhead(t.Context())) // nothing is to be done
	c.mode.Store(away)                  // so that what finds the store again comes no further until the end
	if stored, err := c.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "a"}); err != nil || stored {
		t.Fatalf("stored = %t, %v", stored, err)
	}
	if err := c.SettleAhead(t.Context()); !errors.Is(err, countersign.Unavailable) || revocations(t, c.rig) != 0 {
		t.Errorf("without a store: %v, %d in it", err, revocations(t, c.rig))
	}
	c.mode.Store(unaudited)
	if err := c.Settle(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("a change was possible: %v", err)
	}
	for range 2 { // once is enough
		must(t, c.SettleAhead(t.Context()))
		if got := revocations(t, c.rig); got != 1 {
			t.Errorf("%d revocations in the store, want 1", got)
		}
	}
	other := reopen(t, c.rig)
	if revoked, err := other.Revoked(t.Context(), registry.TokenFacts{JTI: "x", Service: d.Name, ServiceUID: d.UID, IssuedAt: issued}); err != nil || !revoked {
		t.Errorf("at another replica: %t, %v", revoked, err)
	}
	if _, err := os.Stat(c.pending); err != nil {
		t.Errorf("its event and access keys are still to be stored, and the file: %v", err)
	}
	c.mode.Store(healthy)
	for c.Audit.Degraded() { // until its own probe finds the store again
		runtime.Gosched()
	}
	must(t, c.SettleAhead(t.Context())) // Settle does it now
	must(t, c.Settle(t.Context()))
	late := 0
	for _, e := range c.Events(t, audit.Query{Limit: 100}) {
		if e.Action == "revoke" && e.Detail == "stored late" {
			late++
		}
	}
	if _, err := os.Stat(c.pending); !errors.Is(err, os.ErrNotExist) || late != 1 {
		t.Errorf("%d events; the file: %v", late, err)
	}
}

// What a replica owes the store (ADR 9) goes ahead too.
func TestOwedRevocationsAreStoredAheadOfTheOutagesEvents(t *testing.T) {
	t.Parallel()
	c := newCutOff(t)
	now := c.Clock.Now()
	owed := []store.Revocation{
		{Service: "a", Before: now, ExpiresAt: now.Add(time.Hour), CreatedAt: now},
		{Service: "over", Before: now, ExpiresAt: now, CreatedAt: now},
	}
	if stored, err := c.StoreAhead(t.Context(), owed); stored || err != nil {
		t.Errorf("while changes are possible: %t, %v", stored, err)
	}
	c.mode.Store(away) // so that what finds the store again comes no further until the end
	if _, err := c.RevokeHere(t.Context(), super(), admin.HereSelector{JTI: "some-token"}); err != nil {
		t.Fatal(err)
	}
	if stored, err := c.StoreAhead(t.Context(), owed); stored || !errors.Is(err, countersign.Unavailable) {
		t.Errorf("without a store: %t, %v", stored, err)
	}
	c.mode.Store(unaudited)
	if stored, err := c.StoreAhead(t.Context(), owed); !stored || err != nil || revocations(t, c.rig) != 1 {
		t.Errorf("%t, %v, %d in the store", stored, err, revocations(t, c.rig))
	}
}
