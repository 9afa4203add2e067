package iam_test

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
)

// RULES E1, E2: a view that is behind another replica may hold a token for dead that lives.
// Who revokes it there hears that it is revoked when the store has it, and not before.
func TestRuleE2RevokeDoesNotTrustAViewThatIsBehind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		gone, local bool
		want        string
		err         error
		alive       bool // afterwards
	}{
		"with the store":          {want: iamclient.Revoked},
		"with the store, here":    {local: true, want: iamclient.Revoked},
		"the store is away":       {gone: true, err: countersign.Unavailable, alive: true},
		"the store is away, here": {gone: true, local: true, want: iamclient.Revoked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := new(atomic.Bool)
			r := newRigWith(t, rigConfig{localUID: uint32(os.Geteuid()), on: fixture.Config{
				Shared: true, WrapStore: func(s store.Store) store.Store { return fixture.Headless{Store: s, Gone: gone} },
			}})
			r.create(t, "a")
			token := r.token(t, "a", "iam-service", "audit:write")
			if !r.accepted(t, token) {
				t.Fatal("the token is dead")
			}
			r.FallBehind(t, "a")
			if r.accepted(t, token) {
				t.Fatal("the view is not behind")
			}
			gone.Store(tt.gone)
			revoke := r.client.RevokeToken
			if tt.local {
				revoke = r.client.RevokeTokenHere
			}
			done, err := revoke(t.Context(), countersign.NewSecret(token))
			if !errors.Is(err, tt.err) || err == nil && done.Status != tt.want {
				t.Errorf("%+v, %v", done, err)
			}
			gone.Store(false)
			must(t, r.Registry.CatchUp(t.Context()))
			if r.accepted(t, token) != tt.alive {
				t.Errorf("alive afterwards: %t", !tt.alive)
			}
		})
	}
}
