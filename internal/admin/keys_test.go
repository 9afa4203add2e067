package admin_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func (r *rig) tokenKey(t *testing.T) string {
	t.Helper()
	s, err := r.Keys.Signer(keys.Token)
	must(t, err)
	return s.KID
}

// RULES B6: a compromised key is gone at once, with all that it signed.
func TestRuleB6CompromisedKeyIsInTheFeed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kid := r.tokenKey(t)
	made, err := r.CompromiseKey(t.Context(), super(), kid)
	must(t, err)
	if len(made) == 0 || r.tokenKey(t) == kid {
		t.Errorf("made %d keys, %s signs", len(made), r.tokenKey(t))
	}
	if _, _, ok := r.Keys.PublicKey(kid); ok {
		t.Error("it is published still")
	}
	list, err := r.Store.Revocations(t.Context(), 0, r.Clock.Now(), 0)
	must(t, err)
	if len(list) != 1 || list[0].KID != kid || !list[0].Before.IsZero() || list[0].ExpiresAt.Before(r.Clock.Now().Add(time.Hour)) {
		t.Errorf("revocations: %+v", list)
	}
	is, err := r.Registry.Revoked(t.Context(), registry.TokenFacts{JTI: "j", KID: kid, Service: "a", IssuedAt: r.Clock.Now().Add(time.Minute)})
	if err != nil || !is {
		t.Errorf("what it signed lives: %t, %v", is, err)
	}
	events := r.Events(t, audit.Query{Action: "key.compromised"})
	if len(events) != 1 || events[0].Actor != super().ID {
		t.Errorf("events: %+v", events)
	}
	if created := r.Events(t, audit.Query{Action: "key.create"}); len(created) != len(made) {
		t.Errorf("%d events of %d new keys", len(created), len(made))
	}
	// A key of another purpose is dropped without a word in the feed.
	feedKey, err := r.Keys.Signer(keys.Revocation)
	must(t, err)
	_, err = r.CompromiseKey(t.Context(), super(), feedKey.KID)
	must(t, err)
	if got := revocations(t, r); got != 1 {
		t.Errorf("%d revocations", got)
	}
}

func TestKeysAreMaintainedAndRotated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := len(r.SigningKeys())
	must(t, r.MaintainKeys(t.Context()))
	if len(r.SigningKeys()) != before || len(r.Events(t, audit.Query{Action: "key.create"})) != 0 {
		t.Error("keys were made although none was due")
	}
	made, err := r.RotateKeys(t.Context(), super(), "token")
	must(t, err)
	if len(made) != 1 || !slices.ContainsFunc(r.SigningKeys(), func(k store.SigningKey) bool { return k.KID == made[0].KID && len(k.Sealed) == 0 }) {
		t.Errorf("made %+v", made)
	}
	again, err := r.RotateKeys(t.Context(), super(), "token")
	if rotations := r.Events(t, audit.Query{Action: "key.rotate"}); err != nil || len(again) != 0 || len(rotations) != 2 {
		t.Errorf("while one is under way: made %+v, %d events, %v", again, len(rotations), err)
	}
	r.Clock.Advance(made[0].UseFrom.Sub(r.Clock.Now()))
	must(t, r.MaintainKeys(t.Context()))
	if r.tokenKey(t) != made[0].KID || r.Keys.Due() {
		t.Error("the new key does not sign, or something is due")
	}
	events := r.Events(t, audit.Query{Action: "key.create"})
	if len(events) != 2 || events[1].Actor != "server" {
		t.Errorf("events: %+v", events)
	}
	count, err := r.RewrapKeys(t.Context(), super())
	if err != nil || count != 0 || len(r.Events(t, audit.Query{Action: "key.rewrap"})) != 1 {
		t.Errorf("rewrap: %d, %v", count, err)
	}
}

func TestKeysRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, kid := t.Context(), r.tokenKey(t)
	tests := map[string]struct {
		try  func() error
		want countersign.Code
	}{
		"rotate, nobody":     {func() error { _, err := r.RotateKeys(ctx, nobody(), "token"); return err }, countersign.Denied},
		"compromise, nobody": {func() error { _, err := r.CompromiseKey(ctx, nobody(), kid); return err }, countersign.Denied},
		"rewrap, nobody":     {func() error { _, err := r.RewrapKeys(ctx, nobody()); return err }, countersign.Denied},
		"unknown purpose":    {func() error { _, err := r.RotateKeys(ctx, super(), "sealing"); return err }, countersign.Invalid},
		"no purpose":         {func() error { _, err := r.RotateKeys(ctx, super(), ""); return err }, countersign.Invalid},
		"unknown key":        {func() error { _, err := r.CompromiseKey(ctx, super(), "none"); return err }, countersign.NotFound},
	}
	for name, test := range tests {
		if err := test.try(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	if r.tokenKey(t) != kid {
		t.Error("another key signs")
	}
}

// A commit of unknown outcome: this process goes by what the store has.
func TestCompromiseWhoseCommitIsInDoubt(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]int32{"lost": lost, "ambiguous": ambiguous} {
		var mode atomic.Int32
		r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
		kid := r.tokenKey(t)
		mode.Store(failure)
		_, err := r.CompromiseKey(t.Context(), super(), kid)
		mode.Store(healthy)
		if failure == lost && !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		is, err := r.Registry.Revoked(t.Context(), registry.TokenFacts{JTI: "j", KID: kid, Service: "a", IssuedAt: r.Clock.Now()})
		if err != nil || !is {
			t.Errorf("%s: what it signed lives: %t, %v", name, is, err)
		}
		if onDisk := failure == ambiguous; (r.tokenKey(t) == kid) == onDisk {
			t.Errorf("%s: %s signs", name, r.tokenKey(t))
		}
	}
}
