package session

import (
	"encoding/base64"
	"encoding/hex"
)

// The forms in which an id is written: the first byte of its value says which. Uids are
// base64url or hex, token ids are UUIDs, key ids are thumbprints: as bytes they take three
// quarters or half the room.
const (
	idText   = iota
	idUUID   // 16 bytes
	idHex    // lower case
	idBase64 // base64url without padding
)

// appendID writes an id in its shortest form.
func appendID(b []byte, id string) []byte {
	form, raw := packID(id)
	b = append(b, form)
	return appendPart(b, string(raw))
}

// packID prefers hex to base64url, as it is shorter: what is written in only one way is
// read in only one way.
func packID(id string) (form byte, raw []byte) {
	if raw, ok := packUUID(id); ok {
		return idUUID, raw
	}
	if raw, err := hex.DecodeString(id); err == nil && hex.EncodeToString(raw) == id {
		return idHex, raw
	}
	if raw, err := strict.DecodeString(id); err == nil && base64.RawURLEncoding.EncodeToString(raw) == id {
		return idBase64, raw
	}
	return idText, []byte(id)
}

// id reads an id, and refuses one that is written in another form than ours.
func (r *reader) id() string {
	if len(r.rest) == 0 {
		r.fail(errField)
		return ""
	}
	form := r.rest[0]
	r.rest = r.rest[1:]
	var id string
	switch form {
	case idText:
		id = r.part()
	case idUUID:
		if raw := r.bytes(); len(raw) == 16 {
			id = unpackUUID(raw)
		}
	case idHex:
		id = hex.EncodeToString(r.bytes())
	case idBase64:
		id = base64.RawURLEncoding.EncodeToString(r.bytes())
	}
	if ours, _ := packID(id); ours != form {
		r.fail(errText)
		return ""
	}
	return id
}

// dashes are where a UUID has them.
var dashes = [...]int{8, 13, 18, 23}

func packUUID(id string) (raw []byte, ok bool) {
	if len(id) != 36 {
		return nil, false
	}
	for _, at := range dashes {
		if id[at] != '-' {
			return nil, false
		}
	}
	digits := id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]
	raw, err := hex.DecodeString(digits)
	return raw, err == nil && hex.EncodeToString(raw) == digits
}

func unpackUUID(raw []byte) string {
	digits := hex.EncodeToString(raw)
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
