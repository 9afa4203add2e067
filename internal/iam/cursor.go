package iam

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

// A cursor is base64url of: version, key id, expiry in Unix seconds, where to go on, and
// HMAC-SHA-256 over all of it and what it is bound to: the list, who asked for it, the
// tenant, and the query. So it opens nothing that its caller could not see, and nobody
// makes one (vulnerabilities 28, RULES B7).
const (
	cursorVersion  = 1
	cursorLifetime = time.Hour
	cursorLabel    = "countersign/cursor/v1"
	cursorHead     = 1 + keys.SealingKIDBytes + 8
	// maxCursor bounds a cursor, in bytes as it is written: an upstream directory's own is
	// in it.
	maxCursor = 4 << 10
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// makeCursor returns a cursor that goes on behind after.
func (a *API) makeCursor(bound []string, after string) (string, error) {
	kid, key, err := a.keys.CurrentCursorKey()
	if err != nil {
		return "", err
	}
	id, err := base64.RawURLEncoding.DecodeString(kid)
	if err != nil || len(id) != keys.SealingKIDBytes {
		return "", countersign.NewError(countersign.Internal, "", "the id of a cursor's key has another length")
	}
	text := append([]byte{cursorVersion}, id...)
	text = binary.BigEndian.AppendUint64(text, uint64(a.now().Add(cursorLifetime).Unix())) //nolint:gosec // G115: after 1970
	text = append(text, after...)
	text = append(text, cursorMAC(key, bound, text)...)
	return cursorEncoding.EncodeToString(text), nil
}

// openCursor returns where a cursor goes on. "" goes on at the start.
//
// Errors: countersign.Invalid with ReasonCursorInvalid.
func (a *API) openCursor(bound []string, cursor string) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	if len(cursor) > maxCursor {
		return "", errCursor
	}
	text, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(text) < cursorHead+sha256.Size || text[0] != cursorVersion {
		return "", errCursor
	}
	signed, mac := text[:len(text)-sha256.Size], text[len(text)-sha256.Size:]
	key, known := a.keys.CursorKey(base64.RawURLEncoding.EncodeToString(signed[1 : 1+keys.SealingKIDBytes]))
	if !known || !hmac.Equal(mac, cursorMAC(key, bound, signed)) {
		return "", errCursor
	}
	expires := int64(binary.BigEndian.Uint64(signed[1+keys.SealingKIDBytes:])) //nolint:gosec // G115: we wrote it
	if a.now().Unix() >= expires {
		return "", errCursor
	}
	return string(signed[cursorHead:]), nil
}

func cursorMAC(key []byte, bound []string, text []byte) []byte {
	derived, err := hkdf.Key(sha256.New, key, nil, cursorLabel, sha256.Size)
	if err != nil {
		panic("iam: HKDF: " + err.Error()) // only for an output over 8160 bytes
	}
	mac := hmac.New(sha256.New, derived)
	for _, part := range bound {
		writePart(mac, []byte(part))
	}
	writePart(mac, text)
	return mac.Sum(nil)
}

// writePart writes its length first, so that no two lists of parts are one (RULES C6).
func writePart(to hash.Hash, part []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(part)))
	_, _ = to.Write(length[:])
	_, _ = to.Write(part)
}

var errCursor = countersign.NewError(countersign.Invalid, countersign.ReasonCursorInvalid,
	"this is not a cursor of this list for you, or it is over an hour old: begin anew")
