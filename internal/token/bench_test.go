package token_test

import (
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

// BenchmarkMint is to be read against BenchmarkSignOnly: the difference is what the
// minter adds.
func BenchmarkMint(b *testing.B) {
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		ring := newRing(b, algorithm)
		minter := newMinter(b, ring)
		b.Run(algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := minter.Mint(b.Context(), "0195f1c4-7a3e-7c2b-9a1d-1234567890ab", full()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSignOnly(b *testing.B) {
	input := make([]byte, 520) // as long as the token of BenchmarkMint
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		ring := newRing(b, algorithm)
		b.Run(algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signer, err := ring.Signer(keys.Token)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := signer.Sign(input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
