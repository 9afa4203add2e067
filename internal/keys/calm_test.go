package keys_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// watch follows one purpose and fails when a key signs that was not published long enough,
// unless it is excused.
type watch struct {
	ring    *keys.Ring
	purpose keys.Purpose
	excused map[string]bool
}

// look checks one moment: exactly one key is usable, it is the one that signs, and it was
// published for the lead.
func (w watch) look(t *testing.T, now time.Time, when string) {
	t.Helper()
	signs := signer(t, w.ring, w.purpose).KID
	if !published(t, w.ring, w.purpose)[signs] {
		t.Fatalf("%s: %s signs and is not published", when, signs)
	}
	usable := 0
	for _, row := range w.ring.List() {
		if row.Purpose != string(w.purpose) {
			continue
		}
		if !now.Before(row.UseFrom) && now.Before(row.UseUntil) {
			usable++
		}
		if row.KID == signs && row.UseFrom.Before(row.PublishAt.Add(lead)) && !w.excused[row.KID] {
			t.Fatalf("%s: %s signs %v after it was published", when, signs, row.UseFrom.Sub(row.PublishAt))
		}
	}
	if usable != 1 {
		t.Fatalf("%s: %d keys are usable", when, usable)
	}
}

// excuse lets the keys that are there, or were made at once, sign.
func (w watch) excuse() {
	for _, row := range w.ring.List() {
		if row.UseFrom.Equal(row.PublishAt) {
			w.excused[row.KID] = true
		}
	}
}

func (w watch) rotate(t *testing.T, cfg keys.Config) []store.SigningKey {
	t.Helper()
	return inTx(t, cfg, w.ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
		return w.ring.RotateIn(ctx, tx, w.purpose)
	})
}

func (w watch) compromise(t *testing.T, cfg keys.Config, kid string) {
	t.Helper()
	inTx(t, cfg, w.ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
		_, made, err := w.ring.CompromiseIn(ctx, tx, kid)
		return made, err
	})
}

// waiting returns the keys of the purpose that are to sign later, the soonest first.
func (w watch) waiting(now time.Time) (rows []store.SigningKey) {
	for _, row := range w.ring.List() {
		if row.Purpose == string(w.purpose) && row.UseFrom.After(now) && row.UseUntil.After(row.UseFrom) {
			rows = append(rows, row)
		}
	}
	return rows
}

// RULES B6: whatever an operator asks for, at whatever time, one key signs at each moment,
// and verifiers know it.
func TestRuleB6RotationsLeaveNoGap(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch){
		"twice within the lead": func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch) {
			c.Set(start.Add(day))
			w.rotate(t, cfg)
			c.Advance(lead / 2)
			w.rotate(t, cfg)
		},
		"twice at once": func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch) {
			c.Set(start.Add(day))
			w.rotate(t, cfg)
			w.rotate(t, cfg)
		},
		"shortly before the successor's time": func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch) {
			c.Set(start.Add(period - lead/2))
			w.rotate(t, cfg)
		},
		"the one between is compromised": func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch) {
			c.Set(start.Add(period - lead/2))
			w.rotate(t, cfg)
			w.compromise(t, cfg, w.waiting(c.Now())[0].KID)
		},
		"the successor is compromised at the last moment": func(t *testing.T, cfg keys.Config, c *fixture.Clock, w watch) {
			c.Set(start.Add(period - time.Second))
			w.compromise(t, cfg, w.waiting(c.Now())[0].KID)
		},
	}
	for name, test := range tests {
		for _, p := range all {
			t.Run(name+"/"+string(p), func(t *testing.T) {
				t.Parallel()
				cfg, c := newConfig(t)
				w := watch{open(t, cfg), p, make(map[string]bool)}
				w.excuse() // of the first key
				test(t, cfg, c, w)
				for range 6 * lead / time.Minute {
					w.look(t, c.Now(), c.Now().Sub(start).String())
					c.Advance(time.Minute)
					maintain(t, cfg, w.ring)
				}
			})
		}
	}
}

// RULES B6: a rotation that is asked for again makes no second key.
func TestRuleB6RotationIsUnderWayAlready(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	w := watch{open(t, cfg), keys.Token, nil}
	c.Set(start.Add(day))
	first := w.rotate(t, cfg)
	before := len(w.ring.List())
	for range 20 {
		c.Advance(time.Second)
		if made := w.rotate(t, cfg); len(made) != 0 {
			t.Fatalf("made %+v", made)
		}
	}
	if now := len(w.ring.List()); now != before || len(first) != 1 {
		t.Errorf("%d keys, want %d", now, before)
	}
	c.Set(first[0].UseFrom)
	if got := signer(t, w.ring, keys.Token).KID; got != first[0].KID {
		t.Errorf("%s signs, want the key of the first rotation", got)
	}
}

// RULES B6: the same for operations that are drawn.
func TestRuleB6AnyOrderOfOperations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		cfg, c := newConfig(t)
		cfg.RotationPeriod = day
		w := watch{open(t, cfg), keys.Token, make(map[string]bool)}
		w.excuse()
		draw := rand.New(rand.NewPCG(seed, 1))
		for range 150 {
			switch draw.IntN(12) {
			case 0, 1:
				w.rotate(t, cfg)
			case 2:
				inUse := signer(t, w.ring, w.purpose).KID
				w.compromise(t, cfg, inUse)
				w.excuse() // nobody could know of what replaces it
			case 3:
				if next := w.waiting(c.Now()); len(next) > 0 {
					w.compromise(t, cfg, next[draw.IntN(len(next))].KID)
				}
			case 4:
				w.ring = open(t, cfg)
			}
			maintain(t, cfg, w.ring)
			w.look(t, c.Now(), c.Now().Sub(start).String())
			// The server looks each minute, so that no more than that passes near a change.
			step := time.Duration(draw.Int64N(int64(time.Minute)))
			if next := w.waiting(c.Now()); draw.IntN(3) == 0 && len(next) > 0 && next[0].UseFrom.After(c.Now().Add(time.Hour)) {
				step = time.Duration(draw.Int64N(int64(next[0].UseFrom.Sub(c.Now()))))
			}
			c.Advance(step)
		}
	}
}

// RULES B6: where the rows leave a gap, the key before it signs on: nobody could know of one
// that was made to fill it.
func TestRuleB6GapInTheRowsIsClosed(t *testing.T) {
	t.Parallel()
	for _, p := range all {
		cfg, c := newConfig(t)
		w := watch{open(t, cfg), p, make(map[string]bool)}
		w.excuse()
		kid, next := signer(t, w.ring, p).KID, w.waiting(start)[0]
		inTx(t, cfg, w.ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
			return nil, tx.ScheduleSigningKey(ctx, kid, start.Add(day), start.Add(2*day))
		})
		if made := maintain(t, cfg, w.ring); len(made) != 0 || w.ring.Due() {
			t.Errorf("%s: made %d keys", p, len(made))
		}
		c.Set(next.UseFrom.Add(-time.Microsecond))
		w.look(t, c.Now(), string(p))
		if got := signer(t, w.ring, p).KID; got != kid {
			t.Errorf("%s: %s signs in the gap, want %s", p, got, kid)
		}
		c.Set(next.UseFrom)
		if got := signer(t, w.ring, p).KID; got != next.KID || !published(t, w.ring, p)[kid] {
			t.Errorf("%s: after the gap %s signs", p, got)
		}
	}
}

// RULES B6: two processes that start at once on one empty database make one set of keys, and
// the loser takes over the winner's.
func TestRuleB6TwoProcessesStartAtOnce(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	path := filepath.Join(t.TempDir(), "shared.db")
	rings, stores := make([]*keys.Ring, 2), []store.Store{fixture.OpenStore(t, path), fixture.OpenStore(t, path)}
	var group sync.WaitGroup
	for i := range rings {
		own := cfg
		own.Store = stores[i]
		group.Go(func() {
			var err error
			if rings[i], err = keys.Open(context.Background(), own); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	if err := errors.Join(rings[0].Reload(t.Context()), rings[1].Reload(t.Context())); err != nil {
		t.Fatal(err)
	}
	if made := len(rings[0].Created()) + len(rings[1].Created()); made != first {
		t.Errorf("%d keys were made, want %d", made, first)
	}
	if diff := cmp.Diff(rings[0].List(), rings[1].List()); diff != "" || len(rings[0].List()) != first {
		t.Errorf("they know of other keys: %s", diff)
	}
	if rings[0].HashClientSecret("csk_x") != rings[1].HashClientSecret("csk_x") {
		t.Error("client secrets are hashed under two keys")
	}
}

// While an algorithm is changed, replica by replica, the two kinds don't take the keys from
// each other.
func TestReplicasOfTwoAlgorithmsDoNotFight(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	old := open(t, cfg)
	changed := cfg
	changed.Algorithm = keys.EdDSA
	young := open(t, changed)
	kid := signer(t, young, keys.Token).KID
	if err := old.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(old.List())
	for range 5 {
		c.Advance(time.Minute)
		for _, ring := range []*keys.Ring{old, young} {
			maintain(t, cfg, ring)
			if err := errors.Join(old.Reload(t.Context()), young.Reload(t.Context())); err != nil {
				t.Fatal(err)
			}
			if got := signer(t, ring, keys.Token).KID; got != kid {
				t.Fatalf("%s signs, want %s", got, kid)
			}
		}
	}
	if got := len(old.List()); got != before {
		t.Errorf("%d keys were made", got-before)
	}
}

// RULES B8: a replica that has only the old master key makes nothing after a rewrap, which
// the others could not open.
func TestRuleB8RewrapLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	behind := open(t, cfg)
	kid := signer(t, behind, keys.Token).KID
	next := cfg
	next.Master, next.PreviousMaster = fixture.NewMaster(t), cfg.Master
	ahead := open(t, next)
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := ahead.RewrapIn(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := behind.Reload(t.Context()); err != nil || signer(t, behind, keys.Token).KID != kid {
		t.Errorf("what it has open: %v", err)
	}
	c.Set(start.Add(period + time.Minute))
	for name, try := range map[string]func(ctx context.Context, tx store.Tx) error{
		"maintain": func(ctx context.Context, tx store.Tx) error { _, err := behind.MaintainIn(ctx, tx); return err },
		"rotate": func(ctx context.Context, tx store.Tx) error {
			_, err := behind.RotateIn(ctx, tx, keys.Token)
			return err
		},
		"compromise": func(ctx context.Context, tx store.Tx) error {
			_, _, err := behind.CompromiseIn(ctx, tx, kid)
			return err
		},
		"rewrap": func(ctx context.Context, tx store.Tx) error { _, err := behind.RewrapIn(ctx, tx); return err },
	} {
		if err := cfg.Store.Update(t.Context(), try); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	alone := next
	alone.PreviousMaster = nil
	if _, err := keys.Open(t.Context(), alone); err != nil {
		t.Errorf("the new master key alone: %v", err)
	}
}

// RULES B6: nobody may sign with a key before every cache of the JWKS can know it.
func TestRuleB6LeadIsTwiceTheMaxAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lead time.Duration
		good bool
	}{
		{0, true}, {lead, true}, {time.Hour, true},
		{-1, false}, {1, false}, {5 * time.Minute, false}, {lead - 1, false}, {period, false},
	} {
		cfg, _ := newConfig(t)
		cfg.PublishLead = tt.lead
		if _, err := keys.Open(t.Context(), cfg); (err == nil) != tt.good || err != nil && !errors.Is(err, countersign.Invalid) {
			t.Errorf("%v: %v", tt.lead, err)
		}
	}
}

// Keys of purposes that this version does not know are left alone.
func TestUnknownPurposeIsLeftAlone(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	foreign := store.SigningKey{
		KID: "foreign", Purpose: "sealing", Algorithm: "EdDSA", Public: []byte("{}"), Sealed: []byte("x"),
		CreatedAt: start, PublishAt: start, UseFrom: start,
	}
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateSigningKey(ctx, foreign) })
	if err != nil {
		t.Fatal(err)
	}
	ring := open(t, cfg)
	if _, err := ring.Signer("sealing"); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("it signs: %v", err)
	}
	for _, row := range ring.List() {
		if row.KID == foreign.KID {
			t.Error("it is listed")
		}
	}
	for _, p := range all {
		if published(t, ring, p)[foreign.KID] {
			t.Errorf("it is published for %s", p)
		}
	}
	err = cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, _, err := ring.CompromiseIn(ctx, tx, foreign.KID)
		return err
	})
	if !errors.Is(err, countersign.NotFound) {
		t.Errorf("it can be dropped: %v", err)
	}
}
