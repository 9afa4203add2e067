package iam_test

import (
	"context"
	"crypto/rand"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// slowStore does something before it commits.
type slowStore struct {
	store.Store
	commits func()
}

func (s slowStore) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	return s.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		err := fn(ctx, tx)
		s.commits()
		return err
	})
}

// A token that was minted while the revocation of its service took long to commit, and that is
// called revoked already here, is dead at every replica (vulnerability 22).
func TestVulnerability22RevokedAlreadyAfterASlowCommit(t *testing.T) {
	t.Parallel()
	var r *rig
	var slow atomic.Bool
	var minted token.Minted
	r = newRigWith(t, rigConfig{localUID: uint32(os.Geteuid()), on: fixture.Config{Shared: true, WrapStore: func(s store.Store) store.Store {
		return slowStore{s, func() {
			if !slow.Swap(false) {
				return
			}
			r.Clock.Advance(4 * time.Second)
			s, err := r.Registry.Service(context.Background(), "a")
			must(t, err)
			minted, err = r.minter.Mint(context.Background(), rand.Text(), token.Claims{Service: s.Name, ServiceUID: s.UID, Audience: "iam-service", Scope: "audit:write"})
			must(t, err)
			r.Clock.Advance(2 * time.Second)
		}}
	}}})
	r.create(t, "a")
	_, err := r.Registry.Service(t.Context(), "a")
	must(t, err)
	slow.Store(true)
	_, err = r.client.RevokeService(t.Context(), "a")
	must(t, err)
	_, err = r.client.RevokeToken(t.Context(), countersign.NewSecret(minted.Token.Reveal()))
	must(t, err)
	other, err := registry.New(t.Context(), registry.Config{Store: r.Store, Shared: true, Now: r.Clock.Now})
	must(t, err)
	s, err := other.Service(t.Context(), "a")
	must(t, err)
	dead, err := other.Revoked(t.Context(), registry.TokenFacts{JTI: minted.ID, KID: minted.KID, Service: "a", ServiceUID: s.UID, IssuedAt: minted.IssuedAt})
	if err != nil || !dead {
		t.Errorf("at another replica it is revoked: %t, %v", dead, err)
	}
}
