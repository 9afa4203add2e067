package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// TestRuleB6Schedule moves the clock over the schedule of two keys: the row decides who
// signs and what is published, at every moment, without reopening.
func TestRuleB6Schedule(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	old := signer(t, open(t, cfg), keys.Token).KID
	next, _ := newConfig(t)
	next.Master, next.Now = cfg.Master, cfg.Now
	young := signer(t, open(t, next), keys.Token).KID

	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	row := func(cfg keys.Config) store.SigningKey {
		rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row.UseFrom.Equal(start) { // the other one is its successor
				return row
			}
		}
		return store.SigningKey{}
	}
	first, second := row(cfg), row(next)
	first.PublishAt, first.UseFrom, first.UseUntil, first.KeepUntil = at(10), at(20), at(40), at(60)
	second.PublishAt, second.UseFrom, second.UseUntil, second.KeepUntil = at(30), at(40), at(50), time.Time{}
	audits, err := cfg.Store.SigningKeys(t.Context(), string(keys.Audit))
	if err != nil {
		t.Fatal(err)
	}
	c.Set(at(20)) // Open makes no key while one is in use
	ring := open(t, withRows(cfg, map[keys.Purpose][]store.SigningKey{keys.Token: {first, second}, keys.Audit: audits}))
	if n := len(ring.Created()); n != 0 {
		t.Fatalf("Open made %d keys", n)
	}

	tests := []struct {
		at                time.Time
		signs             string
		oldOut, youngOut  bool
		sameSetAsPrevious bool
	}{
		{at: at(10).Add(-1)},
		{at: at(10), oldOut: true},
		{at: at(20).Add(-1), oldOut: true, sameSetAsPrevious: true},
		{at: at(20), signs: old, oldOut: true, sameSetAsPrevious: true},
		{at: at(30).Add(-1), signs: old, oldOut: true, sameSetAsPrevious: true},
		{at: at(30), signs: old, oldOut: true, youngOut: true},
		{at: at(40).Add(-1), signs: old, oldOut: true, youngOut: true, sameSetAsPrevious: true},
		{at: at(40), signs: young, oldOut: true, youngOut: true, sameSetAsPrevious: true},
		{at: at(50).Add(-1), signs: young, oldOut: true, youngOut: true, sameSetAsPrevious: true},
		{at: at(50), oldOut: true, youngOut: true, sameSetAsPrevious: true},
		{at: at(60).Add(-1), oldOut: true, youngOut: true, sameSetAsPrevious: true},
		{at: at(60), youngOut: true},
		{at: at(60 * 24 * 365), youngOut: true, sameSetAsPrevious: true},
		{at: at(25), signs: old, oldOut: true}, // the clock was set back
	}
	previous := ""
	for _, tt := range tests {
		c.Set(tt.at)
		s, err := ring.Signer(keys.Token)
		switch {
		case tt.signs == "" && !errors.Is(err, countersign.Unavailable):
			t.Errorf("%v: Signer = %v, want Unavailable", tt.at.Sub(start), err)
		case tt.signs != "" && (err != nil || s.KID != tt.signs):
			t.Errorf("%v: wrong key signs (%v)", tt.at.Sub(start), err)
		}
		if _, _, ok := ring.PublicKey(old); ok != tt.oldOut {
			t.Errorf("%v: old key published = %v", tt.at.Sub(start), ok)
		}
		if _, _, ok := ring.PublicKey(young); ok != tt.youngOut {
			t.Errorf("%v: young key published = %v", tt.at.Sub(start), ok)
		}
		if _, etag := ring.JWKS(); (etag == previous) != tt.sameSetAsPrevious {
			t.Errorf("%v: ETag %s after %s", tt.at.Sub(start), etag, previous)
		} else {
			previous = etag
		}
	}
	c.Set(at(0))
	if body, _ := ring.JWKS(); string(body) != `{"keys":[]}` {
		t.Errorf("JWK set with no key = %s", body)
	}
}

func TestChangeOfAlgorithm(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	cfg.TokenLifetime = 10 * time.Minute
	old := signer(t, open(t, cfg), keys.Token)

	c.Set(start.Add(time.Hour))
	cfg.Algorithm = "EdDSA"
	ring := open(t, cfg)
	young := signer(t, ring, keys.Token)
	if young.Algorithm != "EdDSA" || young.KID == old.KID || len(ring.Created()) != 2 { // and its successor
		t.Fatalf("after the change: %s signs, %d made", young.Algorithm, len(ring.Created()))
	}
	reopened := open(t, cfg)
	if n := len(reopened.Created()); n != 0 {
		t.Errorf("reopening made %d keys", n)
	}
	for name, r := range map[string]*keys.Ring{"changed": ring, "reopened": reopened} {
		c.Set(start.Add(time.Hour))
		if signer(t, r, keys.Token).KID != young.KID {
			t.Errorf("%s: the old key signs", name)
		}
		last := start.Add(time.Hour + 11*time.Minute)
		c.Set(last.Add(-time.Microsecond))
		if _, alg, ok := r.PublicKey(old.KID); !ok || alg != "ES256" {
			t.Errorf("%s: the old key left while its tokens live", name)
		}
		c.Set(last)
		if _, _, ok := r.PublicKey(old.KID); ok {
			t.Errorf("%s: the old key stays after its last token", name)
		}
		if _, _, ok := r.PublicKey(young.KID); !ok {
			t.Errorf("%s: the new key is not published", name)
		}
	}

	// And back: the ended key is not revived.
	cfg.Algorithm = "ES256"
	back := open(t, cfg)
	if s := signer(t, back, keys.Token); s.Algorithm != "ES256" || s.KID == old.KID {
		t.Errorf("after changing back: %s %s", s.Algorithm, s.KID)
	}
}

func TestOpenFailsWholeWhenAKeyCannotBeStored(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	broken := cfg
	broken.Store = readOnly{cfg.Store}
	if _, err := keys.Open(t.Context(), broken); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("Open = %v, want Unavailable", err)
	}
	if n := len(open(t, cfg).Created()); n != first {
		t.Errorf("the next Open made %d keys, want %d", n, first)
	}
}

// readOnly is a store whose disk is full: its transactions fail.
type readOnly struct{ store.Store }

func (readOnly) Update(context.Context, func(context.Context, store.Tx) error) error {
	return countersign.NewError(countersign.Unavailable, "", "disk full")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	want := ring.HashClientSecret("csk_x")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				if i == 0 {
					c.Set(start.Add(time.Duration(j%2) * time.Hour))
				}
				s, err := ring.Signer(keys.Token)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Sign([]byte("x")); err != nil {
					t.Error(err)
				}
				if body, _ := ring.JWKS(); len(body) == 0 {
					t.Error("no JWK set")
				}
				if _, _, ok := ring.PublicKey(s.KID); !ok {
					t.Error("the signing key is not published")
				}
				if ring.HashClientSecret("csk_x") != want {
					t.Error("the hash differs")
				}
			}
		})
	}
	wg.Wait()
}
