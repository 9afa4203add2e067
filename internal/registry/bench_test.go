package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func BenchmarkService(b *testing.B) {
	s, c := fixture.NewStore(b), fixture.NewClock(start)
	register(b, s, "document-service", "uid-1")
	r := newRegistry(b, s, c, 0)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Service(ctx, "document-service"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRevoked(b *testing.B) {
	s, c := fixture.NewStore(b), fixture.NewClock(start)
	register(b, s, "document-service", "uid-1")
	r := newRegistry(b, s, c, 0)
	for i := range 10_000 {
		r.Revoke(store.Revocation{JTI: fmt.Sprint("jti-", i), ExpiresAt: start.Add(time.Hour)})
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if revoked, err := r.Revoked(ctx, registry.TokenFacts{JTI: "jti-none", Service: "document-service", ServiceUID: "uid-1", IssuedAt: start}); revoked || err != nil {
				b.Fatal(revoked, err)
			}
		}
	})
}

func BenchmarkUsed(b *testing.B) {
	r := newRegistry(b, fixture.NewStore(b), fixture.NewClock(start), 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Used("document-service", "secret-1", start)
		}
	})
}
