package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// aBlock covers the two minutes from minute on.
func aBlock(replica string, seq int64, minute int) store.AuditBlock {
	return store.AuditBlock{
		Replica: replica, Seq: seq, Events: []byte("{\"id\":\"1\"}\n{\"id\":\"é'\"}\n"), Count: 2,
		First: at(minute), Last: at(minute + 2),
		Prev: aHash(seq - 1), Hash: aHash(seq),
	}
}

func aHash(seq int64) []byte { return fmt.Appendf(nil, "%032d", seq) }

func aHead(replica string, seq int64) store.AuditHead {
	return store.AuditHead{
		Replica: replica, Seq: seq, Hash: aHash(seq), At: at(int(seq)),
		KID: "k1", Signature: []byte{0xff, 0, 1},
	}
}

func appendBlocks(t *testing.T, s store.Store, blocks ...store.AuditBlock) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, b := range blocks {
			if err := tx.AppendAuditBlock(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
}

func auditCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"Empty":       auditEmpty,
		"Blocks":      auditBlocks,
		"Replicas":    auditReplicas,
		"Heads":       auditHeads,
		"LargeBlock":  auditLargeBlock,
		"SeqIsUnique": auditSeqIsUnique,
	}
}

func auditEmpty(t *testing.T, s store.Store) {
	ctx := t.Context()
	same(t, len(must[[]string](t)(s.AuditReplicas(ctx))), 0)
	same(t, len(must[[]store.AuditBlock](t)(s.AuditBlocks(ctx, store.AuditRange{Replica: "a"}))), 0)
	same(t, len(must[[]store.AuditHead](t)(s.AuditHeads(ctx, "a"))), 0)
	_, err := s.AuditTail(ctx, "a")
	want(t, err, countersign.NotFound)
}

func auditBlocks(t *testing.T, s store.Store) {
	var a []store.AuditBlock
	for i := range 105 {
		a = append(a, aBlock("a", int64(i+1), 10*i))
	}
	appendBlocks(t, s, aBlock("b", 1, 0))
	appendBlocks(t, s, a...)
	for _, test := range []struct {
		name       string
		r          store.AuditRange
		from, till int
	}{
		{"default limit", store.AuditRange{}, 0, 100},
		{"limit", store.AuditRange{Limit: 3}, 0, 3},
		{"all", store.AuditRange{Limit: store.MaxLimit}, 0, 105},
		{"after", store.AuditRange{After: 100}, 100, 105},
		{"after the last", store.AuditRange{After: 105}, 105, 105},
		{"since the last event of a block", store.AuditRange{Since: at(1022)}, 102, 105},
		{"since just after it", store.AuditRange{Since: at(1022).Add(1000)}, 103, 105},
		{"until the first event of a block", store.AuditRange{Until: at(20)}, 0, 3},
		{"until just before it", store.AuditRange{Until: at(20).Add(-1000)}, 0, 2},
		{"between", store.AuditRange{Since: at(11), Until: at(31)}, 1, 4},
		{"between, after, limit", store.AuditRange{Since: at(11), Until: at(500), After: 3, Limit: 2}, 3, 5},
		{"in no block", store.AuditRange{Since: at(13), Until: at(19)}, 0, 0},
	} {
		test.r.Replica = "a"
		got := must[[]store.AuditBlock](t)(s.AuditBlocks(t.Context(), test.r))
		t.Log(test.name)
		same(t, got, append([]store.AuditBlock(nil), a[test.from:test.till]...))
	}
	same(t, must[store.AuditBlock](t)(s.AuditTail(t.Context(), "a")), a[104])
	same(t, must[store.AuditBlock](t)(s.AuditTail(t.Context(), "b")), aBlock("b", 1, 0))
	for _, n := range []int{-1, store.MaxLimit + 1} {
		_, err := s.AuditBlocks(t.Context(), store.AuditRange{Replica: "a", Limit: n})
		want(t, err, countersign.Invalid)
	}
}

func auditReplicas(t *testing.T, s store.Store) {
	appendBlocks(t, s, aBlock("b", 1, 0), aBlock("b", 2, 0), aBlock("c", 1, 0), aBlock("a", 1, 0))
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		// A chain whose blocks are all gone is still named.
		if err := tx.PutAuditHead(ctx, aHead("0", 7)); err != nil {
			return err
		}
		return tx.PutAuditHead(ctx, aHead("b", 2))
	})
	same(t, must[[]string](t)(s.AuditReplicas(t.Context())), []string{"0", "a", "b", "c"})
}

func auditHeads(t *testing.T, s store.Store) {
	changed := aHead("a", 2)
	changed.KID, changed.At = "k2", at(99)
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, h := range []store.AuditHead{aHead("a", 3), aHead("a", 2), aHead("b", 1), changed} {
			if err := tx.PutAuditHead(ctx, h); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, must[[]store.AuditHead](t)(s.AuditHeads(t.Context(), "a")), []store.AuditHead{changed, aHead("a", 3)})
}

func auditSeqIsUnique(t *testing.T, s store.Store) {
	appendBlocks(t, s, aBlock("a", 1, 0))
	other := aBlock("a", 1, 5)
	err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.AppendAuditBlock(ctx, other) })
	want(t, err, countersign.Conflict)
	same(t, must[store.AuditBlock](t)(s.AuditTail(t.Context(), "a")), aBlock("a", 1, 0))
}

func auditLargeBlock(t *testing.T, s store.Store) {
	b := aBlock("a", 1, 0)
	b.Events = bytes.Repeat([]byte("{\"id\":\"0123456789\"}\n"), 100_000) // 2 MB
	appendBlocks(t, s, b)
	got := must[store.AuditBlock](t)(s.AuditTail(t.Context(), "a"))
	if !bytes.Equal(got.Events, b.Events) {
		t.Fatalf("%d bytes came back of %d, or others", len(got.Events), len(b.Events))
	}
}
