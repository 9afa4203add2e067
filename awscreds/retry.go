package awscreds

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// A refusal is a matter for people: it is asked for more rarely.
	firstRefusedBackoff = 30 * time.Second
	maxRefusedBackoff   = 5 * time.Minute
	// maxRetryAfter bounds what a server may make us wait.
	maxRetryAfter = 5 * time.Minute
	// refreshEarly is the default of RefreshBefore.
	refreshEarly = time.Minute
)

// backoff returns how long to wait after the failures-th failure in a row. It varies by
// 20 %, so that many replicas don't come back at the same moment, but is never shorter
// than the server asked for.
func backoff(err error, failures int) time.Duration {
	wait, limit := firstBackoff, maxBackoff
	if !isOutage(err) {
		wait, limit = firstRefusedBackoff, maxRefusedBackoff
	}
	for i := 1; i < failures && wait < limit; i++ {
		wait *= 2
	}
	wait = time.Duration(float64(min(wait, limit)) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreads load, protects nothing
	var e *countersign.Error
	if errors.As(err, &e) {
		wait = max(wait, min(e.RetryAfter, maxRetryAfter))
	}
	return wait
}

// refreshBefore returns how long before their end credentials of that life are replaced:
// early or up to half as much again, but never more than half of the life, or short ones
// would be replaced without end.
func refreshBefore(early, life time.Duration) time.Duration {
	early += time.Duration(float64(early/2) * rand.Float64()) //nolint:gosec // spreads load, protects nothing
	return min(early, life/2)
}

// isOutage reports whether err says nothing about who asked, and for what.
func isOutage(err error) bool {
	switch countersign.CodeOf(err) {
	case countersign.Upstream, countersign.Unavailable, countersign.Throttled, countersign.Internal:
		return true
	default:
		return false
	}
}

// retryLater returns err with the time until the next attempt.
func retryLater(err error, wait time.Duration) error {
	var api *Error
	if errors.As(err, &api) {
		later := *api
		later.cause.RetryAfter = wait
		return &later
	}
	var e *countersign.Error
	if !errors.As(err, &e) {
		return err
	}
	later := *e
	later.RetryAfter = wait
	return &later
}

// retryAfter reads a Retry-After header; 0 = none, or one that makes no sense.
//
// Source: RFC 9110 §10.2.3.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
