package policy

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// userIDLabel keeps the hash apart from every other one of the same texts.
const userIDLabel = "countersign/user-id/v1"

// userIDBytes is how much of the hash is in an id: nobody finds two users with one.
const userIDBytes = 20

var userIDEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// UserID returns the id of a user, which follows from the pair that names them (RULES A1):
// "u" and 32 characters of a-z and 2-7. It gives the pair away to nobody who has not got it,
// is the same on every replica, and needs no record.
func UserID(issuer, subject string) string {
	hash := sha256.New()
	for _, text := range []string{userIDLabel, issuer, subject} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		_, _ = hash.Write(length[:])
		_, _ = hash.Write([]byte(text))
	}
	return "u" + strings.ToLower(userIDEncoding.EncodeToString(hash.Sum(nil)[:userIDBytes]))
}

// ValidUserID reports whether a text can be the id of a user.
func ValidUserID(id string) bool {
	if len(id) != 33 || id[0] != 'u' {
		return false
	}
	for i := 1; i < len(id); i++ {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
