package auditclient

import "time"

// work is the client's goroutine: it delivers when something is due and sleeps
// otherwise. It ends with c.ctx.
func (c *Client) work() {
	defer close(c.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait, something := c.dueIn(time.Now()); something {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
			c.tick()
		}
	}
}

// dueIn returns how long until there is something to do; false = nothing waits.
func (c *Client) dueIn(now time.Time) (time.Duration, bool) {
	c.backlog.mu.Lock()
	waiting, retryAt, stuck := c.backlog.waiting, c.backlog.retryAt, c.backlog.stuck
	c.backlog.mu.Unlock()

	delay := denialDelay
	if now.Before(retryAt) {
		delay = outageDelay
	}
	due := c.queue.due(delay)
	if stuck && !due.IsZero() && due.Before(retryAt) {
		due = retryAt
	}
	if waiting && (due.IsZero() || retryAt.Before(due)) {
		due = retryAt
		if due.IsZero() {
			due = now
		}
	}
	return max(due.Sub(now), 0), !due.IsZero()
}

// tick delivers what is due.
func (c *Client) tick() {
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-c.ctx.Done():
		return
	}
	now := time.Now()
	c.backlog.mu.Lock()
	retryAt := c.backlog.retryAt
	c.backlog.mu.Unlock()
	counts := c.queue.countsDue(now)
	if now.Before(retryAt) {
		c.setBacklog(retryAt, !c.spill(counts))
		return
	}
	_ = c.deliver(c.ctx, counts) // logged, and tried again
}
