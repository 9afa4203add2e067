package registry

import (
	"encoding/binary"
	"hash/maphash"
)

const (
	// chunkSize is small beside a shard, so that reclaiming one takes a moment.
	chunkSize = 64 << 10
	// bytesPerService is what a service may take on average before the oldest go.
	bytesPerService = 512
	// merciful is how many chunks may keep what was asked for while one record needs room.
	merciful = 4
)

// packed is the level behind the entries: services as records in memory that has no
// pointer, which the garbage collector does not look into. Records are only appended; what
// is forgotten stays as waste until its chunk is the oldest and gets reclaimed. The shard's
// lock guards it.
type packed struct {
	max      int // services; 0 = this level is not in use
	seed     maphash.Seed
	index    map[uint64]place
	chunks   []chunk // oldest first
	oldest   uint32  // the number of chunks[0]; numbers are never used again
	size     int     // bytes in all chunks
	live     int     // bytes of those that the index knows
	packing  []byte  // scratch
	isLoaded func(name []byte) bool
}

// chunk holds records one after the other: a byte that says whether somebody asked for it
// since it was written, the length as a uvarint, the record.
type chunk []byte

// place is where the byte before a record's length is.
type place struct{ chunk, from uint32 }

func (p *packed) init(maxServices int, seed maphash.Seed, isLoaded func(name []byte) bool) {
	p.max, p.seed, p.isLoaded = maxServices, seed, isLoaded
	p.index = make(map[uint64]place)
}

func (p *packed) clear() {
	p.oldest += uint32(len(p.chunks)) //nolint:gosec // chunks of 64 KiB: 2^32 are 256 TiB
	p.chunks, p.size, p.live = nil, 0, 0
	p.index = make(map[uint64]place)
}

// find returns the record of that name, or nil. It may be read without the lock.
func (p *packed) find(hash uint64, name string) ([]byte, place) {
	at, ok := p.index[hash]
	if !ok {
		return nil, place{}
	}
	record, _ := p.at(at)
	if string(nameOf(record)) != name { // another name with that hash
		return nil, place{}
	}
	return record, at
}

// isAt reports whether the record is still there.
func (p *packed) isAt(hash uint64, at place) bool {
	current, ok := p.index[hash]
	return ok && current == at
}

// asked gives the record a second life when its chunk is reclaimed.
func (p *packed) asked(at place) { p.chunks[at.chunk-p.oldest][at.from] = 1 }

// at returns the record and how many bytes it takes with what is before it.
func (p *packed) at(at place) (record []byte, size int) {
	return p.chunks[at.chunk-p.oldest].record(int(at.from))
}

func (c chunk) record(from int) (record []byte, size int) {
	length, width := binary.Uvarint(c[from+1:])
	begin := from + 1 + width
	end := begin + int(length) //nolint:gosec // append wrote it
	return c[begin:end:end], end - from
}

// put keeps a record, in the place of an older one of that name.
func (p *packed) put(hash uint64, record []byte) {
	p.drop(hash)
	p.makeRoom()
	p.append(hash, record, 0)
}

// drop forgets a record. One of another name with that hash goes too: it gets loaded again.
func (p *packed) drop(hash uint64) {
	if at, ok := p.index[hash]; ok {
		_, size := p.at(at)
		p.live -= size
		delete(p.index, hash)
	}
}

func (p *packed) append(hash uint64, record []byte, asked byte) {
	p.packing = append(p.packing[:0], asked)
	p.packing = binary.AppendUvarint(p.packing, uint64(len(record)))
	size := len(p.packing) + len(record)
	last := len(p.chunks) - 1
	if last < 0 || cap(p.chunks[last])-len(p.chunks[last]) < size {
		p.chunks = append(p.chunks, make(chunk, 0, max(chunkSize, size)))
		last++
	}
	c := &p.chunks[last]
	p.index[hash] = place{chunk: p.oldest + uint32(last), from: uint32(len(*c))} //nolint:gosec // see clear
	*c = append(append(*c, p.packing...), record...)
	p.size, p.live = p.size+size, p.live+size
}

// makeRoom reclaims the oldest chunks: of waste when there is more of it than of records,
// and of records when there are too many. Of those it keeps, once, what was asked for.
func (p *packed) makeRoom() {
	for len(p.chunks) > 1 && p.size > 2*p.live+chunkSize {
		p.reclaim(func([]byte, byte) bool { return true })
	}
	for turn := 0; len(p.index) >= p.max || p.live >= p.max*bytesPerService; turn++ {
		p.reclaim(func(record []byte, asked byte) bool {
			return turn < merciful && (asked == 1 || p.isLoaded(nameOf(record)))
		})
	}
}

// reclaim takes the oldest chunk away and appends those of its records that are to stay.
func (p *packed) reclaim(stays func(record []byte, asked byte) bool) {
	c, number := p.chunks[0], p.oldest
	p.chunks[0] = nil
	p.chunks = p.chunks[1:]
	p.oldest++
	p.size -= len(c)
	for from := 0; from < len(c); {
		record, size := c.record(from)
		hash := maphash.Bytes(p.seed, nameOf(record))
		if p.isAt(hash, place{chunk: number, from: uint32(from)}) {
			p.live -= size
			delete(p.index, hash)
			if stays(record, c[from]) {
				p.append(hash, record, 0)
			}
		}
		from += size
	}
}
