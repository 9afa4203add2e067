package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Kinds of changes that are not kinds of objects.
const (
	kindService    = "Service"
	kindSigningKey = "SigningKey"
	// kindMark is of the row that has a number's mark for a name. It is no change: nobody is
	// told of it. It needs no table of its own: a program of a version before reads it as the
	// change of a kind that it does not know.
	kindMark = "Mark"
)

const (
	// The counter's row stays locked until the commit, on every database. So numbers
	// are given in the order of the commits, and nobody sees n+1 before n (RULES E2).
	nextSeq = `INSERT INTO counter (name, value) VALUES ('feed', 1)
ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value`

	// nextSeq and its mark, where one statement can do both.
	nextMarkedSeq = `WITH given AS (` + nextSeq + `)
INSERT INTO change (seq, kind, name, changed_at) SELECT value, 'Mark', CAST($1 AS TEXT), CAST($2 AS BIGINT) FROM given RETURNING seq`

	// Takes the lock and no number.
	lockSeq = `UPDATE counter SET value = value WHERE name = 'feed'`

	insertChange = `INSERT INTO change (seq, kind, name, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (seq, kind, name) DO NOTHING`

	deleteChanges = `DELETE FROM change WHERE changed_at < $1`
)

// keepChanges is how long a change is kept for processes that have not seen it.
const keepChanges = 24 * time.Hour

// In the statement that reads the number: both are of one moment.
const headMark = `COALESCE((SELECT m.name FROM change m WHERE m.kind = 'Mark' AND m.seq = (SELECT c.value FROM counter c WHERE c.name = 'feed')), '')`

var selectMark = query[string]{"read the mark of a number", `SELECT name FROM change WHERE seq = $1 AND kind = 'Mark'`, scanText}

// Who shares no database has no other clock than its own.
var selectOwnHead = query[store.FeedHead]{"read the feed's head", `SELECT COALESCE(MAX(value), 0), ` + headMark + ` FROM counter WHERE name = 'feed'`, scanOwnHead}

var selectSharedHead = query[store.FeedHead]{"read the feed's head", `SELECT COALESCE(MAX(value), 0), ` + headMark + `,
CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) FROM counter WHERE name = 'feed'`, scanSharedHead}

// A page ends at the end of a transaction: the last number is read in full.
var selectChanges = query[store.Change]{"list changes", `SELECT seq, kind, name, changed_at FROM change
WHERE kind <> 'Mark' AND seq > $1 AND seq <=
(SELECT COALESCE(MAX(seq), 0) FROM (SELECT seq FROM change WHERE kind <> 'Mark' AND seq > $1 ORDER BY seq LIMIT $2) AS page)
ORDER BY seq, kind, name`, scanChange}

func scanOwnHead(r row) (store.FeedHead, error) {
	h := store.FeedHead{Now: time.Now().UTC().Truncate(time.Microsecond)}
	err := r.Scan(&h.Seq, &h.Mark)
	return h, err
}

func scanSharedHead(r row) (store.FeedHead, error) {
	var (
		h   store.FeedHead
		now int64
	)
	err := r.Scan(&h.Seq, &h.Mark, &now)
	h.Now = moment(now)
	return h, err
}

func scanChange(r row) (store.Change, error) {
	var c store.Change
	var at int64
	if err := r.Scan(&c.Seq, &c.Kind, &c.Name, &at); err != nil {
		return store.Change{}, err
	}
	c.At = moment(at)
	return c, nil
}

// FeedHead implements store.Feed.
func (s *Store) FeedHead(ctx context.Context) (store.FeedHead, error) {
	return s.dialect.feedHead.one(ctx, &s.session)
}

// Mark implements store.Feed.
func (s *Store) Mark(ctx context.Context, seq int64) (string, error) {
	mark, err := selectMark.one(ctx, &s.session, seq)
	if errors.Is(err, countersign.NotFound) {
		return "", nil
	}
	return mark, err
}

// Changes implements store.Feed.
func (s *Store) Changes(ctx context.Context, after int64, max int) ([]store.Change, error) {
	n, err := limit(max)
	if err != nil {
		return nil, err
	}
	return selectChanges.list(ctx, &s.session, after, n)
}

// Hints implements store.Feed.
func (s *Store) Hints() <-chan struct{} {
	if s.listener == nil {
		return nil
	}
	return s.listener.hints
}

// Serialize implements store.Tx: whoever takes a number holds the counter's row.
func (t *tx) Serialize(ctx context.Context) error {
	_, err := t.nextSeq(ctx)
	return err
}

// nextSeq gives a number, and its mark: 128 random bits.
func (t *tx) nextSeq(ctx context.Context) (seq int64, err error) {
	mark, at := rand.Text(), micros(time.Now())
	if t.dialect.insertInWith {
		seq, err = returning[int64](ctx, &t.session, "number a change", nextMarkedSeq, mark, at)
	} else if seq, err = returning[int64](ctx, &t.session, "number a change", nextSeq); err == nil {
		_, err = t.exec(ctx, "mark a number", insertChange, seq, kindMark, mark, at)
	}
	if err != nil {
		return 0, err
	}
	t.seq = seq
	return seq, nil
}

// claim takes a number if this transaction has none. It comes before every write of
// what more than one process writes: all take the counter's row first, so no two wait
// for each other.
func (t *tx) claim(ctx context.Context) error {
	if t.seq != 0 {
		return nil
	}
	_, err := t.nextSeq(ctx)
	return err
}

// order takes the counter's row, and no number, for a write that nobody follows but
// that meets the rows of others. Without a row there is nothing yet to meet.
func (t *tx) order(ctx context.Context) error {
	if !t.dialect.shared || t.seq != 0 || t.ordered {
		return nil
	}
	_, err := t.exec(ctx, "wait for other writers", lockSeq)
	t.ordered = err == nil
	return err
}

// note tells the other processes that something changed. The number was claimed.
func (t *tx) note(ctx context.Context, kind, name string) error {
	if _, err := t.exec(ctx, "note a change", insertChange, t.seq, kind, name, micros(time.Now())); err != nil {
		return err
	}
	return t.forgetChanges(ctx)
}

// forgetChanges drops, once in a transaction, what is too old for anybody who follows.
func (t *tx) forgetChanges(ctx context.Context) error {
	if t.forgot {
		return nil
	}
	t.forgot = true
	_, err := t.exec(ctx, "forget old changes", deleteChanges, micros(time.Now().Add(-keepChanges)))
	return err
}
