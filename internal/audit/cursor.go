package audit

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"

	"github.com/countersign/countersign"
)

// position says how much of a chain was read: every block up to done, and skip
// events of the block after it.
type position struct {
	done int64
	skip int64
}

// cursor is a position in every chain, by replica. It is a place to go on from, not a
// permission: whoever forges one sees what they may see anyway.
type cursor map[string]position

const (
	cursorVersion = 1
	maxCursor     = 64 << 10 // bytes of text
	maxChains     = 1024
)

// String returns the opaque text: base64url of a version, a count, and for each chain
// in order of name: length, name, done, skip.
func (c cursor) String() string {
	names := sortedKeys(c)
	b := []byte{cursorVersion}
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, uint64(c[name].done)) //nolint:gosec // G115: never negative
		b = binary.AppendUvarint(b, uint64(c[name].skip)) //nolint:gosec // G115: never negative
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor is the inverse of String. "" is the start of every chain. Exactly one
// text stands for each cursor.
func parseCursor(text string) (cursor, error) {
	c := cursor{}
	if text == "" {
		return c, nil
	}
	if len(text) > maxCursor || strings.ContainsAny(text, "\r\n") { // encoding/base64 skips those
		return nil, badCursor()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 || b[0] != cursorVersion {
		return nil, badCursor()
	}
	r := cursorReader{rest: b[1:]}
	count := r.number(maxChains)
	last := ""
	for range count {
		name := r.text(maxReplicaName)
		if name <= last { // also refuses the empty name
			return nil, badCursor()
		}
		c[name] = position{done: r.number(math.MaxInt64), skip: r.number(math.MaxInt64)}
		last = name
	}
	if r.bad || len(r.rest) > 0 {
		return nil, badCursor()
	}
	return c, nil
}

// cursorReader reads numbers and texts; after the first that is not there it gives
// zeros, and bad is set.
type cursorReader struct {
	rest []byte
	bad  bool
}

func (r *cursorReader) number(limit uint64) int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > limit || n > 1 && r.rest[n-1] == 0 { // the last: not the shortest form
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v) //nolint:gosec // G115: limit is at most what an int64 holds
}

func (r *cursorReader) text(limit uint64) string {
	n := int(r.number(limit))
	if n > len(r.rest) {
		r.rest, r.bad = nil, true
		return ""
	}
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func badCursor() error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "the cursor is not one of ours")
}
