package keys_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// makeAccessKey makes one of a service that is there after it, and stores it.
func makeAccessKey(t *testing.T, cfg keys.Config, ring *keys.Ring, name string) (row store.AccessKey, secret countersign.Secret) {
	t.Helper()
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		if _, err := tx.Service(ctx, "s"); err != nil {
			if err := tx.CreateService(ctx, store.Service{UID: "uid-s", Name: "s"}); err != nil {
				return err
			}
		}
		row, secret, err = ring.NewAccessKeyIn(ctx, tx, store.AccessKey{
			UID: "uid-" + name, Name: name, Service: "s", ServiceUID: "uid-s", Role: "r", RoleUID: "uid-r", Trust: "t",
			ExpiresAt: time.Date(2026, 4, 1, 0, 0, 0, 1000, time.UTC),
		})
		if err != nil {
			return err
		}
		return tx.CreateAccessKey(ctx, row)
	})
	if err != nil {
		t.Fatal(err)
	}
	return row, secret
}

// TestRuleF7AccessKeysAreRandomAndSealed: at rest there is nothing but what the master key
// opens, and that only for the service, the role and the end that it was made for.
func TestRuleF7AccessKeysAreRandomAndSealed(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	row, secret := makeAccessKey(t, cfg, ring, "k1")
	other, otherSecret := makeAccessKey(t, cfg, ring, "k2")
	if !keys.ValidAccessKeyID(row.ID) || row.ID == other.ID || secret.Reveal() == otherSecret.Reveal() || len(secret.Reveal()) != 40 {
		t.Fatalf("%s and %s, a secret of %d characters", row.ID, other.ID, len(secret.Reveal()))
	}
	if raw, err := base64.StdEncoding.DecodeString(secret.Reveal()); err != nil || len(raw) != 30 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	stored, err := cfg.Store.AccessKeyByID(t.Context(), row.ID)
	if err != nil || strings.Contains(string(stored.Sealed), secret.Reveal()) {
		t.Fatalf("stored in the clear, %v", err)
	}
	if opened, err := ring.OpenAccessKey(stored); err != nil || opened.Reveal() != secret.Reveal() {
		t.Fatalf("it does not open: %v", err)
	}
	for name, change := range map[string]func(*store.AccessKey){
		"id": func(k *store.AccessKey) { k.ID = other.ID }, "uid": func(k *store.AccessKey) { k.UID = other.UID },
		"service": func(k *store.AccessKey) { k.Service = "x" }, "service's uid": func(k *store.AccessKey) { k.ServiceUID = "x" },
		"role": func(k *store.AccessKey) { k.Role = "x" }, "role's uid": func(k *store.AccessKey) { k.RoleUID = "x" },
		"trust": func(k *store.AccessKey) { k.Trust = "x" }, "end": func(k *store.AccessKey) { k.ExpiresAt = k.ExpiresAt.Add(time.Hour) },
		"another's secret": func(k *store.AccessKey) { k.Sealed = other.Sealed }, "nothing": func(k *store.AccessKey) { k.Sealed = nil },
		"a bit": func(k *store.AccessKey) { k.Sealed = append([]byte(nil), k.Sealed...); k.Sealed[len(k.Sealed)-1] ^= 1 },
		// What is left out of one part can't be put into the next one.
		"moved": func(k *store.AccessKey) { k.Role, k.RoleUID = "ruid-", "r" },
	} {
		changed := stored
		change(&changed)
		if opened, err := ring.OpenAccessKey(changed); !errors.Is(err, countersign.BadSignature) || !opened.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, deployment := range []string{"", "other"} {
		stranger := cfg
		stranger.DeploymentID, stranger.Store = deployment+"x", fixture.NewStore(t)
		if _, err := open(t, stranger).OpenAccessKey(stored); !errors.Is(err, countersign.BadSignature) {
			t.Errorf("another deployment: %v", err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", secret, secret, secret); strings.Contains(text, secret.Reveal()) {
		t.Error("the secret prints")
	}
}

func TestRuleB8RewrapSealsAccessKeysAnew(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	before := open(t, cfg)
	row, secret := makeAccessKey(t, cfg, before, "k1")
	next := cfg
	next.Master, next.PreviousMaster = fixture.NewMaster(t), cfg.Master
	both := open(t, next)
	if opened, err := both.OpenAccessKey(row); err != nil || opened.Reveal() != secret.Reveal() {
		t.Fatalf("before it: %v", err)
	}
	rewrap := func() (count int) {
		t.Helper()
		err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
			count, err = both.RewrapIn(ctx, tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	if count := rewrap(); count != first+2 { // that of the client secrets too
		t.Errorf("%d values", count)
	}
	if count := rewrap(); count != 0 {
		t.Errorf("again: %d values", count)
	}
	alone := next
	alone.PreviousMaster = nil
	stored, err := cfg.Store.AccessKeyByID(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := open(t, alone).OpenAccessKey(stored); err != nil || opened.Reveal() != secret.Reveal() {
		t.Errorf("after it: %v", err)
	}
	if _, err := before.OpenAccessKey(stored); !errors.Is(err, countersign.BadSignature) {
		t.Errorf("the master key before: %v", err)
	}
	// A process that has only the one before makes none that nobody could open.
	err = cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, _, err := before.NewAccessKeyIn(ctx, tx, store.AccessKey{Name: "k9"})
		return err
	})
	if !errors.Is(err, countersign.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestValidAccessKeyID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"AKIAABCDEFGHIJ234567": true, "AKIAAAAAAAAAAAAAAAAA": true,
		"": false, "AKIA": false, "ASIAABCDEFGHIJ234567": false, "akiaABCDEFGHIJ234567": false, "AKIAABCDEFGHIJ23456": false,
		"AKIAABCDEFGHIJ2345678": false, "AKIAabcdefghij234567": false, "AKIAABCDEFGHIJ23456/": false, "AKIAABCDEFGHIJ234561": false,
		"AKIAABCDEFGHIJ23456\x00": false, " AKIAABCDEFGHIJ23456": false,
	} {
		if got := keys.ValidAccessKeyID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

// TestRuleE6AccessKeysEndWithTheirEpoch: a restored database has forgotten which were revoked.
func TestRuleE6AccessKeysEndWithTheirEpoch(t *testing.T) {
	t.Parallel()
	cfg, clock := newConfig(t)
	ring := open(t, cfg)
	row, _ := makeAccessKey(t, cfg, ring, "k1")
	gone, _ := makeAccessKey(t, cfg, ring, "k2")
	earlier := clock.Now().Add(-time.Hour).UTC()
	err := cfg.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.RevokeAccessKey(ctx, gone.UID, earlier); err != nil {
			return err
		}
		_, err := keys.EndAllIn(ctx, tx, clock.Now().UTC())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]time.Time{row.ID: clock.Now(), gone.ID: earlier} {
		if k, err := cfg.Store.AccessKeyByID(t.Context(), id); err != nil || !k.RevokedAt.Equal(want) {
			t.Errorf("%s: revoked at %s, %v", k.Name, k.RevokedAt, err)
		}
	}
}
