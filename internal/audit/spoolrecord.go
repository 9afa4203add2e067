package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// The kinds of records of a spool.
const (
	// keptBlock is a block that waits for the store.
	keptBlock uint32 = 1
	// keptDoubt has the number and the hash of a block that may be in the store: a
	// change whose transaction had no answer. It holds no events.
	keptDoubt uint32 = 2
)

// A record is a header and a payload. The header has its own checksum, so that a
// record of which the end is missing (torn) and one that was changed are told apart:
// magic, kind, number of the block, length of the payload, SHA-256 of the payload,
// CRC-32C of what comes before. Integers are big-endian.
const (
	recordMagic  = "\xffCS1"
	recordHeader = 4 + 4 + 8 + 4 + sha256.Size + 4
	maxRecord    = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one record as it was read.
type record struct {
	kind   uint32
	block  store.AuditBlock // of keptDoubt only Seq and Hash
	at     int64            // offset in the file
	end    int64            // offset of the next one
	broken bool             // it was changed or can't be decoded: only at and end are known
}

// encodeRecord returns the bytes of a record of b.
func encodeRecord(kind uint32, b *store.AuditBlock) []byte {
	text := make([]byte, recordHeader, recordHeader+spoolOverhead+len(b.Replica)+len(b.Events))
	text = appendBytes(text, b.Hash)
	if kind == keptBlock {
		text = appendBytes(text, []byte(b.Replica))
		text = appendInt(text, b.Count)
		text = appendInt(text, micros(b.First))
		text = appendInt(text, micros(b.Last))
		text = appendBytes(text, b.Prev)
		text = appendBytes(text, b.Events)
	}
	payload := text[recordHeader:]
	sum := sha256.Sum256(payload)
	header := append(make([]byte, 0, recordHeader), recordMagic...)
	header = binary.BigEndian.AppendUint32(header, kind)
	header = appendInt(header, b.Seq)
	header = binary.BigEndian.AppendUint32(header, uint32(len(payload))) //nolint:gosec // G115: bounded to MiB
	header = append(header, sum[:]...)
	header = binary.BigEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
	copy(text, header)
	return text
}

// spoolOverhead is more than what a record has beside events and name, in bytes.
const spoolOverhead = recordHeader + 2*(4+sha256.Size) + 3*8 + 2*4

// errTorn: the file ends before the record does.
var errTorn = errors.New("the last record was not written to its end")

// readRecord reads the record at offset at of a file of size bytes. A record that is
// not what was written comes back as broken, up to the next header that is whole.
func readRecord(file io.ReaderAt, at, size int64) (record, error) {
	r := record{at: at}
	if size-at < recordHeader {
		return r, errTorn
	}
	header := make([]byte, recordHeader)
	if err := readFull(file, header, at); err != nil {
		return r, err
	}
	length, ok := checkHeader(header)
	if !ok {
		end, zeros, err := nextHeader(file, at, size)
		if err == nil && zeros {
			err = errTorn // room that was never filled
		}
		r.end, r.broken = end, true
		return r, err
	}
	if size-at-recordHeader < length {
		return r, errTorn
	}
	payload := make([]byte, length)
	if err := readFull(file, payload, at+recordHeader); err != nil {
		return r, err
	}
	r.end = at + recordHeader + length
	r.kind = binary.BigEndian.Uint32(header[4:])
	r.block.Seq = int64(binary.BigEndian.Uint64(header[8:])) //nolint:gosec // G115: the bits that were written
	sum := sha256.Sum256(payload)
	r.broken = !bytes.Equal(sum[:], header[20:20+sha256.Size]) || !r.decode(payload)
	return r, nil
}

func readFull(file io.ReaderAt, p []byte, at int64) error {
	n, err := file.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return err
}

func checkHeader(header []byte) (length int64, ok bool) {
	if len(header) < recordHeader || string(header[:len(recordMagic)]) != recordMagic {
		return 0, false
	}
	body := header[:recordHeader-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(header[recordHeader-4:]) {
		return 0, false
	}
	length = int64(binary.BigEndian.Uint32(header[16:]))
	return length, length <= maxRecord
}

// nextHeader looks for the next whole header behind offset at; size = there is none.
// zeros: there is nothing but zero bytes from at to the end.
func nextHeader(file io.ReaderAt, at, size int64) (end int64, zeros bool, err error) {
	const window = 1 << 20
	zeros = true
	for from := at; from < size; from += window {
		text := make([]byte, min(window+recordHeader, size-from))
		if err := readFull(file, text, from); err != nil {
			return 0, false, err
		}
		zeros = zeros && len(bytes.Trim(text, "\x00")) == 0
		for i := 0; i < len(text); i++ {
			next := bytes.Index(text[i:], []byte(recordMagic))
			if next < 0 {
				break
			}
			i += next
			if _, ok := checkHeader(text[i:]); ok && from+int64(i) > at {
				return from + int64(i), false, nil
			}
		}
	}
	return size, zeros, nil
}

// decode fills r.block and reports whether the payload is what encodeRecord writes.
func (r *record) decode(payload []byte) bool {
	p := recordReader{rest: payload}
	b := &r.block
	b.Hash = p.bytes()
	if r.kind == keptBlock {
		b.Replica = string(p.bytes())
		b.Count = p.number()
		b.First, b.Last = fromMicros(p.number()), fromMicros(p.number())
		b.Prev, b.Events = p.bytes(), p.bytes()
	}
	if p.bad || len(p.rest) > 0 || b.Seq < 1 {
		return false
	}
	return r.kind == keptDoubt || r.kind == keptBlock && bytes.Equal(blockHash(b), b.Hash)
}

// recordReader reads fields; after the first that is not there bad is set.
type recordReader struct {
	rest []byte
	bad  bool
}

func (p *recordReader) number() int64 {
	if len(p.rest) < 8 {
		p.rest, p.bad = nil, true
		return 0
	}
	v := binary.BigEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	return int64(v) //nolint:gosec // G115: the bits that were written
}

func (p *recordReader) bytes() []byte {
	if len(p.rest) < 4 {
		p.rest, p.bad = nil, true
		return nil
	}
	n := int64(binary.BigEndian.Uint32(p.rest))
	if n > int64(len(p.rest)-4) {
		p.rest, p.bad = nil, true
		return nil
	}
	value := p.rest[4 : 4+n]
	p.rest = p.rest[4+n:]
	return value
}

// fromMicros is the inverse of micros.
func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}
