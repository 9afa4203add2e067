package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func anObject(name string) store.Object {
	return store.Object{
		UID: "uid-Issuer-" + name, Kind: "Issuer", Name: name, Tenant: "acme", Owner: "pipeline",
		Spec: []byte(`{"url":"https://é"}`), Revision: 1, CreatedAt: at(0), UpdatedAt: at(1),
	}
}

func createObjects(t *testing.T, s store.Store, objects ...store.Object) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, o := range objects {
			if err := tx.CreateObject(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
}

func objectCases() cases {
	all := alone(map[string]func(*testing.T, store.Store){
		"RoundTrip":      objectRoundTrip,
		"Refused":        objectRefused,
		"OptimisticLock": objectOptimisticLock,
		"Delete":         objectDelete,
		"OrderOfBytes":   objectOrderOfBytes,
	})
	all["OneWinnerOverStores"] = objectOneWinner
	return all
}

func objectRoundTrip(t *testing.T, s store.Store) {
	full, bare := anObject("github"), store.Object{UID: "u", Kind: "RoutePolicy", Name: "github", Revision: 1}
	createObjects(t, s, full, bare) // one name in two kinds
	same(t, must[store.Object](t)(s.Object(t.Context(), "Issuer", "github")), full)
	same(t, must[store.Object](t)(s.Object(t.Context(), "RoutePolicy", "github")), bare)
	_, err := s.Object(t.Context(), "Issuer", "gitlab")
	want(t, err, countersign.NotFound)
	_, err = s.Object(t.Context(), "", "github")
	want(t, err, countersign.NotFound)
}

func objectRefused(t *testing.T, s store.Store) {
	createObjects(t, s, anObject("github"))
	otherTenant, sameUID := anObject("github"), anObject("gitlab")
	otherTenant.UID, otherTenant.Tenant = "uid-2", "other"
	sameUID.UID = "uid-Issuer-github"
	for _, test := range []struct {
		object store.Object
		code   countersign.Code
	}{
		{otherTenant, countersign.Conflict},
		{sameUID, countersign.Conflict},
		{store.Object{Kind: "Issuer", Name: "n"}, countersign.Invalid},
		{store.Object{UID: "u", Name: "n"}, countersign.Invalid},
		{store.Object{UID: "u", Kind: "Issuer"}, countersign.Invalid},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateObject(ctx, test.object) })
		want(t, err, test.code)
	}
	for _, n := range []int{-1, store.MaxLimit + 1} {
		_, err := s.Objects(t.Context(), "Issuer", store.Page{Limit: n})
		want(t, err, countersign.Invalid)
	}
	same(t, must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{})), []store.Object{anObject("github")})
}

func objectOptimisticLock(t *testing.T, s store.Store) {
	createObjects(t, s, anObject("github"))
	write := func(change func(*store.Object)) error {
		o := anObject("github")
		o.Revision = 2
		change(&o)
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateObject(ctx, o) })
	}
	want(t, write(func(o *store.Object) { o.Revision = 1 }), countersign.Conflict)
	want(t, write(func(o *store.Object) { o.Revision = 3 }), countersign.Conflict)
	want(t, write(func(o *store.Object) { o.Revision = 1 << 40 }), countersign.Conflict)
	want(t, write(func(o *store.Object) { o.Name = "renamed" }), countersign.Conflict)
	want(t, write(func(o *store.Object) { o.Kind = "RoutePolicy" }), countersign.Conflict)
	want(t, write(func(o *store.Object) { o.UID = "uid-of-a-former-one" }), countersign.NotFound)
	same(t, must[store.Object](t)(s.Object(t.Context(), "Issuer", "github")), anObject("github"))

	changed := anObject("github")
	changed.Revision, changed.Tenant, changed.Owner, changed.Spec, changed.UpdatedAt = 2, "", "other", []byte(`{}`), at(9)
	want(t, write(func(o *store.Object) { *o = changed; o.CreatedAt = at(99) }), "")
	same(t, must[store.Object](t)(s.Object(t.Context(), "Issuer", "github")), changed)
	want(t, write(func(*store.Object) {}), countersign.Conflict)
}

func objectDelete(t *testing.T, s store.Store) {
	createObjects(t, s, anObject("github"), anObject("gitlab"))
	remove := func() error {
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.DeleteObject(ctx, "uid-Issuer-github") })
	}
	want(t, remove(), "")
	want(t, remove(), countersign.NotFound)
	_, err := s.Object(t.Context(), "Issuer", "github")
	want(t, err, countersign.NotFound)
	again := anObject("github") // the name is free again
	again.UID = "uid-2"
	createObjects(t, s, again)
	same(t, must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", store.Page{})), []store.Object{again, anObject("gitlab")})
}

// Names are in the order of their bytes, whatever the database's language is: a page
// that goes on after a name misses none.
func objectOrderOfBytes(t *testing.T, s store.Store) {
	names := []string{"A", "Z", "a", "a-b", "a.b", "aa", "b", "é"}
	for i := range names {
		createObjects(t, s, anObject(names[len(names)-1-i]))
	}
	var got []string
	for page := (store.Page{Limit: 3}); ; page.After = got[len(got)-1] {
		objects := must[[]store.Object](t)(s.Objects(t.Context(), "Issuer", page))
		if len(objects) == 0 {
			break
		}
		for _, o := range objects {
			got = append(got, o.Name)
		}
	}
	same(t, got, names)
}

// Of writers in many processes that start from one revision, one wins.
func objectOneWinner(t *testing.T, open func() store.Store) {
	stores := []store.Store{open(), open()}
	createObjects(t, stores[0], anObject("github"))
	const rounds = 10
	for round := range int64(rounds) {
		codes := together(4, func(i int) countersign.Code {
			o := anObject("github")
			o.Revision, o.Owner = round+2, fmt.Sprint(i)
			err := stores[i%2].Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateObject(ctx, o) })
			return countersign.CodeOf(err)
		})
		same(t, count(codes, countersign.Code("")), 1)
		same(t, count(codes, countersign.Conflict), 3)
	}
	same(t, must[store.Object](t)(stores[1].Object(t.Context(), "Issuer", "github")).Revision, int64(rounds+1))
}
