package admin_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
)

// manyDocuments are n services, one issuer and policy for every tenth.
func manyDocuments(n int) []byte {
	var text bytes.Buffer
	for i := range n {
		switch i % 10 {
		case 8:
			fmt.Fprintf(&text, "---\nkind: Issuer\nname: i-%d\nurl: https://i-%d.example\nsubject: user\nprofile: oidc\naudiences: [app]\n", i, i)
		case 9:
			fmt.Fprintf(&text, "---\nkind: RoutePolicy\nname: p-%d\nservice: s-%d\nrules:\n  - name: r\n    from: {services: [s-1]}\n    to: {methods: [GET], paths: [/v1/**]}\n", i, i-9)
		default:
			fmt.Fprintf(&text, "---\nkind: Service\nname: s-%d\nscopes: [docs:read, docs:write]\naudiences: [s-%d]\ntoken_lifetime: 15m\n", i, i+1)
		}
	}
	return text.Bytes()
}

// BenchmarkApply10000 is a first apply of 10,000 documents; it must stay below 10 s.
func BenchmarkApply10000(b *testing.B) {
	q := admin.ApplyRequest{Owner: "team", Files: []admin.File{{Name: "f.yaml", Content: manyDocuments(10_000)}}}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "first", true: "again"}[again], func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p := fixture.Open(b, fixture.Config{})
				a, err := admin.New(admin.Config{Store: p.Store, Audit: p.Audit, Registry: p.Registry, Keys: p.Keys, Now: p.Clock.Now})
				if err != nil {
					b.Fatal(err)
				}
				if again {
					if _, err := a.Apply(b.Context(), super(), q); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				if _, err := a.Apply(b.Context(), super(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
