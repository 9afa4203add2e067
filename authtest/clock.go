package authtest

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock runs with real time and can be moved forward. The zero Clock shows the real
// time. Safe for concurrent use. Give Clock.Now to verifiers and token sources, so
// that they and the server agree what time it is.
//
// The server moves it too, instead of waiting: whoever asks for a token right after the
// service's tokens were revoked gets one from 2 to 3 seconds later.
type Clock struct{ offset atomic.Int64 }

// Now returns the clock's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// sleep lets d pass by moving the clock there. Of several who sleep at once each sees
// its own time pass, and the clock does not add them up.
func (c *Clock) sleep(ctx context.Context, d time.Duration) error {
	until := c.Now().Add(d)
	for {
		offset := c.offset.Load()
		missing := time.Until(until) - time.Duration(offset)
		if missing <= 0 || c.offset.CompareAndSwap(offset, offset+int64(missing)) {
			return ctx.Err()
		}
	}
}
