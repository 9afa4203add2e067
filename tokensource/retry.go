package tokensource

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/countersign/countersign"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// A refused client is a matter for people: it is asked for more rarely.
	firstRefusedBackoff = 30 * time.Second
	maxRefusedBackoff   = 5 * time.Minute
	// maxRetryAfter bounds what a server may make us wait.
	maxRetryAfter = 5 * time.Minute
)

// backoff returns how long to wait after the failures-th failure in a row. It varies by
// 20 %, so that many replicas don't come back at the same moment, but is never shorter
// than the server asked for.
func backoff(err error, failures int) time.Duration {
	wait, limit := firstBackoff, maxBackoff
	if code := countersign.CodeOf(err); code == countersign.BadClient || code == countersign.Denied {
		wait, limit = firstRefusedBackoff, maxRefusedBackoff
	}
	for i := 1; i < failures && wait < limit; i++ {
		wait *= 2
	}
	wait = jitter(min(wait, limit), 0.2)
	var e *countersign.Error
	if errors.As(err, &e) {
		wait = max(wait, min(e.RetryAfter, maxRetryAfter))
	}
	return wait
}

// refreshAfter returns when in a token's life it is replaced: at 75 to 85 % of it.
func refreshAfter(life time.Duration) time.Duration {
	return jitter(life*8/10, 1.0/16)
}

// jitter returns d ± part of it.
func jitter(d time.Duration, part float64) time.Duration {
	return d + time.Duration(float64(d)*part*(2*rand.Float64()-1)) //nolint:gosec // spreads load, protects nothing
}

// isOutage reports whether err says nothing about the client and its token.
func isOutage(err error) bool {
	switch countersign.CodeOf(err) {
	case countersign.Upstream, countersign.Unavailable, countersign.Throttled:
		return true
	default:
		return false
	}
}

// retryLater returns err with the time until the next attempt.
func retryLater(err error, wait time.Duration) error {
	var e *countersign.Error
	if !errors.As(err, &e) {
		return err
	}
	later := *e
	later.RetryAfter = wait
	return &later
}
