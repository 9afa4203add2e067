package admin_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// ahead is a database whose clock is ahead of the one that a test moves.
type ahead struct {
	store.Store
	now time.Time
}

func (a ahead) FeedHead(ctx context.Context) (store.FeedHead, error) {
	head, err := a.Store.FeedHead(ctx)
	head.Now = a.now
	return head, err
}

// RULES E3: replicas are ready whose clocks are off the store's by less than a second, so two of
// them by less than two. What is ended until now by the one that is behind covers what the one
// that is ahead issued until it heard of that.
func TestRuleE3AReplicaThatIsBehindEndsWhatOneAheadIssued(t *testing.T) {
	t.Parallel()
	const off, heard = 900 * time.Millisecond, 800 * time.Millisecond // 0.4 s for a commit and a poll each
	for name, revoke := range map[string]func(a *admin.Admin) error{
		"narrow": func(a *admin.Admin) error {
			_, err := a.Apply(t.Context(), super(), admin.ApplyRequest{Files: []admin.File{{Name: "f", Content: []byte("kind: Service\nname: a\naudiences: [parse-service]\n")}}})
			return err
		},
		"disable": func(a *admin.Admin) error {
			_, err := a.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
			return err
		},
		"all": func(a *admin.Admin) error { return a.Revoke(t.Context(), super(), admin.RevokeSelector{All: true}) },
		"here": func(a *admin.Admin) error {
			_, err := a.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "a"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // nothing takes time here
			p := fixture.Open(t, fixture.Config{Start: began, Shared: true, WrapStore: func(s store.Store) store.Store {
				return ahead{s, began.Add(off)}
			}})
			a, err := admin.New(admin.Config{Store: p.Store, Audit: p.Audit, Registry: p.Registry, Keys: p.Keys, Now: p.Clock.Now})
			must(t, err)
			d, _, err := a.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "a", Scopes: []string{"s2s:internal"}, Audiences: []string{"parse-service"}})
			must(t, err)
			must(t, revoke(a))
			issued := p.Clock.Now().Add(2*off + heard) // by the clock that is ahead
			entries, err := p.Store.Revocations(t.Context(), 0, p.Clock.Now(), 10)
			must(t, err)
			if last := entries[len(entries)-1]; issued.After(last.Before.Add(registry.BeforeSlack)) {
				t.Errorf("of a token of %s, %s is told to receivers: it lives there", issued, last.Before)
			}
			if revoked, err := p.Registry.Revoked(t.Context(), registry.TokenFacts{JTI: "j", Service: "a", ServiceUID: d.UID, IssuedAt: issued}); err != nil || !revoked {
				t.Errorf("it lives here: %v", err)
			}
		})
	}
}
