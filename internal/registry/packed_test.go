package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/store"
)

// newShard returns a shard with entries for a few and records for more.
func newShard(maxServices, maxEntries int) *shard {
	s := new(shard)
	s.init(maxServices, maxEntries, 10, maphash.MakeSeed(), new(interner))
	return s
}

func (s *shard) hash(name string) uint64 { return maphash.String(s.records.seed, name) }

// put keeps a service as a load does.
func (s *shard) put(row store.Service) {
	record := pack(row, nil, time.Now())
	s.keep(s.begin(row.Name), s.hash(row.Name), record, s.lists.unpack(record))
}

func (s *shard) get(name string) *Service { return s.service(s.hash(name), name) }

// filled returns a value with something in each field, so that a field that is added to the
// records of the store and not to pack is found.
func filled(t *testing.T, into reflect.Value) {
	t.Helper()
	for i := range into.NumField() {
		switch field := into.Field(i); field.Interface().(type) {
		case string:
			field.SetString(into.Type().Field(i).Name + "-é")
		case []string:
			field.Set(reflect.ValueOf([]string{"a:" + into.Type().Field(i).Name, "b"}))
		case []byte:
			field.SetBytes([]byte(strings.Repeat("k", 300)))
		case bool:
			field.SetBool(true)
		case time.Duration, int64:
			field.SetInt(-1 << 40)
		case time.Time:
			field.Set(reflect.ValueOf(time.Date(1900+i, 2, 3, 4, 5, 6, 7000, time.UTC)))
		default:
			t.Fatalf("a field of a new type: %s", into.Type().Field(i).Name)
		}
	}
}

func TestARecordHoldsAllOfAService(t *testing.T) {
	t.Parallel()
	var full store.Service
	filled(t, reflect.ValueOf(&full).Elem())
	now := time.Now().UTC().Truncate(time.Microsecond)
	secret := func(id string, ends time.Time) store.ClientSecret {
		return store.ClientSecret{ID: id, Hash: []byte(strings.Repeat(id[:1], 32)), ExpiresAt: ends}
	}
	short := secret("short", time.Time{})
	short.Hash = short.Hash[:31]
	for name, c := range map[string]struct {
		row     store.Service
		secrets []store.ClientSecret
		want    []string
	}{
		"nothing":       {},
		"everything":    {full, []store.ClientSecret{secret("1", time.Time{}), secret("2", now.Add(time.Hour))}, []string{"1", "2"}},
		"ended secrets": {full, []store.ClientSecret{secret("1", now), secret("2", now.Add(-time.Hour)), short}, nil},
	} {
		got := new(interner).unpack(pack(c.row, c.secrets, now)).view
		if diff := cmp.Diff(c.row, got.Service); diff != "" {
			t.Errorf("%s: the service is another one (-want +got):\n%s", name, diff)
		}
		var ids []string
		for _, s := range got.Secrets {
			ids = append(ids, s.ID)
			if string(s.Hash[:]) != strings.Repeat(s.ID[:1], 32) || (s.ID == "2" && !s.ExpiresAt.Equal(now.Add(time.Hour))) {
				t.Errorf("%s: secret %+v is another one", name, s)
			}
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("%s: secrets (-want +got):\n%s", name, diff)
		}
	}
}

// What is no entry any more is still cached, and the same as it was.
func TestARecordBecomesAnEntryAgain(t *testing.T) {
	t.Parallel()
	s := newShard(1000, 4)
	for i := range 500 {
		s.put(store.Service{Name: fmt.Sprint("service-", i), Revision: int64(i)})
	}
	for i := range 500 {
		got := s.get(fmt.Sprint("service-", i))
		if got == nil || got.Revision != int64(i) {
			t.Fatalf("service %d: %+v", i, got)
		}
	}
	if len(s.entries) != 4 || len(s.ring) != 4 || s.len() != 500 {
		t.Errorf("%d entries, %d in the ring, %d services; want 4, 4, 500", len(s.entries), len(s.ring), s.len())
	}
	if first, second := s.get("service-7"), s.get("service-7"); first != second {
		t.Error("an entry is made for every question")
	}
	if s.get("service-500") != nil || s.get("") != nil {
		t.Error("a service that nobody loaded")
	}
}

func TestForgetDropsTheRecordToo(t *testing.T) {
	t.Parallel()
	s := newShard(1000, 2)
	for i := range 10 {
		s.put(store.Service{Name: fmt.Sprint("service-", i)})
	}
	s.forget(s.hash("service-0"), "service-0") // a record only
	s.forget(s.hash("service-9"), "service-9") // an entry too
	if s.get("service-0") != nil || s.get("service-9") != nil {
		t.Error("a forgotten service is still there")
	}
	// Between the look at the record and its becoming an entry.
	hash := s.hash("service-1")
	record, at := s.records.find(hash, "service-1")
	made := s.lists.unpack(record)
	s.forget(hash, "service-1")
	s.enter(hash, at, made)
	if s.get("service-1") != nil {
		t.Error("a record that was forgotten became an entry")
	}
	s.put(store.Service{Name: "service-1", Revision: 2})
	if got := s.get("service-1"); got == nil || got.Revision != 2 {
		t.Errorf("after it was loaded again: %+v", got)
	}
	s.forgetAll()
	if s.len() != 0 || s.get("service-5") != nil {
		t.Error("something is left after everything was forgotten")
	}
	s.put(store.Service{Name: "service-5"})
	if s.get("service-5") == nil {
		t.Error("nothing is kept any more")
	}
}

// Two names with one hash: each question gets its own service or none.
func TestNamesWithOneHash(t *testing.T) {
	t.Parallel()
	s := newShard(1000, 1)
	for _, name := range []string{"first", "second", "third"} {
		record := pack(store.Service{Name: name}, nil, time.Now())
		s.keep(s.begin(name), 1, record, s.lists.unpack(record))
	}
	for name, want := range map[string]bool{"first": false, "second": false, "third": true} {
		if got := s.service(1, name); (got != nil) != want || (got != nil && got.Name != name) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The oldest go, but who is asked for stays; and what was put and forgotten again and
// again does not pile up.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 2_000
	s := newShard(most, 8)
	uid := strings.Repeat("u", 200)
	s.put(store.Service{Name: "favourite", UID: uid})
	for i := range 20 * most {
		s.put(store.Service{Name: fmt.Sprint("service-", i), UID: uid})
		if i%100 == 0 && s.get("favourite") == nil {
			t.Fatalf("after %d others the one that is asked for is gone", i)
		}
		if len(s.records.index) > most {
			t.Fatalf("%d services, at most %d were allowed", len(s.records.index), most)
		}
	}
	if s.len() < most*8/10 {
		t.Errorf("only %d services are left of %d", s.len(), most)
	}
	checkSizes(t, &s.records)

	for range 50 * most {
		s.put(store.Service{Name: "favourite", UID: uid})
	}
	if s.records.size > 2*s.records.live+2*chunkSize {
		t.Errorf("%d bytes for %d that are alive", s.records.size, s.records.live)
	}
	checkSizes(t, &s.records)

	// Few services, but each is large.
	large := []byte(strings.Repeat("k", 100_000))
	for i := range 100 {
		s.put(store.Service{Name: fmt.Sprint("large-", i), JWKS: large})
	}
	if limit := most*bytesPerService + 2*len(large); s.records.live > limit {
		t.Errorf("%d bytes of records, at most %d were allowed", s.records.live, limit)
	}
	if got := s.get("large-99"); got == nil || len(got.JWKS) != len(large) {
		t.Error("the last one is not there")
	}
	checkSizes(t, &s.records)
}

// checkSizes counts again what is kept as a sum.
func checkSizes(t *testing.T, p *packed) {
	t.Helper()
	size, live := 0, 0
	for _, c := range p.chunks {
		size += len(c)
	}
	for _, at := range p.index {
		_, taken := p.at(at)
		live += taken
	}
	if size != p.size || live != p.live {
		t.Errorf("size %d and live %d are counted as %d and %d", size, live, p.size, p.live)
	}
}

// Readers, changes and forgetting at once: nobody sees a service that is older than the
// last forget of it (run with the race detector).
func TestRecordsRace(t *testing.T) {
	t.Parallel()
	s := newShard(200, 3)
	const services = 300
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for reader := range 4 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(reader)))
			for ctx.Err() == nil {
				name := fmt.Sprint("service-", random.IntN(services))
				if got := s.get(name); got != nil && got.Name != name {
					t.Errorf("asked for %s, got %s", name, got.Name)
				}
			}
		})
	}
	for i := range 20_000 {
		name := fmt.Sprint("service-", i%services)
		s.forget(s.hash(name), name)
		if s.get(name) != nil {
			t.Fatalf("%s is there after it was forgotten", name)
		}
		s.put(store.Service{Name: name, Revision: int64(i), UID: strings.Repeat("u", i%2000)})
		if got := s.get(name); got == nil || got.Revision != int64(i) {
			t.Fatalf("%s: %+v, want revision %d", name, got, i)
		}
	}
	cancel()
	readers.Wait()
	checkSizes(t, &s.records)
}

func BenchmarkRecordBecomesAnEntry(b *testing.B) {
	r, each := fill(b, 200_000)
	names := make([]string, 200_000)
	for i := range names {
		names[i] = fmt.Sprintf("service-%07d", i)
	}
	ctx, i := b.Context(), 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Service(ctx, names[i%len(names)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(each, "B/service")
}
