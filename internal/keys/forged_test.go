package keys_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// rowStore is a store whose signing keys are those of a test: forged rows can't be
// written through the real one. Everything else is the real store.
type rowStore struct {
	store.Store
	rows map[keys.Purpose][]store.SigningKey
}

func (s rowStore) SigningKeys(_ context.Context, purpose string) ([]store.SigningKey, error) {
	return s.rows[keys.Purpose(purpose)], nil
}

func withRows(cfg keys.Config, rows map[keys.Purpose][]store.SigningKey) keys.Config {
	cfg.Store = rowStore{cfg.Store, rows}
	return cfg
}

func TestRuleB8ForgedRowsAreRefused(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	open(t, cfg)
	other, _ := newConfig(t)
	other.Algorithm = "EdDSA"
	open(t, other)
	row := func(cfg keys.Config) store.SigningKey {
		rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row.UseFrom.Equal(start) {
				return row
			}
		}
		t.Fatalf("no key in use among %d", len(rows))
		return store.SigningKey{}
	}
	mine, theirs := row(cfg), row(other)
	tests := []struct {
		name  string
		forge func(k *store.SigningKey)
	}{
		{"another key id", func(k *store.SigningKey) { k.KID = theirs.KID }},
		{"another private key", func(k *store.SigningKey) { k.Sealed = theirs.Sealed }},
		{"a whole foreign row", func(k *store.SigningKey) { *k = theirs }},
		{"another algorithm", func(k *store.SigningKey) { k.Algorithm = "RS256" }},
		{"no algorithm", func(k *store.SigningKey) { k.Algorithm = "" }},
		{"alg none", func(k *store.SigningKey) { k.Algorithm = "none" }},
		{"alg HS256", func(k *store.SigningKey) { k.Algorithm = "HS256" }},
		{"no private key", func(k *store.SigningKey) { k.Sealed = nil }},
		{"cut private key", func(k *store.SigningKey) { k.Sealed = k.Sealed[:len(k.Sealed)-1] }},
		{"flipped bit", func(k *store.SigningKey) { k.Sealed = bytes.Clone(k.Sealed); k.Sealed[20] ^= 1 }},
		{"another version", func(k *store.SigningKey) { k.Sealed = bytes.Clone(k.Sealed); k.Sealed[0]++ }},
		{"no key id", func(k *store.SigningKey) { k.KID = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forged := mine
			tt.forge(&forged)
			_, err := keys.Open(t.Context(), withRows(cfg, map[keys.Purpose][]store.SigningKey{keys.Token: {forged}}))
			if code := countersign.CodeOf(err); code != countersign.Invalid {
				t.Errorf("Open = %v (%s), want Invalid", err, code)
			}
		})
	}

	t.Run("the public key of the row is not believed", func(t *testing.T) {
		t.Parallel()
		forged := mine
		forged.Public = theirs.Public
		rows := make(map[keys.Purpose][]store.SigningKey)
		for _, p := range []keys.Purpose{keys.Token, keys.Audit, keys.Revocation, keys.Policy} {
			var err error
			if rows[p], err = cfg.Store.SigningKeys(t.Context(), string(p)); err != nil {
				t.Fatal(err)
			}
			for i := range rows[p] {
				if rows[p][i].KID == forged.KID {
					rows[p][i] = forged
				}
			}
		}
		body, _ := open(t, withRows(cfg, rows)).JWKS()
		want, _ := open(t, cfg).JWKS()
		if diff := cmp.Diff(string(want), string(body)); diff != "" {
			t.Errorf("JWK set (-want +got):\n%s", diff)
		}
	})
}

func TestRuleB8WrongMasterKey(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	open(t, cfg)
	before, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
	if err != nil {
		t.Fatal(err)
	}

	wrong := cfg
	wrong.Master = fixture.NewMaster(t)
	if _, err := keys.Open(t.Context(), wrong); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("Open with another master key: %v", err)
	}
	moved := cfg
	moved.DeploymentID = "deployment-2"
	if _, err := keys.Open(t.Context(), moved); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("Open in another deployment: %v", err)
	}
	// Also where no row would tell.
	if _, err := keys.Open(t.Context(), withRows(wrong, nil)); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("Open with another master key and no keys: %v", err)
	}

	after, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the refused Open wrote (-before +after):\n%s", diff)
	}
	open(t, cfg)
}
