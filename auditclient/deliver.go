package auditclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/tokensource"
)

const (
	firstBackoff  = time.Second
	maxBackoff    = time.Minute
	maxRetryAfter = 5 * time.Minute
)

// errRejected: the server will never take this batch.
var errRejected = errors.New("the batch is rejected")

// deliver sends what waits, the oldest first: the spool, the batch that failed last, the
// queue (counts only if wanted). The caller holds c.sending.
func (c *Client) deliver(ctx context.Context, counts bool) error {
	c.queue.reportDropped(c.now())
	err := c.sendAll(ctx, counts)
	if err == nil {
		if c.failures > 0 {
			c.log.InfoContext(ctx, "audit reports can be sent again")
		}
		c.failures = 0
		c.setBacklog(time.Time{}, false)
		return nil
	}
	if ctx.Err() == nil { // else it says nothing about the server
		c.failures++
		if c.failures == 1 {
			c.log.WarnContext(ctx, "audit reports can't be sent; they are kept", "error", err)
		}
	}
	spilled := c.spill(counts)
	c.setBacklog(time.Now().Add(backoff(err, max(c.failures, 1))), !spilled)
	return err
}

func (c *Client) sendAll(ctx context.Context, counts bool) error {
	for c.spool != nil && !c.spool.empty() {
		b, err := c.spool.oldest()
		if err == nil {
			err = c.send(ctx, b)
		}
		if err != nil {
			return err
		}
		c.spool.remove()
	}
	for {
		b, err := c.next(counts)
		if b == nil || err != nil {
			return err
		}
		if err := c.send(ctx, b); err != nil {
			return err
		}
		c.stuck = nil
	}
}

// next returns the next batch of the queue; it is c.stuck until it is sent or spooled.
func (c *Client) next(counts bool) (*batch, error) {
	if c.stuck != nil {
		return c.stuck, nil
	}
	now := c.now()
	events := c.queue.peek(maxBatchEvents, counts)
	if len(events) == 0 {
		return nil, nil
	}
	b, err := newBatch(events, now)
	if err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "encode audit reports", err)
	}
	c.queue.take(b.events)
	c.stuck = b
	return b, nil
}

// spill moves what waits in memory to the spool. Without one, or when it takes no more,
// it stays where it is, and spill returns false.
func (c *Client) spill(counts bool) bool {
	if c.spool == nil {
		return false
	}
	for {
		b, err := c.next(counts)
		if b == nil || err != nil {
			return err == nil
		}
		if err := c.spool.add(b, c.now()); err != nil {
			c.log.WarnContext(c.ctx, "audit reports can't be spooled; they stay in memory", "error", err)
			return false
		}
		c.stuck = nil
	}
}

func (c *Client) setBacklog(retryAt time.Time, stuck bool) {
	c.backlog.mu.Lock()
	c.backlog.retryAt, c.backlog.stuck = retryAt, stuck
	c.backlog.waiting = c.stuck != nil || c.spool != nil && !c.spool.empty()
	waiting := c.backlog.waiting
	c.backlog.mu.Unlock()
	if !waiting {
		return
	}
	// The worker may have looked while a Flush held all there is, and gone to sleep.
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// send sends one batch. A batch that the server rejects counts as sent: it is dropped.
func (c *Client) send(ctx context.Context, b *batch) error {
	err := errRejected // a file of the spool that can't be read any more
	if len(b.body) > 0 {
		err = c.post(ctx, b.body)
	}
	if errors.Is(err, errRejected) {
		c.log.ErrorContext(ctx, "audit reports were rejected and dropped", "events", b.events, "error", err)
		c.queue.drop(b.denied, b.allowed)
		return nil
	}
	return err
}

// post sends one body.
//
// Errors: errRejected, [countersign.Upstream], [countersign.Unavailable] and those of
// the token source.
func (c *Client) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	token, err := c.source.Token(ctx, audience)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return countersign.WrapError(countersign.Internal, "", "build the report", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
	resp, err := c.http.Do(req)
	if err != nil {
		return countersign.WrapError(countersign.Upstream, "", "countersign can't be reached", egress.WithoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes)) // so that the connection is used again
	return c.judge(resp, token)
}

// judge says what an answer means for the batch.
func (c *Client) judge(resp *http.Response, token tokensource.Token) error {
	status := resp.StatusCode
	e := countersign.NewError(countersign.Unavailable, "", "countersign answered "+strconv.Itoa(status)+" to a report")
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusUnauthorized:
		if source, ok := c.source.(tokensource.Invalidator); ok {
			source.Invalidate(audience, token)
		}
	case status == http.StatusBadRequest, status == http.StatusConflict, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		e.Err = errRejected
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
			e.RetryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
		}
	}
	return e
}

// backoff returns how long to wait after the failures-th failure in a row.
func backoff(err error, failures int) time.Duration {
	wait := firstBackoff
	for i := 1; i < failures && wait < maxBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, maxBackoff)
	wait += time.Duration(float64(wait) * 0.2 * rand.Float64()) //nolint:gosec // spreads load, protects nothing
	var e *countersign.Error
	if errors.As(err, &e) {
		wait = max(wait, min(e.RetryAfter, maxRetryAfter))
	}
	return wait
}
