package registry

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// rowsOnly is a store of services that are made when they are read, with strings of their
// own as a database driver makes them.
type rowsOnly struct{ store.Store }

func (rowsOnly) Meta(context.Context, string) (string, error) { return "", nil }

func (rowsOnly) FeedHead(context.Context) (store.FeedHead, error) { return store.FeedHead{}, nil }

func (rowsOnly) Revocations(context.Context, int64, time.Time, int) ([]store.Revocation, error) {
	return nil, nil
}

func (rowsOnly) Service(_ context.Context, name string) (store.Service, error) {
	return store.Service{
		UID: "0123456789abcdef-" + strings.Clone(name)[8:], Name: strings.Clone(name), Tenant: strings.Clone("acme"), Owner: strings.Clone("pipeline-1"),
		Scopes: strings.Fields("documents:read documents:write s2s:internal"), Audiences: strings.Fields("iam-service document-service"),
		Revision: 1, CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(1, 0),
	}, nil
}

func (rowsOnly) ClientSecrets(_ context.Context, uid string) ([]store.ClientSecret, error) {
	return []store.ClientSecret{{ID: strings.Clone(uid)[:16], ServiceUID: uid, Hash: make([]byte, 32), CreatedAt: time.Unix(1, 0)}}, nil
}

// fill caches n services and returns the registry and how many bytes each takes.
func fill(tb testing.TB, n int) (*Registry, float64) {
	tb.Helper()
	r, err := New(tb.Context(), Config{Store: rowsOnly{}})
	if err != nil {
		tb.Fatal(err)
	}
	before := heap()
	for i := range n {
		name := fmt.Sprintf("service-%07d", i)
		if _, err := r.Service(tb.Context(), name); err != nil {
			tb.Fatal(err)
		}
	}
	if r.Len() < n {
		tb.Fatalf("%d services are cached, want %d", r.Len(), n)
	}
	used := heap() - before
	return r, float64(used) / float64(n)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// DESIGN §11: a million services in a gigabyte, with room for everything else.
func TestACachedServiceIsSmall(t *testing.T) { //nolint:paralleltest // measures the heap
	r, each := fill(t, 200_000)
	t.Logf("%.0f B a service", each)
	if each > 400 {
		t.Errorf("a cached service takes %.0f bytes, want at most 400", each)
	}
	first, _ := r.Service(t.Context(), "service-0000001")
	second, _ := r.Service(t.Context(), "service-0000002")
	if &first.Scopes[0] != &second.Scopes[0] || &first.Audiences[0] != &second.Audiences[0] {
		t.Error("services with the same scopes have a list each")
	}
}

func TestARevokedTokenIsSmall(t *testing.T) { //nolint:paralleltest // measures the heap
	before := heap()
	const n = 100_000
	r := NewWithRevocations(t, n)
	each := float64(heap()-before) / n
	t.Logf("%.0f B a revoked token, %d of them in the feed", each, r.FeedBytes()/n)
	if each > 160 {
		t.Errorf("a revoked token takes %.0f bytes, want at most 160", each)
	}
	runtime.KeepAlive(r)
}

func BenchmarkMillionServices(b *testing.B) {
	r, each := fill(b, 1_000_000)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Service(ctx, "service-0123456"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(each, "B/service")
}
