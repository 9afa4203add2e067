package admin_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/session"
)

// RULES E1: a revocation is kept until nothing is alive that it could hit. A replica that was cut
// off may have taken a dead token for a proof for as long as that lived, and the session that it
// made by it lives for twelve hours from then.
func TestRuleE1RevocationOutlivesWhatItsLastProofProved(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(s *sessions) error{
		"service": func(s *sessions) error { return s.RevokeService(t.Context(), super(), "a") },
		"all":     func(s *sessions) error { return s.Revoke(t.Context(), super(), admin.RevokeSelector{All: true}) },
		"our issuer": func(s *sessions) error {
			return s.Revoke(t.Context(), super(), admin.RevokeSelector{Issuer: "https://sts.example.com"})
		},
		"key": func(s *sessions) error {
			signer, err := s.Keys.Signer(keys.Token)
			if err == nil {
				_, err = s.CompromiseKey(t.Context(), super(), signer.KID)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessions(t, newRig(t))
			proven, kid := s.Clock.Now(), s.tokenKey(t)
			must(t, revoke(s))
			s.Clock.Advance(admin.MaxTokenLifetime)
			c, _, err := s.sealer.Mint(session.Session{
				Role: "writer", RoleUID: s.role, Name: "nightly", Kind: session.Service, Issuer: "https://sts.example.com", Subject: "a",
				Service: "a", ServiceUID: s.service.UID, TokenID: "token-1", KID: kid, Fingerprint: "f",
				ProvenAt: proven, IssuedAt: s.Clock.Now(), ExpiresAt: s.Clock.Now().Add(session.MaxDuration),
			})
			must(t, err)
			s.Clock.Advance(session.MaxDuration - time.Second)
			if s.good(t, s.Registry, c) || s.good(t, reopen(t, s.rig), c) {
				t.Error("the session lives in its last moment")
			}
		})
	}
}
