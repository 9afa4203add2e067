package keys_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// aloneStore fails a transaction that reads or writes keys before it runs alone. SQLite has
// one writer at a time, and so does not notice; other databases do.
type aloneStore struct{ store.Store }

func (s aloneStore) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return fn(ctx, &aloneTx{Tx: tx}) })
}

var errNotAlone = errors.New("others can change the keys meanwhile")

type aloneTx struct {
	store.Tx
	alone bool
}

func (t *aloneTx) check() error {
	if !t.alone {
		return errNotAlone
	}
	return nil
}

func (t *aloneTx) Serialize(ctx context.Context) error {
	t.alone = true
	return t.Tx.Serialize(ctx)
}

func (t *aloneTx) SigningKeys(ctx context.Context, purpose string) ([]store.SigningKey, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return t.Tx.SigningKeys(ctx, purpose)
}

func (t *aloneTx) CreateSigningKey(ctx context.Context, k store.SigningKey) error {
	return errors.Join(t.check(), t.Tx.CreateSigningKey(ctx, k))
}

func (t *aloneTx) ScheduleSigningKey(ctx context.Context, kid string, until, keep time.Time) error {
	return errors.Join(t.check(), t.Tx.ScheduleSigningKey(ctx, kid, until, keep))
}

func (t *aloneTx) ResealSigningKey(ctx context.Context, kid string, sealed []byte) error {
	return errors.Join(t.check(), t.Tx.ResealSigningKey(ctx, kid, sealed))
}

// RULES B6: what is decided about keys is decided by one process at a time.
func TestRuleB6EveryChangeRunsAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(ctx context.Context, tx store.Tx, ring *keys.Ring, kid string) error{
		"maintain": func(ctx context.Context, tx store.Tx, ring *keys.Ring, _ string) error {
			_, err := ring.MaintainIn(ctx, tx)
			return err
		},
		"rotate": func(ctx context.Context, tx store.Tx, ring *keys.Ring, _ string) error {
			_, err := ring.RotateIn(ctx, tx, keys.Token)
			return err
		},
		"compromise": func(ctx context.Context, tx store.Tx, ring *keys.Ring, kid string) error {
			_, _, err := ring.CompromiseIn(ctx, tx, kid)
			return err
		},
		"rewrap": func(ctx context.Context, tx store.Tx, ring *keys.Ring, _ string) error {
			_, err := ring.RewrapIn(ctx, tx)
			return err
		},
	}
	for name, change := range tests {
		cfg, c := newConfig(t)
		cfg.Store = aloneStore{cfg.Store}
		ring := open(t, cfg) // which makes the first keys
		kid := signer(t, ring, keys.Token).KID
		c.Set(start.Add(period + time.Minute))
		err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return change(ctx, tx, ring, kid) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RULES B6: a key that has left its key set is not published again by being compromised,
// nor by a clock that is a little behind.
func TestRuleB6CompromiseNeverPublishes(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	w := watch{open(t, cfg), keys.Token, nil}
	kid := signer(t, w.ring, keys.Token).KID
	c.Set(start.Add(period))
	maintain(t, cfg, w.ring)
	gone := start.Add(period + time.Hour + time.Minute)
	c.Set(gone.Add(day))
	w.compromise(t, cfg, kid)
	c.Set(gone)
	if _, _, ok := w.ring.PublicKey(kid); ok {
		t.Error("it is published again")
	}
	for _, row := range w.ring.List() {
		if row.KID == kid && (!row.KeepUntil.Equal(gone) || !row.UseUntil.Equal(start.Add(period))) {
			t.Errorf("its end was moved: %+v", row)
		}
	}
}
