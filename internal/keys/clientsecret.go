package keys

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"hash/crc32"

	"github.com/countersign/countersign"
)

// The form of a client secret (RULES B3): csk_, then 43 characters of base62 that are
// drawn evenly (256.03 bits), then the CRC32 of all that in 6 characters of base62.
// Scanners find leaked ones by it and tell them from what only looks like one.
const (
	secretPrefix    = "csk_"
	secretRandom    = 43
	secretChecksum  = 6
	secretBytes     = len(secretPrefix) + secretRandom + secretChecksum
	base62          = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	largestMultiple = 256 / len(base62) * len(base62) // bytes from here on would favour the first letters
)

// NewClientSecret makes a client secret: csk_ + 256 random bits + CRC32, base62
// (RULES B3), and its keyed hash.
func (r *Ring) NewClientSecret() (secret countersign.Secret, hash []byte) {
	text := make([]byte, 0, secretBytes)
	text = append(text, secretPrefix...)
	var random [64]byte
	for len(text) < secretBytes-secretChecksum {
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		for _, b := range random {
			if int(b) < largestMultiple && len(text) < secretBytes-secretChecksum {
				text = append(text, base62[int(b)%len(base62)])
			}
		}
	}
	sum := checksum(string(text))
	text = append(text, sum[:]...)
	keyed := r.HashClientSecret(string(text))
	return countersign.NewSecret(string(text)), keyed[:]
}

// checksum is the CRC-32 (IEEE) of body in base62, most significant first.
func checksum(body string) (text [secretChecksum]byte) {
	rest := crc32.ChecksumIEEE([]byte(body))
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = base62[rest%uint32(len(base62))]
		rest /= uint32(len(base62))
	}
	return text
}

// HashClientSecret returns the keyed hash (HMAC-SHA-256) of a presented secret. The
// caller compares in constant time. It does not allocate.
func (r *Ring) HashClientSecret(secret string) [32]byte {
	h := r.hashers.Get().(*secretHasher)
	sum := h.hash(secret)
	r.hashers.Put(h)
	return sum
}

// secretHasher is an HMAC with room for a secret beside it, so that neither is
// allocated for each call. One caller at a time.
type secretHasher struct {
	mac hash.Hash
	buf [2 * secretBytes]byte
}

func newSecretHasher(key []byte) *secretHasher { return &secretHasher{mac: hmac.New(sha256.New, key)} }

func (h *secretHasher) hash(secret string) (sum [32]byte) {
	h.mac.Reset()
	for len(secret) > 0 {
		n := copy(h.buf[:], secret)
		_, _ = h.mac.Write(h.buf[:n]) // a hash never fails
		secret = secret[n:]
	}
	copy(sum[:], h.mac.Sum(h.buf[:0]))
	clear(h.buf[:]) // the pool keeps no secret
	return sum
}
