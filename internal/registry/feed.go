package registry

import (
	"encoding/binary"
	"sort"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// feed is what receivers and other gateways are told: the live revocations in the order
// of their numbers, complete up to head.
type feed struct {
	mu      sync.RWMutex
	list    feedList
	changed chan struct{} // closed at the next revocation
	// pruned is when the list was last looked through for ended ones; the one writer has it.
	pruned time.Time
}

// feedList holds revocations as bytes, because a million of them must cost the garbage
// collector nothing. Readers hold feed.mu; the one writer holds Registry.syncing too.
type feedList struct {
	chunks []feedChunk
	last   int64 // the number of the last entry
	head   int64 // complete up to this number
}

// feedChunk is up to chunkEntries records of increasing number.
type feedChunk struct {
	last    int64 // the number of its last record
	entries int
	ends    int64 // the first end in it, Unix seconds; neverEnds = none
	data    []byte
}

const chunkEntries = 512

func (f *feed) init() {
	f.changed = make(chan struct{})
}

// Head returns the number up to which the view knows every revocation.
func (r *Registry) Head() int64 {
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	return r.feed.list.head
}

// Watch returns a channel that is closed when the next revocation is in the feed. Take it
// before you look, or you may miss one.
func (r *Registry) Watch() <-chan struct{} {
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	return r.feed.changed
}

// RevocationsSince returns the live revocations with a number above since, in its order,
// at most limit (at least one). Seq is the number up to which the answer is complete: that of
// the last entry when there are more, else Head. It reads memory only.
func (r *Registry) RevocationsSince(since int64, limit int) (entries []store.Revocation, seq int64, more bool) {
	now := r.now()
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	return r.feed.list.since(since, max(limit, 1), now)
}

// read returns the number of the last revocation in the feed.
func (f *feed) read() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.list.last
}

// extend appends a page of the store; the feed is complete up to upTo then.
func (f *feed) extend(page []store.Revocation, upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list.extend(page, upTo)
	if len(page) > 0 {
		f.tell()
	}
}

func (f *feed) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (l *feedList) extend(page []store.Revocation, upTo int64) {
	for _, rev := range page {
		if rev.Seq <= l.last {
			continue
		}
		l.push(rev.Seq, unixEnd(rev.ExpiresAt), func(data []byte) []byte { return appendRevocation(data, rev) })
	}
	l.head = max(l.head, l.last, upTo)
}

// push adds a record: length, end, number, and what body appends.
func (l *feedList) push(seq, ends int64, body func([]byte) []byte) {
	if n := len(l.chunks); n == 0 || l.chunks[n-1].entries == chunkEntries {
		l.chunks = append(l.chunks, feedChunk{ends: neverEnds})
	}
	c := &l.chunks[len(l.chunks)-1]
	start := len(c.data)
	c.data = append(c.data, 0, 0, 0, 0)
	c.data = binary.LittleEndian.AppendUint64(c.data, uint64(ends)) //nolint:gosec // read back the same way
	c.data = binary.LittleEndian.AppendUint64(c.data, uint64(seq))  //nolint:gosec // read back the same way
	c.data = body(c.data)
	binary.LittleEndian.PutUint32(c.data[start:], uint32(len(c.data)-start)) //nolint:gosec // a few hundred bytes
	c.entries++
	c.last, l.last = seq, seq
	c.ends = min(c.ends, ends)
}

// record is one entry of a chunk.
type record struct {
	ends, seq int64
	body      []byte
}

const recordHead = 4 + 8 + 8

func nextRecord(data []byte) (rec record, rest []byte) {
	size := binary.LittleEndian.Uint32(data)
	rec.ends = int64(binary.LittleEndian.Uint64(data[4:])) //nolint:gosec // written the same way
	rec.seq = int64(binary.LittleEndian.Uint64(data[12:])) //nolint:gosec // written the same way
	rec.body = data[recordHead:size]
	return rec, data[size:]
}

func (l *feedList) since(since int64, limit int, now time.Time) (entries []store.Revocation, seq int64, more bool) {
	at := now.Unix()
	first := sort.Search(len(l.chunks), func(i int) bool { return l.chunks[i].last > since })
	for _, c := range l.chunks[first:] {
		for data := c.data; len(data) > 0; {
			var rec record
			if rec, data = nextRecord(data); rec.seq <= since || rec.ends < at {
				continue
			}
			if len(entries) == limit {
				return entries, entries[limit-1].Seq, true
			}
			entries = append(entries, parseRevocation(rec))
		}
	}
	return entries, l.head, false
}

// pruned returns the list without what has ended, and whether anything had.
func (l *feedList) pruned(now time.Time) (feedList, bool) {
	at := now.Unix()
	ended := false
	for _, c := range l.chunks {
		ended = ended || c.ends < at
	}
	if !ended {
		return *l, false
	}
	kept := feedList{head: l.head}
	for _, c := range l.chunks {
		for data := c.data; len(data) > 0; {
			var rec record
			if rec, data = nextRecord(data); rec.ends >= at {
				kept.push(rec.seq, rec.ends, func(to []byte) []byte { return append(to, rec.body...) })
			}
		}
	}
	kept.last = l.last
	return kept, true
}

// prune is called by the one writer: nobody else changes the list meanwhile.
func (f *feed) prune(now time.Time) {
	kept, ended := f.list.pruned(now)
	if !ended {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = kept
}
