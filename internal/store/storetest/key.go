package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func aKey(kid, purpose string, minute int) store.SigningKey {
	return store.SigningKey{
		KID: kid, Purpose: purpose, Algorithm: "ES256", Public: []byte(`{"kty":"EC"}`), Sealed: []byte{0, 1, 0xff},
		CreatedAt: at(minute), PublishAt: at(minute + 1), UseFrom: at(minute + 2), UseUntil: at(minute + 3), KeepUntil: at(minute + 4),
	}
}

func createKey(t *testing.T, s store.Store, k store.SigningKey) error {
	t.Helper()
	return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateSigningKey(ctx, k) })
}

func schedule(t *testing.T, s store.Store, kid string, useUntil, keepUntil time.Time) error {
	t.Helper()
	return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.ScheduleSigningKey(ctx, kid, useUntil, keepUntil)
	})
}

func keyCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"OldestFirstByPurpose": func(t *testing.T, s store.Store) {
			newer, older, other := aKey("k1", "token", 9), aKey("k2", "token", 1), aKey("k3", "audit", 1)
			other.KeepUntil, other.Public, other.Sealed = time.Time{}, nil, nil
			for _, k := range []store.SigningKey{newer, older, other} {
				want(t, createKey(t, s, k), "")
			}
			same(t, must[[]store.SigningKey](t)(s.SigningKeys(t.Context(), "token")), []store.SigningKey{older, newer})
			same(t, must[[]store.SigningKey](t)(s.SigningKeys(t.Context(), "audit")), []store.SigningKey{other})
			same(t, len(must[[]store.SigningKey](t)(s.SigningKeys(t.Context(), ""))), 0)
		},
		"Refused": func(t *testing.T, s store.Store) {
			want(t, createKey(t, s, aKey("k1", "token", 1)), "")
			want(t, createKey(t, s, aKey("k1", "token", 1)), countersign.Conflict)
			want(t, createKey(t, s, aKey("k1", "audit", 1)), countersign.Conflict) // a kid has one purpose
			want(t, createKey(t, s, aKey("", "token", 1)), countersign.Invalid)
			want(t, createKey(t, s, aKey("k2", "", 1)), countersign.Invalid)
			want(t, schedule(t, s, "k9", at(1), at(2)), countersign.NotFound)
			same(t, must[[]store.SigningKey](t)(s.SigningKeys(t.Context(), "token")), []store.SigningKey{aKey("k1", "token", 1)})
		},
		"Schedule": func(t *testing.T, s store.Store) {
			k := aKey("k1", "token", 1)
			want(t, createKey(t, s, k), "")
			want(t, schedule(t, s, "k1", at(50), time.Time{}), "")
			k.UseUntil, k.KeepUntil = at(50), time.Time{}
			same(t, must[[]store.SigningKey](t)(s.SigningKeys(t.Context(), "token")), []store.SigningKey{k})
		},
	}
}
