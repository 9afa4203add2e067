package admin_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

const ciIssuer = `kind: Issuer
name: ci
url: https://ci.example.com
subject: service
profile: oidc
audiences: [sts]
claims: {service: svc}
---
`

// RULES E4: a service loses its trust while a replica is cut off, which takes a proof of it
// once more. The session that it makes, and its tokens, end at every replica when the database
// is back, and the audit log says why.
func TestRuleE4SessionOfAReplicaThatWasCutOffEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	trusted := "kind: Service\nname: payroll\nscopes: [a, b]\naudiences: [sts]\ntrust: [{oidc: {issuer: ci, subject_conditions: [\"job:*\"]}}]\n"
	r.apply(t, request(ciIssuer+trusted))
	var owed []store.Revocation
	cut, err := registry.New(t.Context(), registry.Config{
		Store: r.Store, Shared: true, OpenAccessKey: r.Keys.OpenAccessKey, Now: r.Clock.Now,
		OnLate: func(revs []store.Revocation) { owed = append(owed, revs...) },
	})
	must(t, err)
	service, err := cut.Service(t.Context(), "payroll")
	must(t, err)

	r.apply(t, request("kind: Service\nname: payroll\nscopes: [a]\naudiences: [sts]\n"))
	r.Clock.Advance(5 * time.Minute)
	now := r.Clock.Now()
	made := registry.FactsOf(session.Session{
		AccessKeyID: "ASIAAAAAAAAAAAAAAAAA", Role: "reader", RoleUID: "uid-role", Kind: string(session.OIDC), Issuer: "https://ci.example.com", Subject: "job:1",
		Service: "payroll", ServiceUID: service.UID, IssuedAt: now, ProvenAt: now, ExpiresAt: now.Add(12 * time.Hour),
	})
	token := registry.TokenFacts{JTI: "t", Service: "payroll", ServiceUID: service.UID, IssuedAt: now}
	must(t, cut.Sync(t.Context())) // the database is back
	const why = "this replica was cut off"
	must(t, r.StoreOwed(t.Context(), owed, why))
	r.Clock.Advance(time.Hour)
	must(t, cut.Sync(t.Context()))
	for name, view := range map[string]*registry.Registry{"the replica": cut, "another": r.Registry} {
		if dead, err := view.SessionRevoked(t.Context(), made); err != nil || !dead {
			t.Errorf("%s: the session is alive (%v)", name, err)
		}
		if dead, err := view.Revoked(t.Context(), token); err != nil || !dead {
			t.Errorf("%s: the token is alive (%v)", name, err)
		}
	}
	events := r.Events(t, audit.Query{Target: "payroll", Action: "revoke"})
	if len(events) != 1 || events[0].Target != "payroll" || events[0].Detail != why {
		t.Errorf("the audit log has %+v", events)
	}
}

// What hits nothing any more is not stored.
func TestStoreOwedLeavesOutWhatHasEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := r.Clock.Now()
	must(t, r.StoreOwed(t.Context(), []store.Revocation{
		{JTI: "over", CreatedAt: now.Add(-time.Hour), ExpiresAt: now},
		{JTI: "alive", CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)},
	}, "lost"))
	stored, err := r.Store.Revocations(t.Context(), 0, now.Add(-24*time.Hour), 0)
	must(t, err)
	if len(stored) != 1 || stored[0].JTI != "alive" {
		t.Errorf("stored: %+v", stored)
	}
}
