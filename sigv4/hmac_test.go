package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

func standardMAC(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// TestMACIsHMAC for every length around the blocks.
func TestMACIsHMAC(t *testing.T) {
	t.Parallel()
	pattern := bytes.Repeat([]byte("\x00\x36\x5c\xffabc"), 100)
	for _, key := range []int{0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 300} {
		for text := range 500 {
			if got := mac(pattern[:key], pattern[:text]); !bytes.Equal(got[:], standardMAC(pattern[:key], pattern[:text])) {
				t.Fatalf("a key of %d bytes and a text of %d", key, text)
			}
		}
	}
}

func FuzzMAC(f *testing.F) {
	f.Add([]byte("AWS4secret"), []byte("20261126"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, text []byte) {
		if got := mac(key, string(text)); !bytes.Equal(got[:], standardMAC(key, text)) {
			t.Errorf("mac(%x, %x) = %x", key, text, got)
		}
	})
}
