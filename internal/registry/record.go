package registry

import (
	"encoding/binary"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/countersign/countersign/internal/store"
)

// A record is a service as bytes: what is loaded is packed first and unpacked from that,
// so that a view that was held as a record is never another one. Numbers are varints,
// words come with their length before them, lists as one word.

// pack makes the record of a service with its secrets that are alive.
func pack(row store.Service, secrets []store.ClientSecret, now time.Time) []byte {
	b := packWord(nil, row.Name) // first: the packed level finds it there
	b = packWord(b, row.UID)
	b = packWord(b, row.Tenant)
	b = packWord(b, row.Owner)
	b = packWord(b, strings.Join(row.Scopes, "\x00"))
	b = packWord(b, strings.Join(row.Audiences, "\x00"))
	b = packWord(b, string(row.JWKS))
	b = packWord(b, row.JWKSURI)
	b = packWord(b, string(row.Trust))
	b = packWord(b, strings.Join(row.SharedWith, "\x00"))
	disabled := int64(0)
	if row.Disabled {
		disabled = 1
	}
	for _, number := range []int64{
		int64(row.TokenLifetime), row.TokensPerMinute, disabled, row.Revision,
		micros(row.CreatedAt), micros(row.UpdatedAt),
	} {
		b = binary.AppendVarint(b, number)
	}
	for _, secret := range secrets {
		// A hash of another size opens nothing.
		if ended := !secret.ExpiresAt.IsZero() && !secret.ExpiresAt.After(now); ended || len(secret.Hash) != len(Secret{}.Hash) {
			continue
		}
		b = packWord(b, secret.ID)
		b = append(b, secret.Hash...)
		b = binary.AppendVarint(b, micros(secret.ExpiresAt))
	}
	return b
}

func packWord(b []byte, word string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(word))), word...)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// unpack makes the view of a record. It is small, because there may be many: what is its
// own is one piece of text, what others have too is shared.
func (n *interner) unpack(record []byte) *entry {
	r := recordReader{record: record, text: string(record)}
	made := new(entry)
	s := &made.view
	s.Name, s.UID, s.Tenant, s.Owner = r.word(), r.word(), r.word(), r.word()
	s.Scopes, s.Audiences = n.list(r.word()), n.list(r.word())
	if jwks := r.word(); jwks != "" {
		s.JWKS = []byte(jwks)
	}
	s.JWKSURI = r.word()
	if trust := r.word(); trust != "" {
		s.Trust = []byte(trust)
	}
	s.SharedWith = n.list(r.word())
	s.TokenLifetime, s.TokensPerMinute = time.Duration(r.number()), r.number()
	s.Disabled, s.Revision = r.number() == 1, r.number()
	s.CreatedAt, s.UpdatedAt = r.time(), r.time()
	s.Secrets = made.one[:0] // more than one move elsewhere
	for r.at < len(r.record) {
		secret := Secret{ID: r.word()}
		r.at += copy(secret.Hash[:], r.record[r.at:])
		secret.ExpiresAt = r.time()
		s.Secrets = append(s.Secrets, secret)
	}
	return made
}

// recordReader reads what pack wrote; the words are parts of text.
type recordReader struct {
	record []byte
	text   string
	at     int
}

func (r *recordReader) word() string {
	size, width := binary.Uvarint(r.record[r.at:])
	from := r.at + width
	r.at = from + int(size) //nolint:gosec // pack wrote it
	return r.text[from:r.at]
}

func (r *recordReader) number() int64 {
	number, width := binary.Varint(r.record[r.at:])
	r.at += width
	return number
}

func (r *recordReader) time() time.Time {
	at := r.number()
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

// nameOf returns the name of a record, as a part of it.
func nameOf(record []byte) []byte {
	size, width := binary.Uvarint(record)
	return record[width : width+int(size)] //nolint:gosec // pack wrote it
}

// maxLists bounds the lists that services share; then it begins anew.
const maxLists = 10_000

// interner lets services with the same scopes or audiences share one list: most of a
// million have one of a few. Key: the list's words.
type interner struct {
	mu    sync.RWMutex
	known map[string][]string
}

// list returns the list of these words, with a NUL between them, which nobody may change.
func (n *interner) list(words string) []string {
	if words == "" {
		return nil
	}
	n.mu.RLock()
	known, ok := n.known[words]
	n.mu.RUnlock()
	if ok {
		return known
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.known[words]; ok {
		return known
	}
	if n.known == nil || len(n.known) >= maxLists {
		n.known = make(map[string][]string)
	}
	fresh := strings.Split(words, "\x00")
	for i, word := range fresh {
		fresh[i] = unique.Make(word).Value()
	}
	n.known[strings.Clone(words)] = fresh
	return fresh
}
