package storetest

import (
	"context"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func anAccessKey(name, service string) store.AccessKey {
	return store.AccessKey{
		UID: "uid-key-" + name, ID: "AKIA" + name, Name: name, Tenant: "acme", Service: service, ServiceUID: "uid-" + service,
		Role: "writer", RoleUID: "uid-writer", Trust: "é", Sealed: []byte{0, 1, 0xff, '\''}, Revision: 1,
		CreatedAt: at(0), ExpiresAt: at(60),
	}
}

func createAccessKeys(t *testing.T, s store.Store, keys ...store.AccessKey) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, k := range keys {
			if err := tx.CreateAccessKey(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func accessKeyCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"RoundTrip": accessKeyRoundTrip, "Refused": accessKeyRefused, "Lists": accessKeyLists, "Revoke": accessKeyRevoke,
		"Reseal": accessKeyReseal, "Delete": accessKeyDelete, "GoesWithItsService": accessKeyGoesWithItsService, "Changes": accessKeyChanges,
	}
}

func changeAccessKey(t *testing.T, s store.Store, fn func(ctx context.Context, tx store.Tx) error) error {
	t.Helper()
	return s.Update(t.Context(), fn)
}

func accessKeyRoundTrip(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	full, bare := anAccessKey("k1", "a"), store.AccessKey{UID: "u", ID: "AKIA", Name: "k2", ServiceUID: "uid-a", Revision: 1, ExpiresAt: at(1)}
	createAccessKeys(t, s, full, bare)
	same(t, must[store.AccessKey](t)(s.AccessKey(t.Context(), "k1")), full)
	same(t, must[store.AccessKey](t)(s.AccessKeyByID(t.Context(), "AKIAk1")), full)
	same(t, must[store.AccessKey](t)(s.AccessKeyByID(t.Context(), "AKIA")), bare)
	for _, other := range []string{"", "k3", "AKIAk1", "K1", "k1\x00"} {
		_, err := s.AccessKey(t.Context(), other)
		want(t, err, countersign.NotFound)
	}
	for _, other := range []string{"", "k1", "akiak1", "AKIAk", "AKIAk1\xff"} {
		_, err := s.AccessKeyByID(t.Context(), other)
		want(t, err, countersign.NotFound)
	}
}

func accessKeyRefused(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	createAccessKeys(t, s, anAccessKey("k1", "a"))
	change := func(fn func(*store.AccessKey)) store.AccessKey {
		k := anAccessKey("k2", "a")
		fn(&k)
		return k
	}
	for _, test := range []struct {
		key  store.AccessKey
		code countersign.Code
	}{
		{change(func(k *store.AccessKey) { k.Name = "k1" }), countersign.Conflict},
		{change(func(k *store.AccessKey) { k.Name, k.Tenant = "k1", "other" }), countersign.Conflict},
		{change(func(k *store.AccessKey) { k.ID = "AKIAk1" }), countersign.Conflict},
		{change(func(k *store.AccessKey) { k.UID = "uid-key-k1" }), countersign.Conflict},
		{change(func(k *store.AccessKey) { k.ServiceUID = "uid-nobody" }), countersign.NotFound},
		{change(func(k *store.AccessKey) { k.UID = "" }), countersign.Invalid},
		{change(func(k *store.AccessKey) { k.ID = "" }), countersign.Invalid},
		{change(func(k *store.AccessKey) { k.Name = "" }), countersign.Invalid},
		{change(func(k *store.AccessKey) { k.ExpiresAt = k.RevokedAt }), countersign.Invalid},
	} {
		want(t, changeAccessKey(t, s, func(ctx context.Context, tx store.Tx) error { return tx.CreateAccessKey(ctx, test.key) }), test.code)
	}
	// What failed is not the end of the transaction.
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		want(t, tx.CreateAccessKey(ctx, change(func(k *store.AccessKey) { k.ServiceUID = "uid-nobody" })), countersign.NotFound)
		return tx.CreateAccessKey(ctx, anAccessKey("k2", "a"))
	})
	for _, n := range []int{-1, store.MaxLimit + 1} {
		_, err := s.AccessKeys(t.Context(), store.AccessKeyFilter{}, store.Page{Limit: n})
		want(t, err, countersign.Invalid)
	}
}

func accessKeyLists(t *testing.T, s store.Store) {
	create(t, s, aService("a"), aService("b"))
	a1, a2, b1 := anAccessKey("k1", "a"), anAccessKey("k2", "a"), anAccessKey("k3", "b")
	a2.RoleUID, b1.Tenant = "uid-reader", ""
	createAccessKeys(t, s, b1, a2, a1)
	list := func(f store.AccessKeyFilter, page store.Page) []store.AccessKey {
		t.Helper()
		return must[[]store.AccessKey](t)(s.AccessKeys(t.Context(), f, page))
	}
	same(t, list(store.AccessKeyFilter{}, store.Page{}), []store.AccessKey{a1, a2, b1})
	same(t, list(store.AccessKeyFilter{}, store.Page{Limit: 2}), []store.AccessKey{a1, a2})
	same(t, list(store.AccessKeyFilter{}, store.Page{After: "k2", Limit: 2}), []store.AccessKey{b1})
	same(t, list(store.AccessKeyFilter{}, store.Page{Tenant: "acme"}), []store.AccessKey{a1, a2})
	same(t, list(store.AccessKeyFilter{ServiceUID: "uid-a"}, store.Page{}), []store.AccessKey{a1, a2})
	same(t, list(store.AccessKeyFilter{RoleUID: "uid-writer"}, store.Page{}), []store.AccessKey{a1, b1})
	same(t, list(store.AccessKeyFilter{ServiceUID: "uid-a", RoleUID: "uid-writer"}, store.Page{}), []store.AccessKey{a1})
	same(t, len(list(store.AccessKeyFilter{ServiceUID: "uid-c"}, store.Page{})), 0)
}

func accessKeyRevoke(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	createAccessKeys(t, s, anAccessKey("k1", "a"), anAccessKey("k2", "a"))
	revoke := func(uid string, minute int) error {
		return changeAccessKey(t, s, func(ctx context.Context, tx store.Tx) error { return tx.RevokeAccessKey(ctx, uid, at(minute)) })
	}
	want(t, revoke("uid-key-k1", 5), "")
	want(t, revoke("uid-key-k1", 9), countersign.NotFound) // once and for ever
	want(t, revoke("uid-key-k9", 5), countersign.NotFound)
	revoked := anAccessKey("k1", "a")
	revoked.RevokedAt, revoked.Revision = at(5), 2
	same(t, must[store.AccessKey](t)(s.AccessKey(t.Context(), "k1")), revoked)
	same(t, must[store.AccessKey](t)(s.AccessKey(t.Context(), "k2")), anAccessKey("k2", "a"))
}

func accessKeyReseal(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	createAccessKeys(t, s, anAccessKey("k1", "a"))
	reseal := func(uid string) error {
		return changeAccessKey(t, s, func(ctx context.Context, tx store.Tx) error { return tx.ResealAccessKey(ctx, uid, []byte("other")) })
	}
	want(t, reseal("uid-key-k1"), "")
	want(t, reseal("uid-key-k9"), countersign.NotFound)
	other := anAccessKey("k1", "a")
	other.Sealed = []byte("other")
	same(t, must[store.AccessKey](t)(s.AccessKey(t.Context(), "k1")), other)
}

func accessKeyDelete(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	createAccessKeys(t, s, anAccessKey("k1", "a"), anAccessKey("k2", "a"))
	remove := func() error {
		return changeAccessKey(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccessKey(ctx, "uid-key-k1") })
	}
	want(t, remove(), "")
	want(t, remove(), countersign.NotFound)
	_, err := s.AccessKeyByID(t.Context(), "AKIAk1")
	want(t, err, countersign.NotFound)
	again := anAccessKey("k1", "a") // the name is free again
	again.UID, again.ID = "uid-2", "AKIAother"
	createAccessKeys(t, s, again)
}

func accessKeyGoesWithItsService(t *testing.T, s store.Store) {
	create(t, s, aService("a"), aService("b"))
	createAccessKeys(t, s, anAccessKey("k1", "a"), anAccessKey("k2", "b"))
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-a") })
	same(t, must[[]store.AccessKey](t)(s.AccessKeys(t.Context(), store.AccessKeyFilter{}, store.Page{})), []store.AccessKey{anAccessKey("k2", "b")})
}

func accessKeyChanges(t *testing.T, s store.Store) {
	create(t, s, aService("a"))
	createAccessKeys(t, s, anAccessKey("k1", "a"))
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.RevokeAccessKey(ctx, "uid-key-k1", at(1)) })
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccessKey(ctx, "uid-key-k1") })
	same(t, changes(t, s, 1, 0), []string{"2 AccessKey AKIAk1", "3 AccessKey AKIAk1", "4 AccessKey AKIAk1"})
}
