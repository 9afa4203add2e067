package tokensource_test

import "testing"

// BenchmarkClientCredentialsHit: what every outgoing request pays.
func BenchmarkClientCredentialsHit(b *testing.B) {
	source := newSource(&endpoint{})
	defer source.Close()
	if _, err := source.Token(b.Context(), "parse-service"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Token(b.Context(), "parse-service"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
