package sigv4

import "crypto/sha256"

const blockBytes = sha256.BlockSize

// macBytes is the longest text that mac signs: a string to sign.
const macBytes = 384

// mac is HMAC-SHA-256. That of crypto/hmac takes seven allocations a key, and a request
// has five keys that are used once: together more than half of what Verify would cost.
// The tests hold it against crypto/hmac.
//
// Source: RFC 2104 §2.
func mac[T string | []byte](key []byte, text T) [sha256.Size]byte {
	var inner [blockBytes + macBytes]byte
	var outer [blockBytes + sha256.Size]byte
	if len(key) > blockBytes {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range blockBytes {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	sum := sha256.Sum256(append(inner[:blockBytes], text...))
	copy(outer[blockBytes:], sum[:])
	return sha256.Sum256(outer[:])
}
