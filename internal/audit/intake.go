package audit

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Bounds of what waits to be written.
const (
	// A batch takes commits until it has this many events or bytes; further ones wait
	// for the next batch.
	maxBatchEvents = 1024
	maxBatchBytes  = 1 << 20
	// Of queued events a block takes at least these many, so that a steady stream of
	// commits does not hold them up.
	minQueuedEvents = 256
	minQueuedBytes  = 256 << 10
	// The queue of recorded events. Those of a block that could not be stored come
	// back on top of that.
	maxQueueEvents = 10_000
	maxQueueBytes  = 16 << 20
)

var (
	errClosed = errors.New("the audit log is closed")
	errHeld   = errors.New("the queue is full and the spool has no room for what is only recorded")
)

// batch is a set of commits that share one block, and the channel on which they
// learn how it went.
type batch struct {
	text  []byte // JSON Lines
	count int64
	span  span
	done  chan struct{} // closed when err is set
	err   error
}

// line is one encoded event of the queue.
type line struct {
	text []byte
	at   time.Time
}

// span is the time from the first to the last event of a block.
type span struct{ first, last time.Time }

func (s *span) add(t time.Time) {
	if s.first.IsZero() || t.Before(s.first) {
		s.first = t
	}
	if t.After(s.last) {
		s.last = t
	}
}

// intake is where events wait for the writer. Key: none; lifetime: until stored;
// bounds: above. Safe for concurrent use.
type intake struct {
	mu      sync.Mutex
	batch   *batch
	spare   []byte // the text buffer of an earlier batch
	lines   []line
	bytes   int
	dropped int64
	space   chan struct{} // closed when there is room again; nil = nobody waits
	closed  bool
	held    bool // nobody empties the queue now: who finds it full does not wait

	expected int64         // how many commits the writer waits for; 0 = it does not
	complete chan struct{} // told when they are there
}

func newIntake() *intake {
	return &intake{batch: &batch{done: make(chan struct{})}, complete: make(chan struct{}, 1)}
}

// expect reports whether that many commits wait for the next block. If not, complete is
// told when they do.
func (in *intake) expect(commits int64) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	select {
	case <-in.complete: // of an earlier time
	default:
	}
	in.expected = 0
	if in.batch.count >= commits {
		return true
	}
	in.expected = commits
	return false
}

// join puts an encoded event into the batch that is next, and returns that batch. It
// waits while the batch is full.
func (in *intake) join(ctx context.Context, text []byte, at time.Time) (*batch, error) {
	for {
		in.mu.Lock()
		if in.closed {
			in.mu.Unlock()
			return nil, errClosed
		}
		b := in.batch
		if b.count < maxBatchEvents && len(b.text) < maxBatchBytes {
			b.text = append(b.text, text...)
			b.count++
			b.span.add(at)
			if in.expected > 0 && b.count >= in.expected {
				in.expected = 0
				signal(in.complete)
			}
			in.mu.Unlock()
			return b, nil
		}
		space := in.waitLocked()
		in.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// enqueue puts an encoded event into the queue. It waits while the queue is full, and
// counts the event as dropped when ctx ends or the log closes meanwhile. hurry is
// called when there is a block's worth of events: then waiting gains nothing.
func (in *intake) enqueue(ctx context.Context, l line, hurry func()) error {
	for {
		in.mu.Lock()
		if in.closed {
			in.dropped++
			in.mu.Unlock()
			return errClosed
		}
		if in.roomLocked() {
			in.lines = append(in.lines, l)
			in.bytes += len(l.text)
			many := len(in.lines)%maxBatchEvents == 0
			in.mu.Unlock()
			if many {
				hurry()
			}
			return nil
		}
		err := ctx.Err()
		if err == nil && in.held {
			err = errHeld
		}
		if err != nil {
			in.dropped++
			in.mu.Unlock()
			return err
		}
		space := in.waitLocked()
		in.mu.Unlock()
		hurry()
		select {
		case <-space:
		case <-ctx.Done():
		}
	}
}

// offer is enqueue without waiting and without counting.
func (in *intake) offer(l line) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.roomLocked() {
		return false
	}
	in.lines = append(in.lines, l)
	in.bytes += len(l.text)
	return true
}

func (in *intake) roomLocked() bool {
	return len(in.lines) < maxQueueEvents && in.bytes < maxQueueBytes
}

func (in *intake) waitLocked() <-chan struct{} {
	if in.space == nil {
		in.space = make(chan struct{})
	}
	return in.space
}

func (in *intake) wakeLocked() {
	if in.space != nil {
		close(in.space)
		in.space = nil
	}
}

// hold says whether the queue can be emptied now. While it can't, an event that finds
// it full is dropped at once and counted.
func (in *intake) hold(held bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if held && !in.held {
		in.wakeLocked()
	}
	in.held = held
}

// take returns the commits that wait and as many queued events as fit beside them
// into room bytes; the commits are taken even if they don't fit. droppedEvent, given a
// count, returns the line that tells of dropped events.
func (in *intake) take(droppedEvent func(count int64) line, room int64) (*batch, []line) {
	in.mu.Lock()
	defer in.mu.Unlock()
	b := in.takeBatchLocked()
	room -= int64(len(b.text))
	if in.dropped > 0 && room > 0 {
		l := droppedEvent(in.dropped)
		in.lines = append(in.lines, l)
		in.bytes += len(l.text)
		in.dropped = 0
	}
	events := max(minQueuedEvents, maxBatchEvents-int(b.count))
	size := max(minQueuedBytes, maxBatchBytes-len(b.text))
	n := 0
	for n < len(in.lines) && n < events && size > 0 && room >= int64(len(in.lines[n].text)) {
		room -= int64(len(in.lines[n].text))
		size -= len(in.lines[n].text)
		in.bytes -= len(in.lines[n].text)
		n++
	}
	taken := in.lines[:n:n]
	in.lines = in.lines[n:]
	if len(in.lines) == 0 {
		in.lines = nil // let go of the array
	}
	in.wakeLocked()
	return b, taken
}

// takeBatch returns the commits that wait, and no queued events.
func (in *intake) takeBatch() *batch {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.wakeLocked()
	return in.takeBatchLocked()
}

func (in *intake) takeBatchLocked() *batch {
	b := in.batch
	if b.count > 0 {
		in.batch = &batch{done: make(chan struct{}), text: in.spare}
		in.spare = nil
		return b
	}
	return &batch{done: b.done} // nobody waits for it: it stays the next one
}

// putBack returns queued events that could not be stored to the front of the queue.
func (in *intake) putBack(lines []line) {
	if len(lines) == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, l := range lines {
		in.bytes += len(l.text)
	}
	in.lines = append(lines[:len(lines):len(lines)], in.lines...)
}

// recycle gives a text buffer back that nobody reads any more.
func (in *intake) recycle(text []byte) {
	if cap(text) > 2*maxBatchBytes {
		return
	}
	in.mu.Lock()
	in.spare = text[:0]
	in.mu.Unlock()
}

// close refuses further events and wakes those who wait for room.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.wakeLocked()
}

func (in *intake) isClosed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed
}

// waiting reports how many events no take has returned yet.
func (in *intake) waiting() (commits, queued int, dropped int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return int(in.batch.count), len(in.lines), in.dropped
}
