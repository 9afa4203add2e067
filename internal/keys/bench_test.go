package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

var benchInput = make([]byte, 400)

// BenchmarkRawES256 is the floor of BenchmarkSign/ES256.
func BenchmarkRawES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("SignASN1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256(benchInput)
			if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256(benchInput)
			r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
			if err != nil {
				b.Fatal(err)
			}
			var signature [64]byte
			r.FillBytes(signature[:32])
			s.FillBytes(signature[32:])
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		b.Run(algorithm, func(b *testing.B) {
			cfg, _ := newConfig(b)
			cfg.Algorithm = algorithm
			ring := open(b, cfg)
			b.ReportAllocs()
			for b.Loop() {
				s, err := ring.Signer(keys.Token)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Sign(benchInput); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHashClientSecret(b *testing.B) {
	cfg, _ := newConfig(b)
	ring := open(b, cfg)
	secret, _ := ring.NewClientSecret()
	text := secret.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		ring.HashClientSecret(text)
	}
}

func BenchmarkJWKS(b *testing.B) {
	cfg, _ := newConfig(b)
	ring := open(b, cfg)
	b.ReportAllocs()
	for b.Loop() {
		ring.JWKS()
	}
}
