package registry_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// putBucket stores a bucket in a folder as it is for the first time, or over the revision before.
func putBucket(t *testing.T, s store.Store, name, spec string, revision int64) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		o := store.Object{UID: "uid-" + name, Kind: "Bucket", Name: name, Spec: []byte(spec), Revision: revision}
		if revision == 1 {
			return tx.CreateObject(ctx, o)
		}
		return tx.UpdateObject(ctx, o)
	})
}

const inFolder = `{"origin":{"dir":"data/documents"}}`

func TestBucketIsHeldUntilItChanges(t *testing.T) {
	t.Parallel()
	both := replicas(t, fixture.NewClock(start), 2, func(c *registry.Config) { c.Paths = hostpath.Paths{Folder: "/srv/countersign"} })
	a, b := both[0], both[1]
	if _, err := b.Bucket(t.Context(), "documents"); !errors.Is(err, countersign.NotFound) {
		t.Fatal(err)
	}
	reads := b.store.Reads()
	for range 3 { // also that there is none
		_, err := b.Bucket(t.Context(), "documents")
		if !errors.Is(err, countersign.NotFound) || b.store.Reads() != reads {
			t.Fatalf("%v, %d reads", err, b.store.Reads()-reads)
		}
	}
	putBucket(t, a.store, "documents", inFolder, 1)
	b.sync(t)
	bucket, err := b.Bucket(t.Context(), "documents")
	if err != nil || bucket.Origin.Dir != "/srv/countersign/data/documents" || bucket.Revision != 1 || bucket.Anonymous {
		t.Fatalf("%+v, %v", bucket, err)
	}
	reads = b.store.Reads()
	if again, err := b.Bucket(t.Context(), "documents"); again != bucket || err != nil || b.store.Reads() != reads {
		t.Errorf("%v, %d reads", err, b.store.Reads()-reads)
	}
	putBucket(t, a.store, "documents", `{"origin":{"s3":{"endpoint":"https://s3.example.com","bucket":"b","region":"r","credentials":{"static":{"access_key_id":"abc","secret_access_key_file":"data/key"}}}},"anonymous":true}`, 2)
	b.sync(t)
	bucket, err = b.Bucket(t.Context(), "documents")
	if err != nil || !bucket.Anonymous || bucket.Origin.Dir != "" || bucket.Origin.S3.Credentials.Static.SecretAccessKeyFile != "/srv/countersign/data/key" {
		t.Fatalf("%+v, %v", bucket, err)
	}
	update(t, a.store, func(ctx context.Context, tx store.Tx) error { return tx.DeleteObject(ctx, "uid-documents") })
	b.sync(t)
	if _, err := b.Bucket(t.Context(), "documents"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a deleted bucket: %v", err)
	}
}

func TestBucketNamesThatCantBe(t *testing.T) {
	t.Parallel()
	only := replicas(t, fixture.NewClock(start), 1)[0]
	reads := only.store.Reads()
	for _, name := range []string{"", "A", "a/b", "a.b", "..", "a\x00"} {
		if _, err := only.Bucket(t.Context(), name); !errors.Is(err, countersign.NotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if only.store.Reads() != reads {
		t.Errorf("%d reads", only.store.Reads()-reads)
	}
}

func TestBucketsAreListedInOrder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	s := fixture.OpenStore(t, path)
	const count = store.MaxLimit + 3
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range count {
			name := fmt.Sprintf("b%04d", i)
			spec := inFolder
			if i == 7 {
				spec = `[]` // of a version that knew more
			}
			if err := tx.CreateObject(ctx, store.Object{UID: name, Kind: "Bucket", Name: name, Spec: []byte(spec), Revision: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	c := fixture.NewClock(start)
	r := openShared(t, s, c)
	list := func(stop int) (names []string) {
		err := r.Buckets(t.Context(), func(b *registry.Bucket) bool {
			names = append(names, b.Name)
			return len(names) != stop
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if all := list(0); len(all) != count-1 || all[0] != "b0000" || all[7] != "b0008" || all[len(all)-1] != "b1002" {
		t.Errorf("%d buckets", len(all))
	}
	if some := list(3); len(some) != 3 {
		t.Errorf("%d buckets", len(some))
	}
	c.Advance(time.Hour) // RULES E4: nothing is said of what may have been revoked
	if err := r.Buckets(t.Context(), func(*registry.Bucket) bool { return true }); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("stale: %v", err)
	}
	if _, err := r.Bucket(t.Context(), "b0000"); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("stale: %v", err)
	}
}
