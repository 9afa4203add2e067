package authn_test

import (
	"testing"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/session"
)

func newS3(tb testing.TB, rig *sessionRig) *authn.S3 {
	tb.Helper()
	sealer := session.New(session.Config{Keys: rig.Keys, DeploymentID: "0123456789abcdef", Now: rig.Clock.Now})
	s3, err := authn.NewS3(authn.S3Config{Sealer: sealer, Registry: rig.Registry, Now: rig.Clock.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return s3
}

// BenchmarkS3Authenticate: goal ≤ 15 µs for a signed request, from its headers to what its
// session may do.
func BenchmarkS3Authenticate(b *testing.B) {
	rig := newSessionRig(b)
	s3, r := newS3(b, rig), objectRequest()
	sign(b, v4.NewSigner(), rig.credentials, r)
	b.ReportAllocs()
	for b.Loop() {
		caller, err := s3.Authenticate(r, authn.S3Options{})
		if err != nil || !caller.Allow("get_object", "documents", "resumes/2026/03/alice.pdf") {
			b.Fatal(err)
		}
	}
}
