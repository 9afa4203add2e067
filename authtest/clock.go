package authtest

import (
	"sync/atomic"
	"time"
)

// Clock runs with real time and can be moved forward. The zero Clock shows the real
// time. Safe for concurrent use. Give Clock.Now to verifiers and token sources, so
// that they and the server agree what time it is.
type Clock struct{ offset atomic.Int64 }

// Now returns the clock's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }
