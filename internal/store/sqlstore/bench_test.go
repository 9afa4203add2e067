package sqlstore_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

func openStore(tb testing.TB, path string) *sqlstore.Store {
	tb.Helper()
	s, err := sqlstore.OpenSQLite(tb.Context(), path, sqlstore.Options{BusyTimeout: storetest.Patience})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkAppendAuditBlock is one durable group commit: what the token path waits
// for. The time is mostly the disk's.
func BenchmarkAppendAuditBlock(b *testing.B) {
	event := append(bytes.Repeat([]byte("x"), 399), '\n')
	for _, events := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(events), func(b *testing.B) {
			s := openStore(b, filepath.Join(b.TempDir(), "bench.db"))
			block := store.AuditBlock{
				Replica: "replica-1", Events: bytes.Repeat(event, events), Count: int64(events),
				First: time.Now(), Last: time.Now(), Prev: make([]byte, 32), Hash: make([]byte, 32),
			}
			ctx := context.Background()
			b.ReportAllocs()
			b.SetBytes(int64(len(block.Events)))
			for b.Loop() {
				block.Seq++
				err := s.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.AppendAuditBlock(ctx, block) })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkService is a read-through of the registry: the first token of a service.
func BenchmarkService(b *testing.B) {
	s := openStore(b, filepath.Join(b.TempDir(), "bench.db"))
	err := s.Update(b.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range 1000 {
			name := "service-" + strconv.Itoa(i)
			err := tx.CreateService(ctx, store.Service{UID: "uid-" + name, Name: name, Scopes: []string{"s2s:internal"}, Audiences: []string{"parse-service", "iam-service"}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Service(ctx, "service-500"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is the store's part of a cold start: a new database, then one that
// is up to date.
func BenchmarkOpen(b *testing.B) {
	open := func(b *testing.B, path string) {
		b.Helper()
		s, err := sqlstore.OpenSQLite(b.Context(), path, sqlstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("new", func(b *testing.B) {
		dir, n := b.TempDir(), 0
		for b.Loop() {
			n++
			open(b, filepath.Join(dir, strconv.Itoa(n)+".db"))
		}
	})
	b.Run("existing", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "bench.db")
		for b.Loop() {
			open(b, path)
		}
	})
}
