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

// failing is a store that can't be read on demand.
type failing struct {
	store.Store
	down *bool
}

func (f failing) SigningKeys(ctx context.Context, purpose string) ([]store.SigningKey, error) {
	if *f.down {
		return nil, countersign.NewError(countersign.Unavailable, "", "away")
	}
	return f.Store.SigningKeys(ctx, purpose)
}

func TestReloadKeepsWhatIsThereWhenItFails(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	down := false
	cfg.Store = failing{cfg.Store, &down}
	ring := open(t, cfg)
	kid := signer(t, ring, keys.Token).KID
	down = true
	if err := ring.Reload(t.Context()); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	if signer(t, ring, keys.Token).KID != kid || len(published(t, ring, keys.Token)) != 2 {
		t.Error("keys were lost")
	}
}

// A key under a master key that this replica does not have yet hides no other one.
func TestReloadTakesWhatItCanRead(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	newer := cfg
	newer.Master, newer.PreviousMaster = fixture.NewMaster(t), cfg.Master
	ahead := open(t, newer)
	victim := signer(t, ring, keys.Token).KID
	inTx(t, newer, ahead, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
		_, made, err := ahead.CompromiseIn(ctx, tx, victim)
		return made, err
	})
	if err := ring.Reload(t.Context()); !errors.Is(err, countersign.Invalid) {
		t.Errorf("got %v, want invalid: there is a key that it can't open", err)
	}
	if _, _, ok := ring.PublicKey(victim); ok {
		t.Error("the compromised key is trusted still")
	}
}
