package registry

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// neverEnds is the end of what has none, in Unix seconds.
const neverEnds = math.MaxInt64

// unixEnd is when a revocation can go: a while after nothing that it hits is alive.
func unixEnd(expires time.Time) int64 {
	if expires.IsZero() {
		return neverEnds
	}
	return expires.Add(keepEnded + time.Second - 1).Unix() // never earlier than it is
}

// Bits of the first byte of a record's body.
const (
	recordAll   = 1 << iota // every token
	recordUUID              // the JTI is a UUID: 16 bytes
	recordToken             // only a JTI, and no time but the end
	recordRole              // of sessions: role, role uid and session follow
)

// appendRevocation writes all of rev but its number.
func appendRevocation(b []byte, rev store.Revocation) []byte {
	flags := byte(0)
	if rev.All {
		flags |= recordAll
	}
	id, isUUID := packUUID(rev.JTI)
	if isUUID {
		flags |= recordUUID
	}
	alone := rev == store.Revocation{Seq: rev.Seq, JTI: rev.JTI, ExpiresAt: rev.ExpiresAt, CreatedAt: rev.CreatedAt}
	if alone {
		flags |= recordToken
	}
	if rev.Role != "" || rev.Session != "" {
		flags |= recordRole
	}
	b = append(b, flags)
	b = appendTime(b, rev.ExpiresAt)
	b = appendTime(b, rev.CreatedAt)
	if isUUID {
		b = append(b, id[:]...)
	} else {
		b = appendText(b, rev.JTI)
	}
	if alone {
		return b
	}
	b = appendTime(b, rev.Before)
	for _, text := range [...]string{rev.Service, rev.ServiceUID, rev.Issuer, rev.Subject, rev.KID} {
		b = appendText(b, text)
	}
	if flags&recordRole != 0 {
		for _, text := range [...]string{rev.Role, rev.RoleUID, rev.Session} {
			b = appendText(b, text)
		}
	}
	return b
}

func parseRevocation(rec record) store.Revocation {
	b := rec.body
	flags := b[0]
	rev := store.Revocation{Seq: rec.seq, All: flags&recordAll != 0}
	rev.ExpiresAt, b = nextTime(b[1:])
	rev.CreatedAt, b = nextTime(b)
	if flags&recordUUID != 0 {
		rev.JTI, b = unpackUUID(b[:16]), b[16:]
	} else {
		rev.JTI, b = nextText(b)
	}
	if flags&recordToken != 0 {
		return rev
	}
	rev.Before, b = nextTime(b)
	for _, text := range [...]*string{&rev.Service, &rev.ServiceUID, &rev.Issuer, &rev.Subject, &rev.KID} {
		*text, b = nextText(b)
	}
	if flags&recordRole != 0 {
		for _, text := range [...]*string{&rev.Role, &rev.RoleUID, &rev.Session} {
			*text, b = nextText(b)
		}
	}
	return rev
}

// A time has the store's resolution; 0 is the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMicro())
}

func nextTime(b []byte) (time.Time, []byte) {
	at, n := binary.Varint(b)
	if at == 0 {
		return time.Time{}, b[n:]
	}
	return time.UnixMicro(at).UTC(), b[n:]
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func nextText(b []byte) (string, []byte) {
	size, n := binary.Uvarint(b)
	end := n + int(size) //nolint:gosec // we wrote it
	return string(b[n:end]), b[end:]
}

// packUUID packs an id as [countersign.NewRequestID] makes it, and nothing else.
func packUUID(text string) (id [16]byte, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	at := 0
	for _, part := range [...]string{text[0:8], text[9:13], text[14:18], text[19:23], text[24:36]} {
		n, err := hex.Decode(id[at:], []byte(part))
		if err != nil {
			return id, false
		}
		at += n
	}
	return id, unpackUUID(id[:]) == text // upper case stays as it is
}

func unpackUUID(id []byte) string {
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
