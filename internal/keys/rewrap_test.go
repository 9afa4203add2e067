package keys_test

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// RULES B8: a new master key takes over in steps, and nothing is lost on the way.
func TestRuleB8RewrapRotatesTheMasterKey(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	before := open(t, cfg)
	kid, hash := signer(t, before, keys.Token).KID, before.HashClientSecret("csk_x")
	next := cfg
	next.Master, next.PreviousMaster = fixture.NewMaster(t), cfg.Master
	same := func(when string, cfg keys.Config) *keys.Ring {
		t.Helper()
		ring, err := keys.Open(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if signer(t, ring, keys.Token).KID != kid || ring.HashClientSecret("csk_x") != hash {
			t.Errorf("%s: other keys", when)
		}
		return ring
	}
	refused := func(when string, cfg keys.Config) {
		t.Helper()
		if _, err := keys.Open(t.Context(), cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v, want invalid", when, err)
		}
	}
	alone := next
	alone.PreviousMaster = nil
	refused("the new key alone", alone)
	ring := same("both", next)
	same("the old key until then", cfg)
	rewrap := func() (count int) {
		t.Helper()
		err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
			count, err = ring.RewrapIn(ctx, tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	if count := rewrap(); count != first+1 { // and that of the client secrets
		t.Errorf("%d values were rewrapped, want %d", count, first+1)
	}
	if count := rewrap(); count != 0 {
		t.Errorf("again: %d values", count)
	}
	same("both, after it", next)
	same("the new key alone, after it", alone)
	refused("the old key, after it", cfg)
	if err := before.Reload(t.Context()); err != nil {
		t.Errorf("a replica that has them open: %v", err)
	}
}

// A store from before keeps its client secrets: their key was derived from the master.
func TestClientSecretsOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	open(t, cfg)
	old := oldHasher{cfg.Store}
	upgraded := cfg
	upgraded.Store = old // as if there was no key of client secrets yet
	ring, err := keys.Open(t.Context(), upgraded)
	if err != nil {
		t.Fatal(err)
	}
	if ring.HashClientSecret("csk_x") != keys.DerivedHash(cfg.Master, cfg.DeploymentID, "csk_x") {
		t.Error("the hashes of the version before are worth nothing")
	}
}

// oldHasher is a store that has no key of client secrets.
type oldHasher struct{ store.Store }

func (o oldHasher) Meta(ctx context.Context, key string) (string, error) {
	if key == "client_secret_key" {
		return "", countersign.NewError(countersign.NotFound, "", "")
	}
	return o.Store.Meta(ctx, key)
}

func (o oldHasher) SetMetaIfAbsent(ctx context.Context, key, value string) (string, error) {
	if key == "client_secret_key" {
		return value, nil
	}
	return o.Store.SetMetaIfAbsent(ctx, key, value)
}
