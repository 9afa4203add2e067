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

func packID(id string) (form byte, raw []byte) {
	var err error
	switch form = formOf(id); form {
	case idUUID:
		raw, err = hex.DecodeString(id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:])
	case idHex:
		raw, err = hex.DecodeString(id)
	case idBase64:
		raw, err = strict.DecodeString(id)
	}
	if form == idText || err != nil {
		return idText, []byte(id)
	}
	return form, raw
}

// formOf is the one form of an id, so that what is written in only one way is read in only
// one way. Hex is shorter than base64url, and most of it is that as well.
func formOf(id string) byte {
	switch {
	case isUUID(id):
		return idUUID
	case len(id)%2 == 0 && isHex(id):
		return idHex
	case isBase64(id):
		return idBase64
	}
	return idText
}

func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return text != ""
}

// isBase64 reports whether a decoder would take the text, and an encoder write it so: what is
// left over in the last letter is zero.
func isBase64(text string) bool {
	for i := range len(text) {
		if letterOf(text[i]) < 0 {
			return false
		}
	}
	switch len(text) % 4 {
	case 1:
		return false
	case 2:
		return letterOf(text[len(text)-1])&0x0f == 0
	case 3:
		return letterOf(text[len(text)-1])&0x03 == 0
	}
	return text != ""
}

// letterOf is the value of a letter of base64url, -1 for any other byte.
func letterOf(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '-':
		return 62
	case c == '_':
		return 63
	}
	return -1
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
		id = hex.EncodeToString([]byte(r.bytes()))
	case idBase64:
		id = base64.RawURLEncoding.EncodeToString([]byte(r.bytes()))
	}
	if ours := formOf(id); ours != form {
		r.fail(errText)
		return ""
	}
	return id
}

// isUUID: in lower case, as we write it.
func isUUID(id string) bool {
	return len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' &&
		isHex(id[:8]) && isHex(id[9:13]) && isHex(id[14:18]) && isHex(id[19:23]) && isHex(id[24:])
}

func unpackUUID(raw string) string {
	digits := hex.EncodeToString([]byte(raw))
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
