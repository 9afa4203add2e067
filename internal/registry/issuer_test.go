package registry_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// heldObjects is a store whose lists wait.
type heldObjects struct {
	store.Store
	entered chan struct{}
	leave   chan struct{}
	reads   *atomic.Int64
}

func (h heldObjects) Objects(ctx context.Context, kind string, page store.Page) ([]store.Object, error) {
	found, err := h.Store.Objects(ctx, kind, page) // of before what comes meanwhile
	if kind == resource.KindIssuer {
		h.reads.Add(1)
		h.entered <- struct{}{}
		<-h.leave
	}
	return found, err
}

// Who asks for an issuer while the store hangs leaves when its time is over, whether it reads
// or waits for who does: others wait for an administrator who is asked again under the lock.
func TestWhoAsksForIssuersLeavesInTime(t *testing.T) {
	t.Parallel()
	s := heldObjects{fixture.NewStore(t), make(chan struct{}, 8), make(chan struct{}), new(atomic.Int64)}
	r := openShared(t, s, fixture.NewClock(start))
	ask := func() (leave func(), answer chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		answer = make(chan error, 1)
		go func() { _, err := r.Issuers(ctx, "https://idp.example.com"); answer <- err }()
		return cancel, answer
	}
	first, answered := ask()
	<-s.entered
	second, waited := ask()
	second()
	first()
	for _, got := range []chan error{waited, answered} {
		if err := <-got; !errors.Is(err, countersign.Unavailable) {
			t.Errorf("got %v", err)
		}
	}
	// What it reads is for who comes next, if nothing was changed since.
	stay, third := ask()
	defer stay()
	r.ForgetObject(resource.KindIssuer, "idp")
	last, fourth := ask()
	defer last()
	close(s.leave)
	if err := errors.Join(<-third, <-fourth); err != nil {
		t.Error(err)
	}
	if reads := s.reads.Load(); reads < 2 {
		t.Errorf("%d reads: what was read before the change is taken for what holds", reads)
	}
}
