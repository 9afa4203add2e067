package session_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/session"
)

// BenchmarkOpen: with a SigV4 check after it, 15 µs are the goal (DESIGN §11).
func BenchmarkOpen(b *testing.B) {
	small := session.Session{
		Role: "document-writer", RoleUID: "00112233445566778899aabbccddeeff", Name: "nightly", Kind: session.Service,
		Issuer: "https://sts.example.com", Subject: "document-service", Service: "document-service",
		ServiceUID: "0123456789abcdef0123456789abcdef", Fingerprint: "0011aabbccddeeff",
		TokenID: "0190a5f2-0000-7000-8000-000000000001", KID: "jx2yPQ0nN1ZJ0gQnX6dCk4Gz0Zq5b8p1bQ5r0m2kq1s",
		IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	for name, s := range map[string]session.Session{"small": small, "whole": whole()} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			c, _ := r.mint(b, s)
			b.ReportMetric(float64(len(c.SessionToken.Reveal())), "B/token")
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Open(c.AccessKeyID, c.SessionToken); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMint(b *testing.B) {
	r := newRig(b)
	s := whole()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Mint(s); err != nil {
			b.Fatal(err)
		}
	}
}
