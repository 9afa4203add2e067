package audit

import (
	"context"
	"errors"
	"time"
)

// What the tests in package audit_test see of the inside.

const (
	FlushEvery      = flushEvery
	MaxQueueEvents  = maxQueueEvents
	MaxBatchEvents  = maxBatchEvents
	MaxRefusals     = maxRefusals
	MinQueuedEvents = minQueuedEvents

	RefusalsPerSecond = refusalsPerSecond
)

var BlockHash = blockHash

// Queued returns how many recorded events wait.
func (l *Log) Queued() int {
	_, queued, _ := l.in.waiting()
	return queued
}

// RecordWithin is RecordDetached with another patience.
func (l *Log) RecordWithin(ctx context.Context, e Event, d time.Duration) { l.recordWithin(ctx, e, d) }

// Waiting returns how many commits are in the batch that is next.
func (l *Log) Waiting() int {
	commits, _, _ := l.in.waiting()
	return commits
}

// Tail returns the number of the last block.
func (l *Log) Tail() int64 {
	seq, _ := l.state.last()
	return seq
}

// Encode encodes one event as a line.
func Encode(e Event) []byte {
	complete(&e, time.Unix(1_800_000_000, 0))
	return appendEvent(nil, &e)
}

// StoredHead returns the newest head that this process knows to be in the database.
func (l *Log) StoredHead() int64 {
	_, row := l.state.heads()
	return row.Seq
}

// SpoolNumbers opens a spool as Open does and returns the numbers of its blocks; 0
// stands for a damaged record.
func SpoolNumbers(folder, replica string) ([]int64, error) {
	s, _, err := openSpool(folder, replica, defaultSpoolMax)
	if err != nil {
		return nil, err
	}
	records, err := s.next(1<<40, 1<<30)
	numbers := make([]int64, 0, len(records))
	for i := range records {
		if records[i].broken {
			numbers = append(numbers, 0)
			continue
		}
		numbers = append(numbers, records[i].block.Seq)
	}
	return numbers, errors.Join(err, s.close())
}
