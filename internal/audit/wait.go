package audit

import (
	"context"
	"time"
)

// pollEvery is how often Wait looks at the chains of other processes.
const pollEvery = time.Second

// Wait returns when there may be events after the cursor, or when ctx or d ends. It
// returns at once for a cursor that Query would refuse.
func (l *Log) Wait(ctx context.Context, after string, d time.Duration) {
	from, err := parseCursor(after)
	if err != nil {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for look := true; ; {
		seq, changed := l.state.watch()
		if seq > from[l.cfg.Replica].done {
			return
		}
		if look && l.othersGrew(ctx, from) {
			return
		}
		select {
		case <-changed:
			look = false
		case <-poll.C:
			look = true
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-l.stop:
			return
		}
	}
}

// othersGrew reports whether another chain is longer than the cursor says. A store
// that does not answer counts as no.
func (l *Log) othersGrew(ctx context.Context, from cursor) bool {
	tails, err := l.tails(ctx)
	if err != nil {
		return false
	}
	for replica, seq := range tails {
		if replica != l.cfg.Replica && seq > from[replica].done {
			return true
		}
	}
	return false
}
