package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func aSecret(id, serviceUID string, minute int) store.ClientSecret {
	return store.ClientSecret{
		ID: id, ServiceUID: serviceUID, Hash: []byte{0, 1, 2, 0xff, '\'', 0},
		CreatedAt: at(minute), ExpiresAt: at(minute + 60), LastUsedAt: at(minute + 1),
	}
}

func putSecret(t *testing.T, s store.Store, secret store.ClientSecret) error {
	t.Helper()
	return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.PutClientSecret(ctx, secret) })
}

func secretCases() cases {
	all := alone(map[string]func(*testing.T, store.Store){
		"OldestFirst": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"), aService("b"))
			newer, older, twin := aSecret("s1", "uid-a", 5), aSecret("s2", "uid-a", 1), aSecret("s0", "uid-a", 5)
			stays := aSecret("s3", "uid-b", 0)
			stays.ExpiresAt, stays.LastUsedAt = at(0).AddDate(0, 0, -1), at(0).AddDate(-1, 0, 0) // expired ones too
			for _, secret := range []store.ClientSecret{newer, older, twin, stays} {
				want(t, putSecret(t, s, secret), "")
			}
			same(t, must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-a")), []store.ClientSecret{older, twin, newer})
			same(t, must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-b")), []store.ClientSecret{stays})
			same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-c"))), 0)
		},
		"Replace": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"), aService("b"))
			want(t, putSecret(t, s, aSecret("s1", "uid-a", 1)), "")
			changed := store.ClientSecret{ID: "s1", ServiceUID: "uid-a", Hash: []byte("other"), CreatedAt: at(1)}
			want(t, putSecret(t, s, changed), "")
			same(t, must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-a")), []store.ClientSecret{changed})
		},
		"NeverMovesToAnotherService": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"), aService("b"))
			want(t, putSecret(t, s, aSecret("s1", "uid-a", 1)), "")
			want(t, putSecret(t, s, aSecret("s1", "uid-b", 1)), countersign.Conflict)
			same(t, must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-a")), []store.ClientSecret{aSecret("s1", "uid-a", 1)})
		},
		"Refused": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			want(t, putSecret(t, s, aSecret("s1", "uid-nobody", 1)), countersign.NotFound)
			want(t, putSecret(t, s, aSecret("", "uid-a", 1)), countersign.Invalid)
		},
		"Delete": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			want(t, putSecret(t, s, aSecret("s1", "uid-a", 1)), "")
			for range 2 { // no error where there is none
				update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteClientSecret(ctx, "s1") })
			}
			same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-a"))), 0)
		},
		"Touch": func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			secret := aSecret("s1", "uid-a", 1)
			want(t, putSecret(t, s, secret), "")
			update(t, s, func(ctx context.Context, tx store.Tx) error {
				if err := tx.TouchClientSecret(ctx, "s1", at(30)); err != nil {
					return err
				}
				if err := tx.TouchClientSecret(ctx, "s1", at(20)); err != nil { // a late flush
					return err
				}
				return tx.TouchClientSecret(ctx, "gone", at(30))
			})
			secret.LastUsedAt = at(30)
			same(t, must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-a")), []store.ClientSecret{secret})
		},
	})
	all["WritersMeetInAnyOrder"] = secretAnyOrder
	return all
}

// Processes that note uses in different orders, while services change and go, don't
// wait for each other in a circle.
func secretAnyOrder(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	const secrets = 6
	create(t, stores[0], aService("a"), aService("b"))
	for i := range secrets {
		want(t, putSecret(t, stores[0], aSecret(fmt.Sprint(i), []string{"uid-a", "uid-b"}[i%2], 0)), "")
	}
	for _, err := range together(4, func(w int) error {
		for round := range 5 {
			err := stores[w%2].Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				for i := range secrets {
					if w%2 == 1 {
						i = secrets - 1 - i
					}
					if err := tx.TouchClientSecret(ctx, fmt.Sprint(i), at(10*round+w)); err != nil {
						return err
					}
				}
				if w != 0 || round != 2 {
					return tx.PutClientSecret(ctx, aSecret(fmt.Sprint("new-", w, round), "uid-a", 0))
				}
				return tx.DeleteService(ctx, "uid-b")
			})
			if err != nil {
				return err
			}
		}
		return nil
	}) {
		want(t, err, "")
	}
	same(t, len(must[[]store.ClientSecret](t)(stores[1].ClientSecrets(t.Context(), "uid-a"))), secrets/2+4*5-1)
}
