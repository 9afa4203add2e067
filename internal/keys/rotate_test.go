package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

const (
	day    = 24 * time.Hour
	period = 30 * day
	lead   = 10 * time.Minute
)

// all are the purposes that sign from the first start on.
var all = []keys.Purpose{keys.Token, keys.Audit, keys.Revocation, keys.Policy}

// first is how many keys the first start makes: two of each of these, and of Sealing.
const first = 12

// maintain does what the server does each minute.
func maintain(t *testing.T, cfg keys.Config, ring *keys.Ring) []store.SigningKey {
	t.Helper()
	if !ring.Due() {
		return nil
	}
	return inTx(t, cfg, ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) { return ring.MaintainIn(ctx, tx) })
}

func inTx(t *testing.T, cfg keys.Config, ring *keys.Ring, fn func(context.Context, store.Tx) ([]store.SigningKey, error)) (made []store.SigningKey) {
	t.Helper()
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		made, err = fn(ctx, tx)
		return err
	})
	if err == nil {
		err = ring.Reload(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func published(t *testing.T, ring *keys.Ring, p keys.Purpose) map[string]bool {
	t.Helper()
	var set jose.JSONWebKeySet
	body, _ := ring.KeySet(p)
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	kids := make(map[string]bool)
	for _, key := range set.Keys {
		kids[key.KeyID] = true
	}
	return kids
}

// RULES B6: over many periods, of two replicas that maintain in turns, there is always one
// who signs, published long before, and kept until its last token has expired.
func TestRuleB6KeysRotateByThemselves(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	cfg.RotationPeriod = day
	rings := []*keys.Ring{open(t, cfg), open(t, cfg)}
	firstSeen, lastUse := make(map[string]time.Time), make(map[string]time.Time)
	used := make(map[keys.Purpose]map[string]bool)
	for now := start; now.Before(start.Add(4 * day)); now = now.Add(lead / 2) {
		c.Set(now)
		ring := rings[int(now.Unix()/300)%2]
		maintain(t, cfg, ring)
		for _, r := range rings {
			if err := r.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range all {
			out := published(t, ring, p)
			for kid := range out {
				if firstSeen[kid].IsZero() {
					firstSeen[kid] = now
				}
			}
			kid := signer(t, ring, p).KID
			if used[p] == nil {
				used[p] = make(map[string]bool)
			}
			if !out[kid] || len(used[p]) > 0 && !used[p][kid] && now.Sub(firstSeen[kid]) < lead {
				t.Fatalf("%s: %s signs %v after it was published", p, kid, now.Sub(firstSeen[kid]))
			}
			used[p][kid], lastUse[kid] = true, now
			for old := range used[p] {
				if age := now.Sub(lastUse[old]); age < time.Hour+time.Minute && !out[old] {
					t.Fatalf("%s: %s left %v after its last signature", p, old, age)
				}
			}
			if p == keys.Token && len(out) > 3 {
				t.Fatalf("%s: %d keys are published", p, len(out))
			}
		}
	}
	for _, p := range all {
		if len(used[p]) != 4 {
			t.Errorf("%s: %d keys in four periods", p, len(used[p]))
		}
	}
}

// RULES B6: of processes that start at once, and of those that maintain at once, one makes
// the keys.
func TestRuleB6OneReplicaMakesTheKeys(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	rings := make([]*keys.Ring, 6)
	each := func(fn func(i int) error) {
		var group sync.WaitGroup
		for i := range rings {
			group.Go(func() {
				if err := fn(i); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	each(func(i int) (err error) { rings[i], err = keys.Open(context.Background(), cfg); return err })
	count := func() int {
		total := 0
		for _, p := range all {
			rows, err := cfg.Store.SigningKeys(t.Context(), string(p))
			if err != nil {
				t.Fatal(err)
			}
			total += len(rows)
		}
		return total
	}
	if t.Failed() || count() != 8 {
		t.Fatalf("%d keys, want 8", count())
	}
	for _, r := range rings {
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := signer(t, r, keys.Token).KID; got != signer(t, rings[0], keys.Token).KID {
			t.Errorf("%s signs here", got)
		}
		if r.HashClientSecret("csk_x") != rings[0].HashClientSecret("csk_x") {
			t.Error("client secrets are hashed under another key")
		}
	}
	c.Set(start.Add(period + time.Minute))
	each(func(i int) error {
		return cfg.Store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			_, err := rings[i].MaintainIn(ctx, tx)
			return err
		})
	})
	if count() != 12 {
		t.Errorf("%d keys after a period, want 12", count())
	}
}

// A server that was off for longer than a period signs at once with a new key.
func TestLongPauseMakesAKeyAtOnce(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	old := signer(t, open(t, cfg), keys.Token).KID
	c.Set(start.Add(5 * period))
	ring := open(t, cfg)
	if kid := signer(t, ring, keys.Token).KID; kid == old || !published(t, ring, keys.Token)[kid] {
		t.Errorf("%s signs", kid)
	}
	if len(ring.Created()) != first || ring.Due() {
		t.Errorf("%d keys were made, more are due: %t", len(ring.Created()), ring.Due())
	}
}

// Keys of the version before have no end; they get one when their successor is made.
func TestKeyWithoutAnEndGetsOne(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	kid := signer(t, ring, keys.Token).KID
	update := func(fn func(ctx context.Context, tx store.Tx) error) {
		t.Helper()
		if err := cfg.Store.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range ring.List() {
		end := row.UseFrom // never used
		if row.KID == kid {
			end = time.Time{}
		}
		if row.Purpose == string(keys.Token) {
			update(func(ctx context.Context, tx store.Tx) error { return tx.ScheduleSigningKey(ctx, row.KID, end, end) })
		}
	}
	c.Set(start.Add(100 * day))
	again := open(t, cfg)
	if got := signer(t, again, keys.Token).KID; got != kid {
		t.Fatalf("%s signs, want the old key for a while", got)
	}
	c.Set(start.Add(100*day + lead))
	if got := signer(t, again, keys.Token).KID; got == kid {
		t.Error("the old key signs for ever")
	}
}

func TestRuleB6RotateInGoodOrder(t *testing.T) {
	t.Parallel()
	for _, p := range all {
		cfg, c := newConfig(t)
		ring := open(t, cfg)
		old, now := signer(t, ring, p).KID, start.Add(day)
		c.Set(now)
		made := inTx(t, cfg, ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) { return ring.RotateIn(ctx, tx, p) })
		if len(made) != 1 || !made[0].UseFrom.Equal(now.Add(lead)) || len(made[0].Sealed) != 0 {
			t.Fatalf("%s: made %+v", p, made)
		}
		if out := published(t, ring, p); !out[made[0].KID] || !out[old] || p != keys.Audit && len(out) != 2 {
			t.Errorf("%s: published %v", p, out)
		}
		if signer(t, ring, p).KID != old {
			t.Errorf("%s: the new key signs before it was published long enough", p)
		}
		c.Set(now.Add(lead))
		maintain(t, cfg, ring)
		if signer(t, ring, p).KID != made[0].KID || !published(t, ring, p)[old] {
			t.Errorf("%s: after the lead another key signs", p)
		}
		if ring.Due() {
			t.Errorf("%s: something is due still", p)
		}
	}
}

func TestRuleB6CompromisedKeyIsDroppedAtOnce(t *testing.T) {
	t.Parallel()
	for _, p := range all {
		cfg, c := newConfig(t)
		ring, other := open(t, cfg), open(t, cfg)
		for _, which := range []string{"in use", "next", "retired"} {
			c.Set(c.Now().Add(day))
			victim := signer(t, ring, p).KID
			for _, row := range ring.List() {
				if row.Purpose == string(p) && (which == "next" && row.UseFrom.After(c.Now()) || which == "retired" && row.UseUntil.Before(c.Now())) {
					victim = row.KID
				}
			}
			head, signature, err := other.SignHead([]byte("head"))
			if err != nil {
				t.Fatal(err)
			}
			inTx(t, cfg, ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
				dropped, made, err := ring.CompromiseIn(ctx, tx, victim)
				if dropped.KID != victim || len(dropped.Sealed) != 0 {
					t.Errorf("%s: dropped %+v", p, dropped)
				}
				return made, err
			})
			if err := other.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, r := range []*keys.Ring{ring, other} {
				if signer(t, r, p).KID == victim {
					t.Errorf("%s, %s: it signs still", p, which)
				}
				if p != keys.Audit && published(t, r, p)[victim] {
					t.Errorf("%s, %s: it is published still", p, which)
				}
				if _, _, ok := r.PublicKey(victim); ok {
					t.Errorf("%s, %s: tokens of it are good still", p, which)
				}
				if !r.VerifyHead(head, []byte("head"), signature) {
					t.Errorf("%s, %s: the audit log can't be verified any more", p, which)
				}
				if r.Due() {
					t.Errorf("%s, %s: something is due", p, which)
				}
			}
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if _, err := ring.RotateIn(ctx, tx, "sealing"); !errors.Is(err, countersign.Invalid) {
			t.Errorf("an unknown purpose: %v", err)
		}
		for _, kid := range []string{"", "none", signer(t, ring, keys.Token).KID + "x"} {
			if _, _, err := ring.CompromiseIn(ctx, tx, kid); !errors.Is(err, countersign.NotFound) {
				t.Errorf("key %q: %v", kid, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	bad, _ := newConfig(t)
	bad.RotationPeriod, bad.PublishLead = time.Hour, 31*time.Minute
	if _, err := keys.Open(t.Context(), bad); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a period shorter than two leads: %v", err)
	}
}
