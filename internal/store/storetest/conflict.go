package storetest

import (
	"context"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// A refused write leaves the transaction as it was: the function may go on, and what it
// wrote before and after is committed.
func conflictCases() map[string]func(*testing.T, store.Store) {
	refused := map[string]struct {
		write func(ctx context.Context, tx store.Tx) error
		code  countersign.Code
	}{
		"Service": {func(ctx context.Context, tx store.Tx) error { return tx.CreateService(ctx, aService("a")) }, countersign.Conflict},
		"Object": {func(ctx context.Context, tx store.Tx) error {
			return tx.CreateObject(ctx, anObject("o"))
		}, countersign.Conflict},
		"Key": {func(ctx context.Context, tx store.Tx) error {
			return tx.CreateSigningKey(ctx, aKey("k", "token", 1))
		}, countersign.Conflict},
		"AuditBlock": {func(ctx context.Context, tx store.Tx) error {
			return tx.AppendAuditBlock(ctx, aBlock("r", 1, 0))
		}, countersign.Conflict},
		"Revision": {func(ctx context.Context, tx store.Tx) error { return tx.UpdateService(ctx, aService("a")) }, countersign.Conflict},
		"SecretOfAnother": {func(ctx context.Context, tx store.Tx) error {
			return tx.PutClientSecret(ctx, aSecret("s", "uid-b", 0))
		}, countersign.Conflict},
		"SecretOfNobody": {func(ctx context.Context, tx store.Tx) error {
			return tx.PutClientSecret(ctx, aSecret("s2", "uid-nobody", 0))
		}, countersign.NotFound},
		"Text": {func(ctx context.Context, tx store.Tx) error {
			return tx.CreateService(ctx, store.Service{UID: "u", Name: "nul\x00"})
		}, countersign.Invalid},
	}
	all := make(map[string]func(*testing.T, store.Store))
	for name, test := range refused {
		all[name] = func(t *testing.T, s store.Store) {
			create(t, s, aService("a"), aService("b"))
			createObjects(t, s, anObject("o"))
			want(t, createKey(t, s, aKey("k", "token", 1)), "")
			want(t, putSecret(t, s, aSecret("s", "uid-a", 0)), "")
			appendBlocks(t, s, aBlock("r", 1, 0))
			update(t, s, func(ctx context.Context, tx store.Tx) error {
				if err := tx.CreateService(ctx, aService("before")); err != nil {
					return err
				}
				for range 2 {
					want(t, test.write(ctx, tx), test.code)
				}
				if _, err := tx.Service(ctx, "before"); err != nil {
					return err
				}
				return tx.CreateService(ctx, aService("c-after"))
			})
			var names []string
			for _, service := range must[[]store.Service](t)(s.Services(t.Context(), store.Page{})) {
				names = append(names, service.Name)
			}
			same(t, names, []string{"a", "b", "before", "c-after"})
		}
	}
	return all
}

// A text that no row can have finds nothing, and is not an outage.
func textCases() map[string]func(*testing.T, store.Store) {
	all := make(map[string]func(*testing.T, store.Store))
	for name, text := range map[string]string{"NUL": "a\x00", "NotUTF8": "a\xff\xfe", "Surrogate": "\xed\xa0\x80"} {
		all[name] = func(t *testing.T, s store.Store) {
			create(t, s, aService("a"))
			ctx := t.Context()
			_, err := s.Service(ctx, text)
			want(t, err, countersign.NotFound)
			_, err = s.Object(ctx, "Issuer", text)
			want(t, err, countersign.NotFound)
			_, err = s.Meta(ctx, text)
			want(t, err, countersign.NotFound)
			_, err = s.Services(ctx, store.Page{After: text})
			want(t, err, countersign.Invalid)
			_, err = s.SetMetaIfAbsent(ctx, "key", text)
			want(t, err, countersign.Invalid)
			err = s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
				_, err := tx.PutRevocation(ctx, store.Revocation{JTI: text})
				return err
			})
			want(t, err, countersign.Invalid)
			want(t, s.Ping(ctx), "")
		}
	}
	return all
}
