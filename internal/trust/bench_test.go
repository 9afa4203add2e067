package trust_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// BenchmarkAWSIdentity: goal ≤ 300 µs of CPU for a login. cpu-µs/op is that of the whole
// process: with the fake STS, which verifies the signature, and without the store.
func BenchmarkAWSIdentity(b *testing.B) {
	s := newSTS(b, nil)
	a := newAWS(b, trust.AWSConfig{Endpoints: []string{s.URL}})
	proofs := make([]trust.AWSProof, b.N)
	for i := range proofs {
		proofs[i] = signPost(b, s.URL+"/", sessionKeys(), map[string]string{"X-Amz-User-Agent": fmt.Sprint(i)})
	}
	start := cpu()
	b.ReportAllocs()
	b.ResetTimer()
	for _, p := range proofs {
		if _, err := a.Verify(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-µs/op")
	if n := s.calls.Load(); n != int64(b.N) {
		b.Errorf("%d calls for %d logins", n, b.N)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkWebIdentity(b *testing.B) {
	i := newIDP(b)
	v := newVerifier(b, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, nil)
	tokens := make([]string, b.N)
	for n := range tokens {
		tokens[n] = mint(idpKey, head(), i.claims().with(object{"jti": fmt.Sprint(n)}))
	}
	if _, err := v.WebIdentity(b.Context(), mint(idpKey, head(), i.claims())); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, token := range tokens {
		if _, err := v.WebIdentity(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	s := compile(b, oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:acme/docs:**"}, Condition: `claims.ref == "refs/heads/main"`}))
	id := workload()
	b.ReportAllocs()
	for b.Loop() {
		if matched, _ := s.Match(b.Context(), id, trust.RequestContext{Time: now}); !matched {
			b.Fatal("no match")
		}
	}
}
