package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

func lastUsed(t *testing.T, s store.Store, uid string) time.Time {
	t.Helper()
	secrets, err := s.ClientSecrets(t.Context(), uid)
	if err != nil || len(secrets) != 1 {
		t.Fatalf("%v, %v", secrets, err)
	}
	return secrets[0].LastUsedAt
}

func TestUsedIsWrittenOnceAnHour(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	use := func() {
		r.Used("a", "secret-uid-a", c.Now())
		if err := r.FlushUsed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	use()
	first := lastUsed(t, s, "uid-a")
	if !first.Equal(start) {
		t.Fatalf("last used %v, want %v", first, start)
	}
	for range 59 {
		c.Advance(time.Minute)
		use()
	}
	if got := lastUsed(t, s, "uid-a"); !got.Equal(first) {
		t.Errorf("written again within the hour: %v", got)
	}
	c.Advance(time.Minute)
	use()
	if got := lastUsed(t, s, "uid-a"); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("after an hour: %v", got)
	}
}

func TestFlushUsedKeepsWhatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	r.Used("a", "secret-uid-a", c.Now())
	r.Used("gone", "secret-of-nobody", c.Now())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.FlushUsed(cancelled); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("%v, want Unavailable", err)
	}
	if err := r.FlushUsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := lastUsed(t, s, "uid-a"); !got.Equal(start) {
		t.Errorf("last used %v, want %v", got, start)
	}
}

func TestUsedConcurrently(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	const services = 450 // more than one transaction's worth
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range services {
			uid := fmt.Sprint("uid-", i)
			if err := tx.CreateService(ctx, store.Service{UID: uid, Name: fmt.Sprint("service-", i)}); err != nil {
				return err
			}
			if err := tx.PutClientSecret(ctx, store.ClientSecret{ID: "secret-" + uid, ServiceUID: uid}); err != nil {
				return err
			}
		}
		return nil
	})
	r := newRegistry(t, s, c, 0)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range services {
				r.Used("", fmt.Sprint("secret-uid-", i), c.Now())
				if i%100 == 0 {
					if err := r.FlushUsed(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if err := r.FlushUsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range services {
		if got := lastUsed(t, s, fmt.Sprint("uid-", i)); !got.Equal(start) {
			t.Fatalf("secret %d: last used %v", i, got)
		}
	}
}
