package authn_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sessionRig is what believes signed requests, with a role and credentials for it.
type sessionRig struct {
	*fixture.Parts
	sessions    *authn.Sessions
	credentials aws.Credentials
}

func newSessionRig(tb testing.TB) *sessionRig {
	tb.Helper()
	r := &sessionRig{Parts: fixture.Open(tb, fixture.Config{Start: start})}
	sealer := session.New(session.Config{Keys: r.Keys, DeploymentID: "0123456789abcdef", Now: r.Clock.Now})
	var err error
	if r.sessions, err = authn.NewSessions(authn.SessionsConfig{Sealer: sealer, Registry: r.Registry, Now: r.Clock.Now}); err != nil {
		tb.Fatal(err)
	}
	err = r.Store.Update(tb.Context(), func(ctx context.Context, tx store.Tx) error {
		for _, object := range []store.Object{
			{UID: "uid-role", Kind: resource.KindRole, Name: "writer", Spec: []byte(`{
				"trust": [{"oidc": {"issuer": "workloads", "subject_conditions": ["build:*"]}}],
				"permissions": [{"bucket": "documents", "prefixes": ["resumes/"], "actions": ["get_object"]}]}`)},
			{UID: "uid-issuer", Kind: resource.KindIssuer, Name: "workloads", Spec: []byte(`{
				"url": "https://idp.example.com", "subject": "workload", "profile": "oidc", "audiences": ["sts-clients"]}`)},
		} {
			object.Revision, object.CreatedAt, object.UpdatedAt = 1, start, start
			if err := tx.CreateObject(ctx, object); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	role, err := r.Registry.Role(tb.Context(), "writer")
	if err != nil {
		tb.Fatal(err)
	}
	c, _, err := sealer.Mint(session.Session{
		Role: role.Name, RoleUID: role.UID, Name: "job-7", Kind: session.OIDC, Issuer: "https://idp.example.com",
		Subject: "build:main", IssuerUID: "uid-issuer", Fingerprint: role.Trust[0].Fingerprint(), IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.credentials = aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
	}
	return r
}

// objectRequest is one for an object, as the SDK would sign it.
func objectRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://s3.example.com/documents/resumes/2026/03/alice.pdf?x-id=GetObject", http.NoBody)
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	r.Header.Set("Amz-Sdk-Invocation-Id", "5e3a8c1e-2d2f-4f0e-9f8f-2d6f1d9b7a60")
	r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	return r
}

func sign(tb testing.TB, signer *v4.Signer, c aws.Credentials, r *http.Request) {
	tb.Helper()
	err := signer.SignHTTP(tb.Context(), c, r, emptyHash, "s3", "us-east-1", start,
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSessionAuthenticate: goal ≤ 15 µs for a signed request, from its headers to a
// session that is alive.
func BenchmarkSessionAuthenticate(b *testing.B) {
	rig := newSessionRig(b)
	r := objectRequest()
	sign(b, v4.NewSigner(), rig.credentials, r)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rig.sessions.Authenticate(r, authn.SignedFor{Service: "s3", BodyHash: emptyHash}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSDKSigner is what the client of that request computes.
func BenchmarkSDKSigner(b *testing.B) {
	rig := newSessionRig(b)
	signer, r := v4.NewSigner(), objectRequest()
	b.ReportAllocs()
	for b.Loop() {
		sign(b, signer, rig.credentials, r)
	}
}
