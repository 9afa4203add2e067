package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// The domains keep the two kinds of message apart and carry the version of the
// format: whoever changes what is hashed must change them.
const (
	blockDomain = "countersign-audit-block/v1"
	headDomain  = "countersign-audit-head/v1"
)

// genesis is what the first block of a chain has as Prev.
func genesis() []byte { return make([]byte, sha256.Size) }

// blockHash computes what Hash of b must be: SHA-256 over the domain, every other
// column, and the SHA-256 of the events. Strings have a length before them, so that
// no two blocks have the same encoding.
func blockHash(b *store.AuditBlock) []byte {
	events := sha256.Sum256(b.Events)
	message := make([]byte, 0, 256)
	message = appendBytes(message, []byte(blockDomain))
	message = appendBytes(message, []byte(b.Replica))
	message = appendInt(message, b.Seq)
	message = appendInt(message, b.Count)
	message = appendInt(message, micros(b.First))
	message = appendInt(message, micros(b.Last))
	message = appendBytes(message, b.Prev)
	message = appendBytes(message, events[:])
	sum := sha256.Sum256(message)
	return sum[:]
}

// headMessage is what the signature of h covers.
func headMessage(h *store.AuditHead) []byte {
	message := make([]byte, 0, 192)
	message = appendBytes(message, []byte(headDomain))
	message = appendBytes(message, []byte(h.Replica))
	message = appendInt(message, h.Seq)
	message = appendBytes(message, h.Hash)
	return appendInt(message, micros(h.At))
}

func appendBytes(dst, value []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value))) //nolint:gosec // G115: events of a block are bounded to MiB
	return append(dst, value...)
}

func appendInt(dst []byte, value int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(value)) //nolint:gosec // G115: the bits are what is hashed
}

// micros is the resolution that the store keeps; the zero time is 0 there.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
