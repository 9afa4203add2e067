package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// RULES A6: whose an audience is, is known without a read of the database, in an outage too;
// also that it is nobody's, and for longer than unknown clients are remembered. A creation is
// seen at once.
func TestRuleA6WhoseAnAudienceIsCostsNoRead(t *testing.T) {
	t.Parallel()
	clock := fixture.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s := &faultyStore{Store: fixture.NewStore(t)}
	r := newRegistry(t, s, clock, 0)
	create := func(name, tenant string, shared ...string) {
		t.Helper()
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.CreateService(ctx, store.Service{UID: "uid-" + name, Name: name, Tenant: tenant, SharedWith: shared, Revision: 1, CreatedAt: clock.Now(), UpdatedAt: clock.Now()})
		})
		if err != nil {
			t.Fatal(err)
		}
		r.Forget(name)
	}
	create("theirs", "beta")
	create("shared", "beta", "acme")
	create("ours", "acme")
	create("platform", "")
	of := func(tenant string) *registry.Service {
		return &registry.Service{Service: store.Service{Name: "caller", Tenant: tenant}}
	}
	want := map[string]bool{
		"theirs": false, "shared": true, "ours": true, "platform": true, "nobody": true,
		"caller": true, "sts": true, "iam-service": true, "urn:example:files": true, "https://a.example": true,
	}
	check := func(when string) {
		t.Helper()
		for audience, reached := range want {
			if got, err := r.MayReach(t.Context(), of("acme"), audience); err != nil || got != reached {
				t.Errorf("%s: %s: %v, %v", when, audience, got, err)
			}
			if got, err := r.MayReach(t.Context(), of(""), audience); err != nil || !got {
				t.Errorf("%s: %s for the platform: %v, %v", when, audience, got, err)
			}
		}
	}
	check("at first")
	s.broken.Store(true)
	clock.Advance(time.Hour)
	check("in an outage")
	if got, err := r.MayReach(t.Context(), of("acme"), "never-asked"); got || !errors.Is(err, countersign.Unavailable) {
		t.Errorf("what is not known counts: %v, %v", got, err)
	}
	s.broken.Store(false)
	create("nobody", "beta")
	want["nobody"] = false
	check("somebody's now")
}
