package admin_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/store"
)

// A disk that hangs must not line up everybody who revokes: who waits for another to
// settle goes when its own request ends.
func TestSettleDoesNotWaitBeyondItsRequest(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	var hang atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(s store.Store) store.Store {
		return slowDisk{doubtful{s, &mode}, func() {
			if hang.CompareAndSwap(true, false) {
				entered <- struct{}{}
				<-release
			}
		}}
	})
	mode.Store(lost)
	_ = r.RevokeToken(t.Context(), super(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now().Add(time.Minute)})
	mode.Store(healthy)
	hang.Store(true)
	first := make(chan error, 1)
	go func() { first <- r.Settle(t.Context()) }()
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Settle(gone); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	close(release)
	must(t, <-first)
	must(t, r.Settle(t.Context()))
	if got := revocations(t, r); got != 1 {
		t.Errorf("%d revocations on the disk, want 1", got)
	}
}
