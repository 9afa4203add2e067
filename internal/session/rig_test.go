package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

var start = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// rig is a Sealer on real keys.
type rig struct {
	*session.Sealer
	clock  *fixture.Clock
	config keys.Config
	ring   *keys.Ring
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{clock: fixture.NewClock(start)}
	r.config = keys.Config{Store: fixture.NewStore(tb), Master: fixture.NewMaster(tb), DeploymentID: "test", Now: r.clock.Now}
	r.ring = fixture.OpenKeys(tb, r.config)
	r.Sealer = session.New(session.Config{Keys: r.ring, DeploymentID: "test", Now: r.clock.Now})
	return r
}

// change changes the keys in a transaction, and takes that over.
func (r *rig) change(tb testing.TB, fn func(ctx context.Context, tx store.Tx) error) {
	tb.Helper()
	err := r.config.Store.Update(tb.Context(), fn)
	if err == nil {
		err = r.ring.Reload(tb.Context())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// whole has every field.
func whole() session.Session {
	return session.Session{
		Role: "document-writer", RoleUID: "00112233445566778899aabbccddeeff", Name: "nightly",
		Kind: session.OIDC, Issuer: "https://idp.example.com", Subject: "alice", IssuerUID: "ffeeddccbbaa99887766554433221100",
		Service: "document-service", ServiceUID: "0123456789abcdef0123456789abcdef", Tenant: "acme",
		Fingerprint: "0011aabbccddeeff", Values: map[string]string{"claims.dept": "legal", "claims.team": "ä"},
		Policy: "v1:allow", Tags: map[string]string{"project": "x", "Project": ""},
		TokenID: "0190a5f2-0000-7000-8000-000000000001", KID: "jx2yPQ0nN1ZJ0gQnX6dCk4Gz0Zq5b8p1bQ5r0m2kq1s",
		ProvenAt: start.Add(-5 * time.Minute), IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

func (r *rig) mint(tb testing.TB, s session.Session) (session.Credentials, session.Session) {
	tb.Helper()
	c, minted, err := r.Mint(s)
	if err != nil {
		tb.Fatalf("Mint: %v", err)
	}
	return c, minted
}

// refused holds an Open to a code, and to giving nothing away.
func (r *rig) refused(tb testing.TB, what, id, token string, code countersign.Code) {
	tb.Helper()
	opened, secret, err := r.Open(id, countersign.NewSecret(token))
	if !errors.Is(err, code) || !secret.IsZero() || opened.Role != "" {
		tb.Errorf("%s: %v, want %s (secret %t, role %q)", what, err, code, !secret.IsZero(), opened.Role)
	}
}

// rawOf is a token's bytes.
func rawOf(tb testing.TB, token countersign.Secret) []byte {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func textOf(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// secretOf wraps a token.
func secretOf(text string) countersign.Secret { return countersign.NewSecret(text) }
